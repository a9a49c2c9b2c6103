"""Files without a name, which go with the process, and arrays in them too large for memory."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Self, cast

import numpy as np
from numpy.typing import NDArray

from understudy.io import atomic, system
from understudy.types import Array, Bytes, Floats

# Rows no further apart are read in one go, with those between.
_APART = 64


@contextlib.contextmanager
def unnamed_file(folder: Path) -> Iterator[BinaryIO]:
    """Yield an empty file in `folder` to write and read; it goes with the process, however it ends.

    Raises:
        CannotWrite: The disk is full, or the place is read-only.
    """
    with atomic.explain_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            yield cast(BinaryIO, file)


def zeros(folder: Path, shape: tuple[int, ...]) -> Bytes:
    """Return uint8 zeros: in memory, or in a file when they take more than half of what is free.

    The file, in `folder` and without a name, goes with the array, however the process ends.

    Raises:
        CannotWrite: The disk is full, or the place is read-only.
    """
    size, free = int(np.prod(shape)), system.free_memory()
    if free is None or 2 * size <= free:
        return np.zeros(shape, np.uint8)
    with atomic.explain_os_errors(folder), tempfile.TemporaryFile(dir=folder) as file:
        # Taken at once: a disk that fills up later would end the process without a word.
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
        return np.asarray(np.memmap(file, np.uint8, "r+", shape=shape))


class DiskColumn:
    """Rows of float32 in a file without a name in `folder`; it goes with its last holder.

    Read it as an array of N rows: `column[rows]`, with an array of row numbers in any order.

    Raises:
        CannotWrite: The disk is full, or the place is read-only.
    """

    def __init__(self, folder: Path, shape: tuple[int, ...]) -> None:
        self._folder, self._shape = folder, shape
        self._bytes = 4 * int(np.prod(shape))
        self._count = 0
        with atomic.explain_os_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)
        # A table has no moment at which it is done with.
        weakref.finalize(self, self._file.close)

    def blank(self) -> Self:
        """Another such column, of as many rows of zeros."""
        column = type(self)(self._folder, self._shape)
        with atomic.explain_os_errors(self._folder):
            column._file.truncate(self._count * self._bytes)
        column._count = self._count
        return column

    def __len__(self) -> int:
        return self._count

    def extend(self, values: Array) -> None:
        """Append rows (M, ...)."""
        if values.shape[1:] != self._shape:
            raise ValueError(f"rows of {values.shape[1:]} for a column of {self._shape}")
        self._write(self._count, values)
        self._count += len(values)

    def __setitem__(self, rows: NDArray[np.int64], values: Array) -> None:
        for group in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(rows) != 1) + 1):
            if len(group):
                self._write(int(rows[group[0]]), values[group])

    def __getitem__(self, rows: NDArray[np.int64]) -> Floats:
        if not len(rows):
            return np.zeros((0, *self._shape), np.float32)
        if len(rows) == rows[-1] - rows[0] + 1 and (np.diff(rows) == 1).all():
            return self._read(int(rows[0]), len(rows))
        result = np.empty((len(rows), *self._shape), np.float32)
        order = np.argsort(rows, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(rows[order]) > _APART) + 1):
            first, last = int(rows[group[0]]), int(rows[group[-1]])
            result[group] = self._read(first, last + 1 - first)[rows[group] - first]
        return result

    def _write(self, first: int, values: Array) -> None:
        # Bytes, since an array without rows has no memory to look at.
        data = np.ascontiguousarray(values, np.float32).tobytes()
        with atomic.explain_os_errors(self._folder):
            self._file.seek(first * self._bytes)
            if self._file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _read(self, first: int, count: int) -> Floats:
        result = np.empty((count, *self._shape), np.float32)
        self._file.seek(first * self._bytes)
        if (
            first + count > self._count
            or self._file.readinto(result.data.cast("B")) != result.nbytes
        ):
            raise IndexError(f"rows {first} to {first + count} of {self._count}")
        return result
