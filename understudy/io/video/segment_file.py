"""Encoded parts of a video on disk, in a form that no player opens: they carry no mark yet."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from typing import TYPE_CHECKING, BinaryIO, Final, cast

import numpy as np

from understudy.errors import BadMedia
from understudy.io import atomic, data_files

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from pathlib import Path

    from typing_extensions import Buffer

SUFFIX: Final = ".segment"
# The container behind the header: it takes every codec that is written here.
FORMAT: Final = "mov"
_HEADER: Final = b"Understudy segment 1: a part of a merge, to be joined and marked.\n\0"
# No secret: it is here for all to read. What looks at a file to tell what it is finds nothing.
_PATTERN: Final = np.frombuffer(hashlib.shake_256(_HEADER).digest(1 << 16), np.uint8)


class SegmentFile(io.RawIOBase):
    """The encoded movie in an open segment file, as a file that can be read, written and sought.

    On disk it lies behind a header, each byte changed by a fixed pattern. Closing it leaves `file`
    open. Raises ValueError where `file` is not empty and has no such header.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        file.seek(0)
        found = file.read(len(_HEADER))
        if not found and file.writable():
            file.write(_HEADER)
        elif found != _HEADER:
            raise ValueError("it does not begin as a segment does")

    def readable(self) -> bool:
        """Always."""
        return True

    def writable(self) -> bool:
        """Whether the file below is."""
        return self._file.writable()

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a place in the movie; return it."""
        before = len(_HEADER) if whence == os.SEEK_SET else 0
        return self._file.seek(offset + before, whence) - len(_HEADER)

    def readinto(self, buffer: Buffer, /) -> int:
        """Read on into `buffer`; return how many bytes, 0 at the end."""
        place = self.tell()
        with memoryview(buffer).cast("B") as room:
            data = self._file.read(len(room))
            room[: len(data)] = _change(data, place)
        return len(data)

    def write(self, data: Buffer, /) -> int:
        """Write all of `data`; return how many bytes."""
        return self._file.write(_change(memoryview(data), self.tell()))


def write_pictures(path: Path, pictures: Iterable[bytes]) -> Generator[int]:
    """Write the files of pictures as a segment, and yield how many are in it so far.

    All or nothing. Raises CannotWrite.
    """
    with (
        atomic.partial_file(path) as partial,
        partial.open("w+b") as file,
        SegmentFile(file) as inner,
        zipfile.ZipFile(cast(BinaryIO, inner), "w") as packed,
    ):
        for number, picture in enumerate(pictures, start=1):
            packed.writestr(f"{number:09d}", picture)
            yield number


def read_pictures(path: Path, sha256: str) -> Generator[bytes]:
    """The files of pictures in a segment, in their order; sha256: its `digest`.

    Raises BadMedia for one that is not what was written, CannotRead.
    """
    if digest(path) != sha256:
        raise BadMedia(
            f"{path}: changed since it was written. Run the same command again: these frames are"
            " then rendered anew."
        )
    with (
        data_files.open_file(path) as file,
        SegmentFile(file) as inner,
        zipfile.ZipFile(cast(BinaryIO, inner)) as packed,
    ):
        for name in packed.namelist():
            yield packed.read(name)


def digest(path: Path) -> str:
    """Return the SHA-256 in hex of the file at `path`, header and all. Raises BadData, CannotRead.

    Where the processor has instructions for it, it is the quickest of hashlib: 1.5 GB/s measured.
    """
    with data_files.open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _change(data: bytes | memoryview, place: int) -> bytes:
    """The bytes as they lie on disk at `place` of the movie; of those, what they were."""
    there = np.frombuffer(data, np.uint8)
    pattern = np.resize(np.roll(_PATTERN, -(place % len(_PATTERN))), len(there))
    return bytes(there ^ pattern)
