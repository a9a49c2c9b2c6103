"""Footage in chunks: ranges of frames that are worked on, kept and resumed as one."""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass

from understudy.io.footage.base import Footage

# Frames a chunk: enough that starting one does not count, few enough that a killed run loses
# little.
_FEWEST, _MOST = 24, 96
# A short clip still has so many chunks, that every core has its share.
_SHARES = 6


@dataclass(frozen=True, slots=True)
class Chunk:
    """Frames first, first + every, … up to but not including `end`.

    following: the frame after them, -1 = none.
    """

    frames: range
    following: int


def split_into_chunks(footage: Footage, every: int, longest: int = 0) -> list[Chunk]:
    """The whole footage, every n-th frame of it, in chunks; the same footage gives the same ones.

    longest: frames a chunk at most, 0 = as is good for looking for faces. A chunk begins where
    decoding can begin, if such a frame comes in time: to reach any other, those before it must be
    decoded.
    """
    total, keys = len(footage), footage.keyframes
    most = every * min(max(math.ceil(total / every / _SHARES), _FEWEST), longest or _MOST)
    starts = [0]
    while starts[-1] + most < total:
        at = bisect.bisect_right(keys, starts[-1] + most) - 1
        start = keys[at] if at >= 0 and keys[at] >= starts[-1] + most // 2 else starts[-1] + most
        # Only every n-th frame is taken, counted from the first of all.
        starts.append(-(-start // every) * every)
    ends = [*starts[1:], total]
    return [
        Chunk(range(start, end, every), end if end < total else -1)
        for start, end in zip(starts, ends, strict=True)
        if start < end
    ]
