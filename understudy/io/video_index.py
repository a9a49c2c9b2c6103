"""The table of a video's frames, read once from its packets so that counting and seeking are exact."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

# Only local bytes: a playlist dressed up as .mp4 must reach neither the network nor other files.
_OPEN = {"protocol_whitelist": "file"}
# Their packets may hold no picture to show, or two: only decoding counts them.
_UNEVEN = frozenset({"vp8", "mpeg4", "msmpeg4v3", "vc1", "wmv3", "rv40"})


@dataclass(frozen=True)
class Index:
    """pts: of every frame shown, ascending. keys: those from which decoding may start. is_exact: False when the packets do
    not tell (then `pts` is empty and the frames must be decoded to be counted). last_duration: in units of the time base,
    0 = unknown. is_cut_off: the file promises more than it holds.
    """

    pts: list[int]
    keys: list[int]
    last_duration: int
    is_exact: bool
    is_cut_off: bool

    def starts(self, pts: int) -> Iterator[int]:
        """Places to start decoding from so as to reach `pts`, the nearest first, at most three."""
        at = bisect.bisect_right(self.keys, pts)
        yield from self.keys[max(0, at - 3) : at][::-1]


def open_container(path: Path) -> InputContainer:
    """The file, opened for reading. Raises av.FFmpegError."""
    return av.open(str(path.absolute()), options=dict(_OPEN))


def picture_stream(container: InputContainer) -> VideoStream | None:
    """The first video stream that is no cover picture."""
    for stream in container.streams.video:
        if not stream.disposition & stream.disposition.attached_pic:
            return stream
    return None


def build(container: InputContainer, stream: VideoStream, path: Path) -> Index:
    """The index of `stream`; reads the whole file once, decodes nothing. Raises av.FFmpegError."""
    shown: list[tuple[int, int]] = []
    keys: list[int] = []
    is_exact = stream.codec_context.codec.canonical_name not in _UNEVEN
    end = Fraction(0)
    for count, packet in enumerate(packet for packet in container.demux(stream) if packet.size):
        if packet.pts is None or (count == 0 and not packet.is_keyframe):
            is_exact = False
            continue
        end = max(end, (packet.pts + (packet.duration or 0)) * packet.time_base)
        if packet.is_keyframe:
            keys.append(packet.pts)
        if not packet.is_discard:
            shown.append((packet.pts, packet.duration or 0))
    shown.sort()
    pts = [time for time, _ in shown]
    is_exact = is_exact and bool(pts) and len(set(pts)) == len(pts)
    return Index(
        pts=pts if is_exact else [],
        keys=sorted(keys),
        last_duration=shown[-1][1] if shown else 0,
        is_exact=is_exact,
        is_cut_off=_is_cut_off(stream, path, end),
    )


def rate(stated: Fraction | None, pts: list[int], time_base: Fraction) -> Fraction:
    """Frames a second: exact where they come evenly, what the file states where they nearly do, else the mean."""
    steps = {later - earlier for earlier, later in pairwise(pts)}
    if len(steps) == 1:
        return 1 / (steps.pop() * time_base)
    if not steps or (stated and max(steps) - min(steps) <= 1):
        return stated or Fraction(25)
    return ((len(pts) - 1) / ((pts[-1] - pts[0]) * time_base)).limit_denominator(1001)


def _is_cut_off(stream: VideoStream, path: Path, end: Fraction) -> bool:
    """Whether the file ends before what its header promises; end: of the last packet found, in seconds."""
    family = stream.container.format.name
    if "mp4" in family:
        size = path.stat().st_size
        return any(entry.pos + entry.size > size for entry in stream.index_entries)
    if "matroska" in family:
        promised = _seconds(stream.metadata.get("DURATION", ""))
        return promised - end > Fraction(1, 2)
    return False


def _seconds(clock: str) -> Fraction:
    """Matroska's "00:00:02.000000000" in seconds; 0 when it reads otherwise."""
    try:
        hours, minutes, seconds = clock.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
    except ValueError:
        return Fraction(0)
