"""Interlaced video as one frame for each field."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterable
from dataclasses import replace

from understudy.core.plate import as_seen, other_field, whole_field
from understudy.io.footage.base import BadFrame, Footage
from understudy.io.video.index import VideoIndex
from understudy.io.video.reader import VideoFootage
from understudy.types import Frame


class BobFootage(Footage):
    """A video with two frames for each of its own: 2n shows the first field of n, 2n + 1 the other.

    A field has half of the frame's time, and the lines between its own are interpolated. A frame
    that holds no fields is there twice. Its clock ticks twice as fast, so every time is exact.
    """

    def __init__(self, woven: VideoFootage) -> None:
        # All that is known of the video holds of its fields, but their number and their times. Half
        # of the last duration is the same number of ticks that are half as long.
        known = {name: value for name, value in vars(woven).items() if not name.startswith("_")}
        self.__dict__.update(known)
        self._woven, self.field_order = woven, None
        self.fps, self.time_base = 2 * woven.fps, woven.time_base / 2
        ends = [*woven.pts[1:], woven.pts[-1] + woven.last_duration]
        self.pts = [
            time
            for begin, end in zip(woven.pts, ends, strict=True)
            for time in (2 * begin, begin + end)
        ]

    @property
    def plate_size(self) -> tuple[int, int]:
        return self._woven.plate_size

    @property
    def index(self) -> VideoIndex:
        return self._woven.index

    @property
    def keyframes(self) -> list[int]:
        return [2 * frame for frame in self._woven.keyframes]

    def iter_frames_or_bad(self, indices: Iterable[int]) -> Generator[Frame | BadFrame]:
        wanted, asked = itertools.tee(indices)
        decoded = self._woven.iter_frames_or_bad(index // 2 for index in asked)
        for each, index in zip(decoded, wanted, strict=True):
            yield (
                replace(each, index=index)
                if isinstance(each, BadFrame)
                else self._take(each, index)
            )

    def close(self) -> None:
        self._woven.close()

    def _frame(self, index: int) -> Frame:
        return self._take(self._woven[index // 2], index)

    def _take(self, woven: Frame, index: int) -> Frame:
        """Frame `index`, out of the frame that holds it."""
        plate = woven.image if woven.plate is None else woven.plate
        if woven.fields is not None:
            plate = whole_field(plate, other_field(woven.fields) if index % 2 else woven.fields)
        image = as_seen(plate, self.size, None)
        return replace(
            woven,
            index=index,
            image=image,
            pts=self.pts[index],
            time_base=self.time_base,
            plate=None if image is plate else plate,
            fields=None,
        )
