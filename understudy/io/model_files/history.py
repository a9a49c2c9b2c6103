"""The losses of a run: a file of JSON lines, each with its iteration."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from understudy.errors import BadData
from understudy.io import atomic, data_files
from understudy.io.model_files.checkpoint import MAX_ITERATION

Row = dict[str, Any]

# What is read of a longer file is its end: the newest three million iterations at least.
_MAX_BYTES: Final = 64 << 20
_MAX_VALUES: Final = 3_000_000
# Numbers that are none, as files of former versions hold them.
_NO_NUMBER = re.compile(rb"(?<=[:,\[ ])(-?Infinity|NaN)(?=[],} \n])")
# What is measured, by name, and the iterations at which something will end.
_MEASURED: Final = ("losses", "held_out")
_ENDS: Final = ("finish_until", "gan_until")


@dataclass(frozen=True, slots=True)
class History:
    """What is in a file. broken: how many of its lines are no rows, apart from a torn last one."""

    rows: list[Row]
    broken: int


def load(path: Path) -> History:
    """Return the rows that can be read, and how many cannot; nothing where there is no file."""
    try:
        with data_files.open_file(path) as file:
            lines = [_parse(line) for line in _newest(file)[1]]
    except BadData:
        return History([], int(path.exists()))
    # A run that was killed leaves its last line torn.
    broken = sum(row is None for row in lines[:-1])
    return History([row for row in lines if row is not None], broken)


def read(path: Path) -> list[Row]:
    """All rows that can be read."""
    return load(path).rows


def append(path: Path, rows: Iterable[Row]) -> None:
    """Add rows at the end."""
    atomic.append_text(path, "".join(_dump(row) for row in rows))


def truncate(path: Path, iteration: int) -> None:
    """Forget what came after `iteration`: a resumed run measures it again. Broken lines go, too."""
    if not path.is_file():
        return
    with atomic.partial_file(path) as partial, data_files.open_file(path) as file:
        start, lines = _newest(file)
        with partial.open("wb") as kept:
            file.seek(0)
            shutil.copyfileobj(file, kept)
            kept.truncate(start)
            kept.seek(start)
            for line in lines:
                row = _parse(line)
                if row is not None and row["iteration"] <= iteration:
                    kept.write(_dump(row).encode())


def _newest(file: BinaryIO) -> tuple[int, list[bytes]]:
    """The lines at the end of a file, as many as are read of it, and where they begin."""
    size = file.seek(0, os.SEEK_END)
    start = file.seek(max(0, size - _MAX_BYTES))
    data = file.read(size - start)
    while data_files.count_values(data) + data.count(b"\n") > _MAX_VALUES:
        data = data[-(len(data) // 2) :]
    start = size - len(data)
    if start:
        # A line that was cut in two stays with what is not read.
        torn = data.find(b"\n") + 1
        start, data = start + torn, data[torn:]
    return start, data.splitlines(keepends=True)


def _parse(line: bytes) -> Row | None:
    """The row in a line; None where it is none. What was measured and is no number is left out."""
    try:
        row = data_files.parse_json(_without_nan(line), "history")
    except BadData:
        return None
    if not isinstance(row, dict) or not _is_iteration(row.get("iteration")):
        return None
    measured = {name: row[name] for name in _MEASURED if name in row}
    if not all(_is_iteration(row[name]) for name in _ENDS if name in row) or not all(
        isinstance(values, dict) and all(map(_is_number, values.values()))
        for values in measured.values()
    ):
        return None
    for name, values in measured.items():
        row[name] = {key: value for key, value in values.items() if value is not None}
    return row


def _is_iteration(value: object) -> bool:
    return type(value) is int and 0 <= value <= MAX_ITERATION


def _is_number(value: object) -> bool:
    return value is None or type(value) in (int, float)


def _without_nan(line: bytes) -> bytes:
    return _NO_NUMBER.sub(b"null", line) if _NO_NUMBER.search(line) else line


def _dump(row: Row) -> str:
    """A row as a line. JSON has no word for what is not finite."""
    return _without_nan(json.dumps(row).encode()).decode() + "\n"
