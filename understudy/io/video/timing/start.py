"""Where presentation starts: times of pictures and sound from there on."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from statistics import median_low

from understudy.io.video.index import VideoIndex
from understudy.io.video.timing.packet_table import FirstSound

# Sound this many seconds ahead of the picture began with it: most encoders put less before it.
_BEGAN_WITH = Fraction(1, 20)
# No encoder of sound puts more than so many before it.
_SILENCE = Fraction(1, 10)


def start_evenly(index: VideoIndex) -> VideoIndex:
    """Return the index of an AVI whose first frame is not too early.

    FFmpeg cannot write there that the picture starts after the sound, as where a sound encoder put
    silence before it: it writes the first frame at 0, then empty ones up to the second.
    """
    steps = [later - earlier for earlier, later in pairwise(index.pts)]
    late = steps[0] - median_low(steps[1:]) if len(steps) > 1 else 0
    if not 0 < late * index.time_base <= _SILENCE:
        return index
    first = index.pts[0]
    return replace(
        index,
        pts=[first + late, *index.pts[1:]],
        keys=[first + late if key == first else key for key in index.keys],
        stamps=index.stamps or list(index.pts),
    )


def count_from_start(index: VideoIndex, sound: FirstSound | None) -> VideoIndex:
    """Return the index with times from the start of presentation, of picture or sound.

    Sound that is ahead of the picture by up to a frame of either, or by what nobody notices, began
    with it: presentation starts with the picture.
    """
    start = index.pts[0] * index.time_base
    if sound is not None and sound.start < start - max(1 / index.fps, sound.lasting, _BEGAN_WITH):
        start = sound.start
    ticks = round(start / index.time_base)
    return replace(
        index,
        clock=replace(index.clock, origin=start),
        pts=[time - ticks for time in index.pts],
        keys=[time - ticks for time in index.keys],
        key_bytes={time - ticks: byte for time, byte in index.key_bytes.items()},
        stamps=index.stamps
        and [None if stamp is None else stamp - ticks for stamp in index.stamps],
    )
