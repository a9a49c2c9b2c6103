"""A folder of pictures as footage."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import numpy as np

from understudy.errors import BadMedia
from understudy.io.footage import stills
from understudy.io.footage.base import BadFrame, Footage, FootageIndex, explain_unreadable
from understudy.io.footage.options import FootageOptions
from understudy.types import Color, Frame

# sRGB, RGB as it is, full range: ITU-T H.273 code points.
_SRGB = Color(primaries=1, transfer=13, matrix=0, range=2)


@dataclass(frozen=True)
class ImageSequenceIndex(FootageIndex):
    """The pictures' names in order, and (width, height) and bits of the first."""

    names: tuple[str, ...]
    size: tuple[int, int]
    bits: int
    reading: FootageOptions
    notes: tuple[str, ...] = ()


class ImageSequence(Footage):
    """The pictures of a folder in natural order, as frames at 25 a second. files: their paths.

    Hidden files and everything that is no picture by its suffix are passed over. Raises BadMedia
    when there is none. A picture whose size differs from the first is a bad frame, unless any_size.
    """

    is_video: ClassVar[bool] = False

    def __init__(
        self,
        path: Path,
        *,
        reading: FootageOptions | None = None,
        any_size: bool = False,
        index: ImageSequenceIndex | None = None,
    ) -> None:
        self.path = path
        self._any_size = any_size
        self._index = index or _scan(path, reading or FootageOptions())
        self._files = [path / name for name in self._index.names]
        self.size, self.bits = self._index.size, self._index.bits
        self.fps, self.time_base = Fraction(25), Fraction(1, 25)
        self.pts, self.last_duration = list(range(len(self._files))), 1
        self.color, self.notes = _SRGB, self._index.notes

    @property
    def index(self) -> ImageSequenceIndex:
        return self._index

    @property
    def files(self) -> list[Path]:
        return self._files

    @property
    def keyframes(self) -> list[int]:
        return list(range(len(self)))

    def iter_frames_or_bad(self, indices: Iterable[int]) -> Generator[Frame | BadFrame]:
        for index in indices:
            try:
                yield self._frame(index)
            except BadMedia as error:
                yield BadFrame(index, str(error))

    def _frame(self, index: int) -> Frame:
        image = stills.read_image(self.files[index])
        if (image.shape[1], image.shape[0]) != self.size and not self._any_size:
            width, height = self.size
            raise BadMedia(
                f"{self.files[index]}: {image.shape[1]}x{image.shape[0]} pixels, but the first"
                f" picture of the folder has {width}x{height}. Make them all the same size, or take"
                " it out."
            )
        if 8 * image.dtype.itemsize != self.bits:
            image = stills.to_8_bits(image) if self.bits == 8 else image.astype(np.uint16) * 257
        return Frame(index, image, color=self.color)


def list_images(folder: Path) -> list[Path]:
    """Return the pictures in a folder, in natural order, without hidden files."""
    return [path for path in _list_named_as_images(folder) if path.is_file()]


def _list_named_as_images(folder: Path) -> list[Path]:
    """As `list_images`, with what is called like a picture and is no file."""
    with explain_unreadable(folder):
        found = (
            path
            for path in folder.iterdir()
            if path.suffix.lower() in stills.SUFFIXES and not path.name.startswith(".")
        )
        return sorted(found, key=natural_key)


def _scan(folder: Path, reading: FootageOptions) -> ImageSequenceIndex:
    found = _list_named_as_images(folder)
    files = [path for path in found if path.is_file()]
    passed = sorted({path.name for path in found} - {path.name for path in files})
    if not files:
        raise BadMedia(
            f"{folder}: no pictures in this folder. Give one with"
            f" {', '.join(sorted(stills.SUFFIXES))} files."
        )
    first = stills.read_image(files[0])
    return ImageSequenceIndex(
        tuple(file.name for file in files),
        (first.shape[1], first.shape[0]),
        8 * first.dtype.itemsize,
        notes=tuple(_notes(folder, passed)),
        reading=reading,
    )


def _notes(folder: Path, passed: list[str]) -> Iterator[str]:
    """passed: names like those of pictures that stand for no file, such as a link to nowhere."""
    if passed:
        few = f"{len(passed)}, such as {passed[0]}"
        yield f"{folder.name}: passed over, as they are no files: {few}."


def natural_key(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Return a sort key by which numbers in a name count as numbers: 2.png before 10.png."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], path.name
