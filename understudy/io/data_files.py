"""JSON and TOML, read within bounds and in any Unicode: the only place that parses them.

Whatever a file holds, what comes out is a value of bounded size or BadData. Bounded are the bytes,
the number of values, how deep they lie, and the numbers: whole ones fit 64 bits, others are finite.
Text may be in UTF-8, UTF-16 or UTF-32, with or without a byte order mark, as editors write it. A
file that is there and may not be read is CannotRead: nobody shall take it for a damaged one.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import re
import stat
import tomllib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from understudy.errors import BadData, CannotRead
from understudy.io import system_faults

Kind = TypeVar("Kind")

MAX_BYTES: Final = 64 << 20
# Each value takes some 70 bytes of memory, and 430 where it is not what a model asks for.
MAX_VALUES: Final = 1_500_000
MAX_TOML_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 100
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
# A number that may be too large, or a word for none: only then is each value looked at. Faces come
# by the hundred thousand, and where each branch begins with a letter, the search takes a seventh.
_SUSPECT = re.compile(
    rb"9[2-9][0-9]{17}|e(?<=[0-9.]e)\+?[0-9]{3}|E(?<=[0-9.]E)\+?[0-9]{3}|NaN|Infinity"
)
_TO_ZEROS = bytes.maketrans(b"123456789", b"000000000")
# A key of many parts. Time grows with the square of their number.
_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')[ \t]*"""
_DEEP_KEY = re.compile(rf"(?:^|[\[{{,])[ \t]*(?:{_PART}\.[ \t]*){{{MAX_DEPTH}}}", re.MULTILINE)
_MOST_ERRORS = 1000
_NO_INTEGER: Final = "a whole number that does not fit 64 bits"
# What editors begin a text with, the longest first: UTF-32 begins as UTF-16 does.
_BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NO_TEXT: Final = "no text in UTF-8, nor in UTF-16. Save it as UTF-8, in an editor that can"


@contextlib.contextmanager
def open_file(path: Path) -> Iterator[BufferedReader]:
    """Open an ordinary file to be read; what fails while it is read is told alike.

    Raises:
        BadData: It is missing, or no ordinary file.
        CannotRead: It is there, but not for this user, or the disk fails.
    """
    try:
        # Asked before it is opened: a pipe would keep its reader waiting.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise bad_data(path, "not readable: no ordinary file")
        file = open(path, "rb")
    except ValueError as error:
        raise bad_data(path, f"not readable: {error}") from None
    except OSError as error:
        raise _unreadable(path, error) from error
    with file:
        try:
            yield file
        except OSError as error:
            # With a name it is about another file, which is being written meanwhile.
            if error.filename is None and system_faults.reading(error):
                raise _unreadable(path, error) from error
            raise


def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """Return the content of an ordinary file of at most `limit` bytes. Raises BadData."""
    with open_file(path) as file:
        # No more at once than there is: for what is asked for memory is taken.
        data = file.read(min(limit, os.fstat(file.fileno()).st_size) + 1)
    if len(data) > limit:
        raise bad_data(path, f"larger than {limit >> 20 or 1} MB")
    return data


def read_text(path: Path, limit: int = MAX_BYTES) -> str:
    """Return the text in an ordinary file of at most `limit` bytes. Raises BadData, CannotRead."""
    return decode_text(read_bytes(path, limit), str(path))


def read_json(path: Path) -> Any:
    """Return the value in a file of JSON. Raises BadData."""
    return parse_json(read_bytes(path), str(path))


def read_json_as(path: Path, kind: type[Kind]) -> Kind:
    """Return what is in a file of JSON as a `kind`. Raises BadData."""
    return parse_json_as(read_bytes(path), str(path), kind)


def read_toml(path: Path) -> dict[str, Any]:
    """Return the values in a file of TOML. Raises BadData."""
    return parse_toml(read_bytes(path, MAX_TOML_BYTES), str(path))


def parse_json(data: bytes | str, source: str) -> Any:
    """Return the value in JSON. source: where it is from, for the message. Raises BadData."""
    return _parse(_checked_size(data, source, MAX_VALUES), source)


def doubled_keys(data: str) -> list[tuple[str, Any]]:
    """Return what JSON says of a name once more, within one object; `parse_json` keeps the last.

    data: what `parse_json` takes.
    """
    found: list[tuple[str, Any]] = []

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        held: dict[str, Any] = {}
        for name, value in pairs:
            if name in held:
                found.append((name, value))
            held[name] = value
        return held

    json.loads(data, object_pairs_hook=note)
    return found


