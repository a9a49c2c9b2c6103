"""Pickles of other tools: plain values come out as they went in, and nothing else comes out at
all.
"""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from understudy.errors import BadMedia
from understudy.io.dfl.safe_pickle import load_arrays, loads

PLAIN = {
    "values": [
        1,
        -70000,
        10**30,
        2.5,
        None,
        True,
        "é",
        b"\x00\xff",
        b"",
        (1, (2, ())),
        {3, 4},
        frozenset({"a"}),
        {},
    ],
    "kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "columns": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "swapped": np.arange(3, dtype=">f2"),
    "empty": np.zeros((0, 3), np.float32),
    "number": np.array(3.0),
    "scalar": np.float32(2),
    "words": np.array(["one", "three"]),
    "flags": np.array([True, False]),
}
SEEDS = [pickle.dumps(PLAIN, protocol) for protocol in range(6)]


class Shell:
    """What a pickle would run."""

    def __init__(self, call: Callable[..., object], *arguments: object) -> None:
        self.made = (call, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.made


def same(one: object, other: object) -> bool:
    return (
        type(one) is type(other) and np.array_equal(one, other)
        if isinstance(one, np.ndarray)
        else one == other
    )


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_come_out_as_they_went_in(protocol: int) -> None:
    found = loads(SEEDS[protocol], "here")
    assert isinstance(found, dict) and list(found) == list(PLAIN)
    assert all(same(PLAIN[name], value) for name, value in found.items())


@pytest.mark.parametrize("core", [b"core", b"_core"])
def test_both_spellings_of_numpys_core_are_known(core: bytes) -> None:
    written = (
        pickle.dumps(PLAIN["kernel"], 2)
        .replace(b"numpy._core", b"numpy." + core)
        .replace(b"numpy.core", b"numpy." + core)
    )
    assert same(PLAIN["kernel"], loads(written, "here"))


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("held", "told"),
    [
        (Shell(os.system, "touch PROOF"), "system"),
        (Shell(eval, "open('PROOF', 'w')"), "eval"),
        (Shell(pickle.loads, b"N."), "loads"),
        (Fraction(1, 2), "fractions.Fraction"),
        (os.system, "system"),
        (np.array([1, "two", None], object), "an array of objects"),
        (np.zeros(2, [("a", "f4")]), "an array"),
        (np.array(["2020-01-01"], "M8[D]"), "an array of the kind"),
    ],
)
def test_nothing_foreign_is_run(
    held: object, told: str, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadMedia, match=f"^here: .*{told}"):
        loads(pickle.dumps({"a": [held]}, protocol), "here")
    assert not (tmp_path / "PROOF").exists()


def laughs(depth: int) -> bytes:
    """A list of ten lists, each of ten lists, … by way of the memo."""
    inner = b"]q\x00"
    return (
        inner
        + b"".join(b"](" + b"h%c" % level * 10 + b"eq%c" % (level + 1) for level in range(depth))
        + b"."
    )


@pytest.mark.parametrize(
    "written",
    [
        laughs(12),
        b"N" + b"\x85" * 100_000 + b".",
        b"}(N" + b"\x85" * 100_000 + b"Nu.",
        b"](" * 50_000 + b"e" * 50_000 + b".",
        b"]q\x00h\x00a.",
        b"\x8e" + struct.pack("<Q", 1 << 60) + b"abc.",
        b"Nr\xff\xff\xff\xff.",
        b"c_codecs\nencode\nq\x01X\x00\x00\x10\x00"
        + b"a" * (1 << 20)
        + b"X\x06\x00\x00\x00latin1\x86q\x02"
        + b"0h\x01h\x02R" * 99
        + b".",
        pickle.dumps(np.zeros(3, "f4"), 2).replace(b"K\x03\x85", b"K\x63\x85"),
        pickle.dumps(np.zeros(3, "f4"), 2).replace(b"K\x00\x85", b"J\xff\xff\xff\x7f\x85"),
        b"cnumpy\ndtype\n.",
        b"cnumpy\ndtype\n}}\x86b.",
        b"\x82\x01.",
        b"(i__main__\nA\n.",
        b"P1\n.",
        b"",
        b".",
    ],
    ids=lambda written: repr(written[:20]),
)
def test_malice_ends_at_once_in_our_error(written: bytes) -> None:
    try:
        loads(written, "here")
    except BadMedia as error:
        assert str(error).startswith("here: ")
    else:
        assert written == b"Nr\xff\xff\xff\xff."


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
@example(b"cos\nsystem\n(S'true'\ntR.")
def test_random_bytes_never_raise_anything_but_our_error(written: bytes) -> None:
    only_ours(written)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(SEEDS),
    st.lists(
        st.tuples(st.integers(0, 5000), st.binary(min_size=1, max_size=4)), min_size=1, max_size=4
    ),
    st.none() | st.integers(0, 2000),
)
def test_damaged_pickles_never_raise_anything_but_our_error(
    seed: bytes, changes: list[tuple[int, bytes]], end: int | None
) -> None:
    damaged = bytearray(seed)
    for at, new in changes:
        at %= len(damaged)
        damaged[at : at + len(new)] = new
    only_ours(bytes(damaged[:end]))


def only_ours(written: bytes) -> None:
    try:
        found = loads(written, "here")
    except BadMedia:
        return
    known = (
        dict,
        list,
        tuple,
        set,
        frozenset,
        str,
        bytes,
        int,
        float,
        bool,
        type(None),
        np.ndarray,
        np.generic,
        np.dtype,
    )
    assert isinstance(found, known)


def weights(path: Path, held: Any) -> Path:
    path.write_bytes(pickle.dumps(held))
    return path


def test_weights_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    held = {
        name: np.full(3, k, kind)
        for k, (name, kind) in enumerate({"b": "f4", "a": "f2", "c": "f8"}.items())
    }
    found = load_arrays(weights(tmp_path / "w.npy", held))
    assert list(found) == ["b", "a", "c"] and all(
        same(held[name], array) for name, array in found.items()
    )


@pytest.mark.parametrize(
    ("held", "told"),
    [
        (
            {"a": np.zeros(2, "f4"), "bad": np.array([1, np.nan], "f4")},
            "'bad' holds values that are not numbers",
        ),
        ({"bad": np.array([np.inf], "f8")}, "'bad' holds"),
        ({"bad": np.zeros(2, "i4")}, "'bad' is not an array of floats"),
        ({"bad": [1.0]}, "'bad' is not an array"),
        ({3: np.zeros(2, "f4")}, "3 is not an array"),
        ({}, "no named arrays"),
        ([np.zeros(2, "f4")], "no named arrays"),
    ],
)
def test_what_is_no_weight_is_named(held: object, told: str, tmp_path: Path) -> None:
    with pytest.raises(BadMedia, match=rf"w\.npy: .*{told}"):
        load_arrays(weights(tmp_path / "w.npy", held))


def test_a_true_npy_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "true.npy", np.zeros(3))
    with pytest.raises(BadMedia, match=r"true\.npy: not a pickle"):
        load_arrays(tmp_path / "true.npy")
    with pytest.raises(BadMedia, match="not readable"):
        load_arrays(tmp_path / "none.npy")
