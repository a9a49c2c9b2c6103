"""JSON and TOML within bounds: what is fine is read, and all else is BadData, in little time."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from tests import fuzzing
from understudy.errors import BadData
from understudy.io import data_files

HOSTILE_JSON = {
    "deep": b"[" * 100_000,
    "deep objects": b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "deeper than ours": b"[" * 150 + b"]" * 150 + b",1e999",
    "digits": b'{"iteration": ' + b"1" * 5000 + b"}",
    "64 bits": b'{"iteration": 9223372036854775808}',
    "20 digits": b'{"iteration": 12345678901234567890}',
    "exponent": b'{"seconds": 1e999}',
    "exponent with a sign": b'{"seconds": 1.5E+999}',
    "not a number": b'{"seconds": NaN}',
    "infinite": b'{"seconds": -Infinity}',
    "not UTF-8": b'{"name": "\xff"}',
    "half a character": b'{"name": "\\ud800"}',
    "many values": b"[" + b"0," * data_files.MAX_VALUES + b"0]",
    "lists in lists": b"[" + b",".join([b"[" * 90 + b"]" * 90] * 20_000) + b"]",
    "tables in tables": b"[" + b",".join([b'{"a":' * 90 + b"1" + b"}" * 90] * 20_000) + b"]",
    "large": b'"' + b"a" * (64 << 20) + b'"',
    "empty": b"",
    "cut off": b'{"a": ',
    "half of UTF-16": '{"a": 1}'.encode("utf-16")[:-1],
    "Windows-1252": '{"a": "é"}'.encode("cp1252"),
}
HOSTILE_TOML = {
    "deep": b"a=" + b"[" * 5000,
    "deep tables": b"a=" + b"{a=" * 5000,
    "digits": b"schema_version=" + b"1" * 5000,
    "hexadecimal": b"schema_version=0x" + b"f" * 5000,
    "infinite": b"a=inf",
    "not a number": b"a=nan",
    "deep key": b"a." * 100_000 + b"a=1",
    "deep quoted key": b'"\\"" .' * 100_000 + b"a=1",
    "deep inline key": b"x={" + b"a." * 100_000 + b"a=1}",
    "deep head": b"[" + b"a." * 50_000 + b"a]\n" + b"b=1\n" * 100_000,
    "large": b"a=1\n" * 300_000,
    "not UTF-8": b'a="\xff"',
    "no date": b"a=2024-13-45",
}


class Kept(BaseModel):
    """What a file may hold."""

    numbers: list[float] = []


@pytest.mark.parametrize("data", HOSTILE_JSON.values(), ids=HOSTILE_JSON)
def test_hostile_json_is_bad_data_at_once(data: bytes) -> None:
    start = time.monotonic()
    assert isinstance(
        fuzzing.assert_tree_only(lambda: data_files.parse_json(data, "a.json")), BadData
    )
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("data", HOSTILE_TOML.values(), ids=HOSTILE_TOML)
def test_hostile_toml_is_bad_data_at_once(data: bytes) -> None:
    start = time.monotonic()
    assert isinstance(
        fuzzing.assert_tree_only(lambda: data_files.parse_toml(data, "a.toml")), BadData
    )
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    "data",
    [b'{"numbers": [NaN]}', b'{"numbers": [1e999]}', b'{"numbers": [' + b"[]," * 5000 + b"1]}"],
)
def test_a_model_is_read_within_the_same_bounds(data: bytes) -> None:
    with pytest.raises(BadData) as caught:
        data_files.parse_json_as(data, "a.json", Kept)
    assert fuzzing.is_message_fine(str(caught.value))


def test_a_number_of_thousands_of_digits_is_told_in_words() -> None:
    error = fuzzing.assert_tree_only(
        lambda: data_files.parse_toml(HOSTILE_TOML["digits"], "a.toml")
    )
    assert "does not fit 64 bits" in str(error)


ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "marked"])
def test_text_is_read_in_whatever_unicode_an_editor_wrote(
    tmp_path: Path, encoding: str, mark: str
) -> None:
    mark = mark if encoding in ("utf-16-le", "utf-16-be") else ""
    held = {"name": "Zoë 名 🎬", "numbers": [1, 2.5]}
    (tmp_path / "a.json").write_bytes((mark + json.dumps(held, indent=1)).encode(encoding))
    toml = f"{mark}name = 'Zoë 名 🎬'\r\nnumbers = [1, 2.5]\r\n"
    (tmp_path / "a.toml").write_bytes(toml.encode(encoding))
    assert data_files.read_json(tmp_path / "a.json") == held
    assert data_files.read_toml(tmp_path / "a.toml") == held
    assert data_files.read_json_as(tmp_path / "a.json", Kept).numbers == [1, 2.5]


@pytest.mark.parametrize("read", [data_files.read_json, data_files.read_toml])
def test_text_in_another_encoding_is_told_what_to_save_it_in(
    tmp_path: Path, read: Callable[[Path], object]
) -> None:
    (tmp_path / "a").write_bytes('{"name" = "Zoë"}'.encode("cp1252"))
    with pytest.raises(BadData, match="no text in UTF-8, nor in UTF-16"):
        read(tmp_path / "a")


def test_what_is_fine_is_read(tmp_path: Path) -> None:
    held = {"a": [1, -(2**63), 2**63 - 1, 1e300, 1e-300, "NaN", "é"], "sha": "1" * 64}
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(held).encode())
    (tmp_path / "a.toml").write_bytes(b"\xef\xbb\xbf" + b"a = 1\r\n[b]\r\nc.d = 'x...y'\r\n")
    assert data_files.read_json(tmp_path / "a.json") == held
    assert data_files.read_toml(tmp_path / "a.toml") == {"a": 1, "b": {"c": {"d": "x...y"}}}
    assert data_files.parse_json_as('{"numbers": [1, 2.5]}', "", Kept).numbers == [1, 2.5]


@pytest.mark.parametrize("read", [data_files.read_json, data_files.read_toml])
def test_what_is_no_ordinary_file_is_not_waited_for(
    tmp_path: Path, read: Callable[[Path], object]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "none", Path("a\0b")):
        assert isinstance(fuzzing.assert_tree_only(lambda path=path: read(path)), BadData)


def test_fuzz_json() -> None:
    seed = json.dumps({"a": [1, 2.5, {"b": "text", "c": None}], "d": -1e10}).encode()
    for data in fuzzing.mutations(seed, fuzzing.rounds(3000), seed=1):
        fuzzing.assert_tree_only(lambda data=data: data_files.parse_json(data, "a.json"))
        fuzzing.assert_tree_only(lambda data=data: data_files.parse_json_as(data, "a", Kept))


def test_fuzz_toml() -> None:
    seed = b"""schema_version = 1
src = "a.mp4"
[options.train]
minutes = 5
name.x = 'y' # said
[[more]]
when = 2024-01-02T03:04:05Z
values = [1, 2.5, {a = 1, b.c = true}]
text = \"\"\"
many\\nlines\"\"\"
"""
    for data in fuzzing.mutations(seed, fuzzing.rounds(3000), seed=2):
        fuzzing.assert_tree_only(lambda data=data: data_files.parse_toml(data, "a.toml"))
