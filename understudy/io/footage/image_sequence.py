"""A folder of pictures as footage."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import numpy as np

from understudy.errors import BadMedia
from understudy.io.footage import stills
from understudy.io.footage.base import BadFrame, Footage, FootageIndex
from understudy.io.footage.numbered_names import (
    NumberedNames,
    format_ranges,
    read_numbers,
    split_sequences,
)
from understudy.io.footage.options import FootageOptions
from understudy.io.footage.picture_folder import list_pictures
from understudy.io.image_headers import count_pictures
from understudy.io.image_segments import Damaged
from understudy.types import Color, Frame

# sRGB, RGB as it is, full range: ITU-T H.273 code points.
_SRGB = Color(primaries=1, transfer=13, matrix=0, range=2)


@dataclass(frozen=True)
class ImageSequenceIndex(FootageIndex):
    """names: of the pictures, in order. shown: which of them each frame shows; -1 = black.

    frame_names: what the picture of each frame is called, or would be. size: (width, height). The
    fields that `Footage` has mean the same.
    """

    names: tuple[str, ...]
    shown: tuple[int, ...]
    frame_names: tuple[str, ...]
    size: tuple[int, int]
    bits: int
    reading: FootageOptions
    notes: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()


class ImageSequence(Footage):
    """The pictures of a folder in natural order, or a single one, as frames at 25 a second.

    What holds a picture counts, whatever its ending; hidden files do not. Raises BadMedia when
    there is none. The first that can be read decides size and bits. One of another size is a bad
    frame, unless any_size: then these are pictures, not frames of a film, and have no gaps.
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
        self._index = index or _scan(path, reading or FootageOptions(), any_size=any_size)
        folder = path.parent if path.is_file() else path
        self._files = [folder / name for name in self._index.names]
        self.size, self.bits = self._index.size, self._index.bits
        self.fps, self.time_base = Fraction(25), Fraction(1, 25)
        self.pts, self.last_duration = list(range(len(self._index.shown))), 1
        self.color, self.notes, self.choices = _SRGB, self._index.notes, self._index.choices

    @property
    def files(self) -> list[Path]:
        return self._files

    @property
    def frame_names(self) -> tuple[str, ...]:
        """What the picture of each frame is called; of those that are missing, would be."""
        return self._index.frame_names

    @property
    def index(self) -> ImageSequenceIndex:
        return self._index

    @property
    def keyframes(self) -> list[int]:
        return list(range(len(self)))

    def shown_file(self, index: int) -> Path | None:
        """The picture that a frame shows; None of a black one."""
        shown = self._index.shown[index]
        return self._files[shown] if shown >= 0 else None

    def iter_frames_or_bad(self, indices: Iterable[int]) -> Generator[Frame | BadFrame]:
        for index in indices:
            try:
                yield self._frame(index)
            except BadMedia as error:
                yield BadFrame(index, str(error))

    def _frame(self, index: int) -> Frame:
        file, (width, height) = self.shown_file(index), self.size
        if file is None:
            dtype = np.uint8 if self.bits == 8 else np.uint16
            return Frame(index, np.zeros((height, width, 3), dtype), color=self.color)
        image = stills.read_image(file)
        if (image.shape[1], image.shape[0]) != self.size and not self._any_size:
            raise BadMedia(
                f"{file}: {image.shape[1]}x{image.shape[0]} pixels, but the first picture of the"
                f" folder has {width}x{height}. Make them all the same size, or take it out."
            )
        if 8 * image.dtype.itemsize != self.bits:
            image = stills.to_8_bits(image) if self.bits == 8 else image.astype(np.uint16) * 257
        return Frame(index, image, color=self.color)


def _scan(path: Path, reading: FootageOptions, *, any_size: bool) -> ImageSequenceIndex:
    if path.is_file():
        folder, names, notes = path.parent, [path.name], list(_describe_pages(path))
    else:
        found = list_pictures(path, reading)
        folder, names, notes = path, found.names, list(found.notes())
    width, height, bits = _first_facts(folder / name for name in names)
    shown, frame_names = list(range(len(names))), list(names)
    choices: tuple[str, ...] = ()
    numbered = None if any_size else read_numbers(names)
    if numbered and numbered.missing and reading.gaps != "short":
        shown, frame_names = _fill_gaps(names, numbered, is_black=reading.gaps == "black")
        there = {*names}
        holes = [frame for frame, name in enumerate(frame_names) if name not in there]
        choices = (f"gaps {reading.gaps}: {format_ranges(holes, most=len(holes))}",)
    if not any_size:
        told = _describe_sequence(numbered, reading.gaps) if numbered else _describe_mixture(names)
        notes += [f"{path.name}: {each}" for each in told]
    return ImageSequenceIndex(
        tuple(names),
        tuple(shown),
        tuple(frame_names),
        (width, height),
        bits,
        reading=reading,
        notes=tuple(notes),
        choices=choices,
    )


def _first_facts(files: Iterable[Path]) -> tuple[int, int, int]:
    """Width, height and bits of the first picture that can be read. Raises BadMedia of the first.

    One that is broken is one bad frame, wherever it stands.
    """
    problem: BadMedia | None = None
    for file in files:
        try:
            image = stills.read_image(file)
        except BadMedia as error:
            problem = problem or error
        else:
            return image.shape[1], image.shape[0], 8 * image.dtype.itemsize
    assert problem is not None
    raise problem


def _fill_gaps(
    names: list[str], numbered: NumberedNames, *, is_black: bool
) -> tuple[list[int], list[str]]:
    """The place of the picture that each frame shows (-1 = black), and the name of each frame."""
    shown, frame_names = list[int](), list[str]()
    last: tuple[int, int] | None = None
    for place, name in enumerate(names):
        number = numbered.numbers.get(name)
        if number is not None:
            gap = range(last[0] + numbered.step, number, numbered.step) if last else range(0)
            shown += [-1 if is_black or last is None else last[1]] * len(gap)
            frame_names += map(numbered.name, gap)
            last = number, place
        shown.append(place)
        frame_names.append(name)
    return shown, frame_names


def _describe_sequence(numbered: NumberedNames, gaps: str) -> Iterator[str]:
    """Notes on what is missing of a sequence, and on what is not of it."""
    if missing := numbered.missing:
        what = {
            "hold": "The picture before them is shown longer",
            "black": "They are black",
            "short": "They are left out, so what follows comes too early",
        }
        others = " or ".join(name for name in what if name != gaps)
        yield (
            f"frames that are missing: {len(missing)}, {format_ranges(missing, numbered.step)}."
            f" {what[gaps]} (--gaps {gaps}; or {others})."
        )
    if numbered.others:
        first, *_, last = numbered.numbers
        yield (
            f"not of the sequence {first} to {last}, and a frame like the others:"
            f" {', '.join(sorted(numbered.others)[:4])}. Take it out where that is not meant."
        )


def _describe_pages(path: Path) -> Iterator[str]:
    """A note where a file holds more pictures than the one that is read."""
    with contextlib.suppress(Damaged):
        count = count_pictures(stills.read_bytes(path))
        if count > 1:
            yield f"{path.name}: {count} pictures in one file, of which the first is taken."


def _describe_mixture(names: list[str]) -> Iterator[str]:
    """A note where pictures of several sequences lie in one folder."""
    if len(sequences := split_sequences(names)) > 1:
        told = ", ".join(f"{group[0]} to {group[-1]} ({len(group)})" for group in sequences[:4])
        yield (
            f"several sequences in one folder: {told}. They are taken one after the other. Where"
            " that is not meant, give each its own folder."
        )
