"""Footage as the processes that share the work on it read it."""

from __future__ import annotations

import bisect
import functools
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from understudy.io.footage.base import BadFrame, Footage, FootageIndex
from understudy.io.footage.fingerprint import FootageFingerprint
from understudy.io.open_footage import open_footage
from understudy.types import Frame


@dataclass(frozen=True, slots=True)
class FootageHandle:
    """A footage as it travels to other processes.

    source: tells whether it is still the same. index: see `open_footage`.
    """

    path: Path
    source: FootageFingerprint
    any_size: bool
    index: FootageIndex = field(compare=False)

    @classmethod
    def of(cls, footage: Footage, any_size: bool) -> FootageHandle:
        """An opened footage, ready to travel."""
        return cls(footage.path, footage.fingerprint, any_size, footage.index)


class FootageReader:
    """Reads ranges of a footage, one after the other.

    It decodes on from where the last one ended where that is the shorter way.
    """

    def __init__(self, footage: Footage) -> None:
        self.footage = footage
        self._wanted: deque[int] = deque()
        self._frames: Generator[Frame | BadFrame] | None = None
        self._at = 0

    def iter_frames_or_bad(self, frames: Sequence[int]) -> Generator[Frame | BadFrame]:
        """As `Footage.iter_frames_or_bad`. One range at a time."""
        going_on, self._frames = self._frames, None
        if going_on is None or not self._is_reachable(frames[0]):
            self._wanted.clear()
            # It asks for the next number only when it has given out the last frame, so more can be
            # put in until then.
            going_on = self.footage.iter_frames_or_bad(iter(self._next, None))
        self._wanted.extend(frames)
        for index in frames:
            yield next(going_on)
            self._at = index
        # Only a range that was read to its end can be gone on from.
        self._frames = going_on

    def _next(self) -> int | None:
        return self._wanted.popleft() if self._wanted else None

    def _is_reachable(self, first: int) -> bool:
        """Whether decoding on reaches the frame sooner than seeking.

        So it is when it comes next, or no frame from which decoding can begin lies between.
        """
        keys = self.footage.keyframes
        return first >= self._at and bisect.bisect_right(keys, first) == bisect.bisect_right(
            keys, self._at
        )


@functools.lru_cache(maxsize=2)
def open_reader(film: FootageHandle, rough: bool) -> FootageReader:
    """The footage, opened once a process. rough: see `open_footage`.

    One decoder thread: the processes share the cores, and damage shows at the same frames every
    time.
    """
    return FootageReader(
        open_footage(film.path, any_size=film.any_size, index=film.index, threads=1, rough=rough)
    )
