"""What was measured on the pictures of a faceset: tables beside its folder, a cache."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from understudy.core.face.pixel_measures import empty_columns
from understudy.errors import CannotWrite
from understudy.io import tables
from understudy.io.faceset.picture_files import match_pictures
from understudy.types import Array

# What was measured in another way is measured again.
_VERSION: Final = "5"
_NAMES, _FACTS = "names", "facts"


def cache_path(folder: Path, what: str = "pixels") -> Path:
    """Where `what` was measured of the faces in `folder` is kept."""
    return folder.with_name(f"{what}.safetensors")


class MeasuredPictures:
    """What is known of the pictures of a faceset, by row.

    A picture is known again as `match_pictures` says.

    Attributes:
        columns: As `empty_columns` has them.
        is_known: (N,) bool, which rows are filled.
    """

    def __init__(
        self,
        folder: Path,
        names: Sequence[str],
        facts: NDArray[np.int64],
        what: str = "pixels",
        empty: Callable[[int], dict[str, Array]] = empty_columns,
    ) -> None:
        """Take what is known of former runs; a cache that is damaged or not ours counts for none.

        facts: (N, 2) bytes and time of change of each picture. what: was measured. empty: its
        columns for so many pictures. Raises CannotRead.
        """
        self._path, self._names, self._facts = cache_path(folder, what), list(names), facts
        self._empty = empty
        self.columns: dict[str, Array] = empty(len(names))
        self.is_known = np.zeros(len(names), bool)
        if self._path.is_file() and (read := tables.read_table(self._path)):
            self._take(*read)

    def set_rows(self, rows: NDArray[np.int64], found: Mapping[str, Array]) -> None:
        """Fill rows with what was found, in the same order."""
        for name, values in found.items():
            self.columns[name][rows] = values
        self.is_known[rows] = True

    def save(self) -> bool:
        """Keep what is known beside the folder, all or nothing; returns whether that could be done.

        A folder that cannot be written to can still be sorted: the cache only saves time.
        """
        rows = np.flatnonzero(self.is_known)
        columns: dict[str, Array] = {name: each[rows] for name, each in self.columns.items()}
        names = [self._names[row] for row in rows.tolist()]
        columns[_FACTS] = self._facts[rows]
        # Names may hold bytes that are no text.
        columns[_NAMES] = _as_bytes("\0".join(names))
        with contextlib.suppress(CannotWrite):
            tables.write_table(self._path, columns, {"version": _VERSION})
            return True
        return False

    def _take(self, columns: dict[str, Array], notes: dict[str, str]) -> None:
        """Fill the rows of pictures that are as they were."""
        count = len(columns.get(_FACTS, ()))
        wanted = self._empty(count)
        fits = all(
            name in columns
            and columns[name].shape == each.shape
            and columns[name].dtype == each.dtype
            for name, each in wanted.items()
        )
        if notes.get("version") != _VERSION or not fits:
            return
        try:
            names = _as_text(columns[_NAMES]).split("\0") if count else []
        except (KeyError, ValueError):
            return
        facts = columns[_FACTS]
        at = match_pictures(self._names, self._facts, names, np.asarray(facts, np.int64))
        rows = np.flatnonzero(at >= 0)
        for name in wanted:
            self.columns[name][rows] = columns[name][at[rows]]
        self.is_known[rows] = True


def _as_bytes(text: str) -> Array:
    return np.frombuffer(text.encode("utf-8", "surrogateescape"), np.uint8)


def _as_text(column: Array) -> str:
    return column.astype(np.uint8).tobytes().decode("utf-8", "surrogateescape")
