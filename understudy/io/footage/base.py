"""The interface of all footage: video files and folders of pictures."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from understudy.errors import BadMedia
from understudy.io import system_faults
from understudy.io.footage.clock import NO_OFFSET, Clock
from understudy.io.footage.fingerprint import FootageFingerprint
from understudy.types import Chroma, Color, FieldOrder, Frame, LightLevels


@dataclass(frozen=True, slots=True)
class BadFrame:
    """A frame without a usable picture. reason: what, where, what now."""

    index: int
    reason: str


@contextmanager
def explain_unreadable(path: Path) -> Iterator[None]:
    """Turn what the system says of a file or folder that cannot be read into BadMedia."""
    try:
        yield
    except FileNotFoundError as error:
        raise BadMedia(f"{path}: no such file or folder. Check the name.") from error
    except OSError as error:
        fault = system_faults.reading(error)
        why = fault or f"{(error.strerror or 'it does not answer').lower()}. Check the name."
        raise BadMedia(f"{path}: cannot be read: {why}") from error


class FootageIndex:
    """What opening a footage finds out, as plain data that travels to other processes."""

    __slots__ = ()


class Footage(ABC):
    """A video or a folder of pictures as a sequence of frames, in the order they are shown.

    `len` is exact, iterating starts from the first frame each time, `[i]` is frame-exact. Pictures
    come upright (rotation marks are obeyed), RGB, uint8, or uint16 (full scale 65535) when the
    source has more than 8 bits; alpha is dropped. Their pixels are square, and each shows one
    moment; where that is not what the file holds, `Frame.plate` has its own samples. Use it in a
    `with` block, from one thread.

    path: what it was opened from. size: (width, height) of the upright pictures. plate_size: of
    their plates, which is how they are written. field_order: which field of its interlaced frames
    comes first; None where there are none. fps: pictures a second; the mean where the rate varies.
    pts: presentation time of every frame in units of time_base; 0 is where picture or sound starts,
    whichever is first. last_duration: how long the last frame stays, same unit. clock: how the
    file's own times become those. color: as coded, with absent tags resolved. bits: per channel in
    the source. pixel_aspect: width over height of a pixel of the plate. chroma: how finely the file
    keeps colour; "420" for pictures and RGB. light: how HDR was mastered, None = not told.
    is_cut_off: the file ends before what its header promises. warnings: what is missing because of
    that. notes: what else a user may want to know. choices: of how it is read, those that make a
    difference to this footage, as text. is_video: False for pictures, whose pts are made up at 25 a
    second.
    """

    is_video: ClassVar[bool] = True

    path: Path
    size: tuple[int, int]
    fps: Fraction
    time_base: Fraction
    pts: list[int]
    last_duration: int
    color: Color
    bits: int
    has_audio: bool = False
    is_cut_off: bool = False
    clock: Clock = NO_OFFSET
    pixel_aspect: Fraction = Fraction(1)
    field_order: FieldOrder | None = None
    chroma: Chroma = "420"
    light: LightLevels | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.pts)

    def __iter__(self) -> Iterator[Frame]:
        return self.frames()

    def __getitem__(self, index: int) -> Frame:
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.path}: there is no frame {index}, only 0 to {len(self) - 1}.")
        return self._frame(index % len(self))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Yield the frames from `start` up to `stop`, without it (None = the end).

        Raises:
            BadMedia: At a broken frame.
        """
        return self.iter_frames(range(start, len(self) if stop is None else min(stop, len(self))))

    def iter_frames(self, indices: Iterable[int]) -> Generator[Frame]:
        """Yield the frames at these indices, which must not descend.

        Raises:
            BadMedia: At a broken frame, and then ends.
        """
        for each in self.iter_frames_or_bad(indices):
            if isinstance(each, BadFrame):
                raise BadMedia(each.reason)
            yield each

    @abstractmethod
    def iter_frames_or_bad(self, indices: Iterable[int]) -> Generator[Frame | BadFrame]:
        """Yield the frames at these indices, which must not descend; a broken one as a `BadFrame`.

        Frames between are decoded at most, never converted. Damage costs no more than looking at
        the frames around it once.
        """

    @property
    @abstractmethod
    def index(self) -> FootageIndex:
        """What opening found out: with `open_footage(path, index=...)` nothing is read again."""

    @property
    @abstractmethod
    def keyframes(self) -> list[int]:
        """Frames that need no earlier one to be decoded, ascending, with 0: cut work there."""

    @property
    def plate_size(self) -> tuple[int, int]:
        """(width, height) of the plates."""
        return self.size

    @property
    def files(self) -> list[Path]:
        """The files that hold its frames, in their order."""
        return [self.path]

    @functools.cached_property
    def fingerprint(self) -> FootageFingerprint:
        """What it is known again by: what it shows. Raises BadMedia when a file is gone."""
        with explain_unreadable(self.path):
            return FootageFingerprint.of(self.files, len(self), self.size, self.choices)

    @property
    def duration(self) -> Fraction:
        """How long the footage lasts, in seconds."""
        return self.seconds(len(self)) if self.pts else Fraction(0)

    def seconds(self, index: int) -> Fraction:
        """Return when frame `index` appears, in seconds after the first; len = the end."""
        ticks = self.pts[index] if index < len(self) else self.pts[-1] + self.last_duration
        return (ticks - self.pts[0]) * self.time_base

    def close(self) -> None:  # noqa: B027
        """Let go of what is open. A footage may be closed twice."""

    @abstractmethod
    def _frame(self, index: int) -> Frame:
        """Frame `index`, 0 <= index < len."""
