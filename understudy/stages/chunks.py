"""Footage in pieces: the stretches of frames that are worked on, kept and resumed as one."""

from __future__ import annotations

import bisect
from dataclasses import dataclass

from understudy.io.footage import Footage

# Frames a chunk: enough that starting one does not count, few enough that a killed run loses little.
_FEWEST, _MOST = 48, 96


@dataclass(frozen=True, slots=True)
class Chunk:
    """Frames first, first + every, … up to but not including `end`. following: the frame after them, -1 = none."""

    frames: range
    following: int


def chunks(footage: Footage, every: int) -> list[Chunk]:
    """The whole footage, every n-th frame of it, in chunks; the same footage gives the same ones.

    A chunk begins where decoding can begin, if such a frame comes in time: to reach any other, those before it must be decoded.
    """
    total, keys = len(footage), footage.keyframes
    starts = [0]
    while starts[-1] + _MOST * every < total:
        at = bisect.bisect_right(keys, starts[-1] + _MOST * every) - 1
        key = keys[at] if at >= 0 else 0
        start = key if key >= starts[-1] + _FEWEST * every else starts[-1] + _MOST * every
        # Only every n-th frame is taken, counted from the first of all.
        starts.append(-(-start // every) * every)
    ends = [*starts[1:], total]
    return [
        Chunk(range(start, end, every), end if end < total else -1) for start, end in zip(starts, ends, strict=True) if start < end
    ]
