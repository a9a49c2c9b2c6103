"""Which files in a folder are ours: a list beside them, by which they are removed again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from understudy.errors import BadData
from understudy.io import atomic, data_files

_LIST: Final = "understudy-files.txt"


def listed(folder: Path) -> set[str]:
    """The names on the list of a folder; none where there is no list that can be read."""
    try:
        text = data_files.read_text(folder / _LIST)
    except BadData:
        return set()
    return set(text.splitlines())


def add(folder: Path, names: Iterable[str]) -> None:
    """Put names on the list, before files of these names are written. Raises CannotWrite."""
    known = listed(folder)
    if not known.issuperset(names):
        _write(folder, known.union(names))


def remove(folder: Path, names: Iterable[str]) -> None:
    """Remove the files of these names that are on the list; others stay. Raises CannotWrite."""
    known = listed(folder)
    atomic.remove_files(folder, known.intersection(names))
    _write(folder, known.difference(names))


def _write(folder: Path, names: set[str]) -> None:
    atomic.write_text(folder / _LIST, "".join(f"{name}\n" for name in sorted(names)))
