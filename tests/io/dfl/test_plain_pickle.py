"""Pickles that go out: all unpicklers read the same, and only plain values can go in."""

from __future__ import annotations

import io
import pickle
import pickletools
import warnings

import numpy as np
import pytest

from understudy.io.dfl import plain_pickle, safe_pickle

VALUES = {
    "none": None,
    "both": [True, False],
    "whole": [0, 1, -1, 255, -(2**31), 2**31, -(2**40), 10**70],
    "real": [0.1, -0.0, 1e-300],
    "text": "Ünder\n\x00'",
    "empty": [{}, [], ""],
    "pairs": [(1, "b"), (), b"", b"\x00\xff"],
    "nested": {"a": [{"b": [[1.5, 2.5], [3.5, 4.5]]}]},
}
ARRAYS = {
    "one number": np.array(7, np.int64),
    "none at all": np.zeros((0, 3), np.float32),
    "kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "Fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "half": np.array([1.5, np.nan, -np.inf], np.float16),
    "strided": np.arange(10, dtype=np.int32)[::-3],
    "swapped": np.arange(3, dtype=">f4"),
}


def dumped(value: object) -> bytes:
    file = io.BytesIO()
    plain_pickle.dump(value, file)
    return file.getvalue()


@pytest.mark.parametrize("name", VALUES)
def test_plain_values_read_back_as_they_were(name: str) -> None:
    data = dumped(VALUES[name])
    assert repr(pickle.loads(data)) == repr(VALUES[name]) == repr(safe_pickle.loads(data, "a file"))


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_read_back_as_they_were(name: str) -> None:
    data, array = dumped({"a": ARRAYS[name]}), ARRAYS[name]
    with warnings.catch_warnings():
        # That name is of the numpy of that tool; ours has moved it.
        warnings.simplefilter("ignore", DeprecationWarning)
        theirs = pickle.loads(data)["a"]
    ours = safe_pickle.loads(data, "a file")
    assert isinstance(ours, dict)
    for found in (theirs, ours["a"]):
        assert found.shape == array.shape and found.dtype == array.dtype.newbyteorder("=")
        assert np.array_equal(found, array, equal_nan=array.dtype.kind == "f")


def test_arrays_are_written_one_after_the_other() -> None:
    file = io.BytesIO()
    plain_pickle.dump_arrays(iter(ARRAYS.items()), file)
    assert file.getvalue() == dumped(ARRAYS)


def test_nothing_is_named_but_what_every_numpy_has() -> None:
    data = dumped([VALUES, ARRAYS])
    named = {argument for order, argument, _ in pickletools.genops(data) if order.name == "GLOBAL"}
    assert named == {"numpy.core.multiarray _reconstruct", "numpy ndarray", "numpy dtype"}


@pytest.mark.parametrize(
    "value",
    [
        {1, 2},
        object(),
        plain_pickle.Member("os", "system", 1),
        np.array(["a"]),
        np.array([None]),
        len,
        1j,
        2**3000,
    ],
    ids=repr,
)
def test_all_else_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="is no plain value"):
        dumped({"a": value})