def parse_json_as(
    data: bytes | str, source: str, kind: type[Kind] | TypeAdapter[Kind], values: int = MAX_VALUES
) -> Kind:
    """Return JSON as a `kind`. values: the most that it may hold. Raises BadData."""
    adapter = kind if isinstance(kind, TypeAdapter) else TypeAdapter(kind)
    checked = _checked_size(data, source, values)
    try:
        found = adapter.validate_json(checked)
    except ValidationError as error:
        decode_text(checked, source)
        raise bad_data(source, describe_fault(error)) from None
    if _is_suspect(checked):
        # What a model leaves open may still be beyond all bounds.
        _parse(checked, source)
    return found


def parse_toml(data: bytes, source: str) -> dict[str, Any]:
    """Return the values in TOML, by name. Raises BadData."""
    text = decode_text(data, source)
    if len(data) > MAX_TOML_BYTES:
        raise bad_data(source, f"larger than {MAX_TOML_BYTES >> 20} MB")
    try:
        if _DEEP_KEY.search(text):
            raise bad_data(source, "values nested too deep")
        values = tomllib.loads(text)
    except RecursionError:
        raise bad_data(source, "values nested too deep") from None
    except tomllib.TOMLDecodeError as error:
        raise bad_data(source, f"not readable as TOML: {error}") from None
    except ValueError:
        # Python reads no number of more than 4300 digits.
        raise bad_data(source, _NO_INTEGER) from None
    _check_values(values, source)
    return values


def decode_text(data: bytes, source: str) -> str:
    """Return a text as it is meant, whatever Unicode its editor wrote. Raises BadData."""
    try:
        return data.decode(_encoding(data))
    except UnicodeDecodeError:
        raise bad_data(source, _NO_TEXT) from None


def count_values(data: bytes) -> int:
    """Return how many values JSON holds at most, containers among them; it need not be any."""
    return 1 + sum(map(data.count, (b",", b"[", b"{")))


def describe_fault(error: ValidationError) -> str:
    """Return where and what the first fault is, in few words."""
    if error.error_count() > _MOST_ERRORS:
        return f"{error.error_count()} values are not what belongs there"
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(map(str, first["loc"])) or "whole"
    return f"{place}: {first['msg']}"


def bad_data(source: str | Path, reason: str) -> BadData:
    """Return the error that says what is wrong with a file, and what to do."""
    return BadData(f"{source}: {reason}. Mend it, or put a copy in its place.", reason=reason)


def _unreadable(path: Path, error: OSError) -> BadData | CannotRead:
    if fault := system_faults.reading(error):
        return CannotRead(f"{path}: cannot be read: {fault}")
    return bad_data(path, f"not readable: {error.strerror or error}")


def _encoding(data: bytes) -> str:
    """How a text is coded: by its mark, or by where the zeros of its first character lie."""
    if data[:2].isascii() and b"\0" not in data[:2]:
        return "utf-8"
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return encoding
    if data[:1] == b"\0":
        return "utf-16-be"
    return "utf-16-le" if data[1:2] == b"\0" else "utf-8"


def _checked_size(data: bytes | str, source: str, values: int) -> bytes:
    """The text of JSON in UTF-8, without a mark."""
    found = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if len(found) > MAX_BYTES:
        raise bad_data(source, f"larger than {MAX_BYTES >> 20} MB")
    if _encoding(found) != "utf-8":
        found = decode_text(found, source).encode("utf-8", "surrogatepass")
    if count_values(found) > values:
        raise bad_data(source, f"more than {values} values")
    return found


def _parse(data: bytes, source: str) -> Any:
    try:
        value = from_json(data, allow_inf_nan=False)
    except ValueError as error:
        decode_text(data, source)
        raise bad_data(source, f"not readable as JSON: {error}") from None
    if _is_suspect(data):
        _check_values(value, source)
    return value


def _is_suspect(data: bytes) -> bool:
    """Whether JSON may hold a number beyond the bounds."""
    return b"0" * 20 in data.translate(_TO_ZEROS) or _SUSPECT.search(data) is not None


def _check_values(held: Any, source: str) -> None:
    """Raise BadData where values lie too deep, or a number is too large."""
    waiting = [(held, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise bad_data(source, "values nested too deep")
        if isinstance(value, dict | list):
            inner = value.values() if isinstance(value, dict) else value
            waiting += [(each, depth + 1) for each in inner]
        elif isinstance(value, int) and not _LOWEST <= value <= _HIGHEST:
            raise bad_data(source, _NO_INTEGER)
        elif isinstance(value, float) and not abs(value) < float("inf"):
            raise bad_data(source, "a number that is not finite")
