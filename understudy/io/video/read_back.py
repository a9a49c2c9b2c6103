"""A video that was just written, read again as players do: does it show what it should?"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import BinaryIO

import av

from understudy.errors import CannotWrite
from understudy.io.video.faults import FOREIGN, reason

# Bytes that go through Python at a time.
_BUFFER = 1 << 20
# Seconds: Matroska counts in milliseconds, and begins with a packet of sound that is ahead.
_TOLERANCE, _AHEAD = 0.0015, 0.3
# Frames between two steps.
_STEP = 256
_WHAT_NOW = (
    "Nothing was kept. Try another codec, preset or kind of file, and tell us of it: this should"
    " not happen."
)


def check_shown(file: BinaryIO, path: Path, times: Sequence[float]) -> Generator[int]:
    """Decode the video in `file`, with its edit lists, and yield how many frames were seen so far.

    times: when each frame should be shown, in seconds. path: what the file is to be named. Raises
    CannotWrite where other frames are shown, or at other times.
    """
    shown: list[float] = []
    file.seek(0)
    try:
        with av.open(file, "r", buffer_size=_BUFFER) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for frame in container.decode(stream):
                shown.append(float("nan") if frame.time is None else frame.time)
                if len(shown) % _STEP == 0:
                    yield len(shown)
    except (IndexError, *FOREIGN) as error:
        why = "it has no pictures" if isinstance(error, IndexError) else reason(error)
        raise CannotWrite(
            f"{path}: what was written cannot be read again: {why}. {_WHAT_NOW}"
        ) from error
    if len(shown) != len(times):
        raise CannotWrite(
            f"{path}: what was written shows {len(shown)} frames, not {len(times)}. {_WHAT_NOW}"
        )
    late = shown[0] - times[0] if shown else 0.0
    allowed = _AHEAD if path.suffix.lower() == ".mkv" else _TOLERANCE
    wrong = [
        place
        for place, (found, expected) in enumerate(zip(shown, times, strict=True))
        if not abs(found - late - expected) <= _TOLERANCE
    ]
    if not abs(late) <= allowed or wrong:
        place = wrong[0] if wrong else 0
        raise CannotWrite(
            f"{path}: what was written shows frame {place} at {shown[place]:.3f} seconds, not"
            f" {times[place]:.3f}. {_WHAT_NOW}"
        )
