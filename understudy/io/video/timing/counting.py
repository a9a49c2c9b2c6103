"""How many frames a video has where only decoding all of it can tell."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from understudy.errors import BadMedia
from understudy.io.footage.clock import Clock
from understudy.io.limits import MAX_VIDEO_PIXELS
from understudy.io.video import packets
from understudy.io.video.index import VideoIndex
from understudy.io.video.timing.frame_times import mend_times
from understudy.io.video.timing.packet_table import PacketTable

# From a keyframe so many are looked at, to know whether it can be sought.
_TAIL = 24
# So many pixels a file may hold in all its frames, and so many more for each of its bytes. A still
# picture of 4K that lasts takes 40 bytes a frame (x264), which is 207,000 pixels a byte.
_FREE_PIXELS = 2**33
_PIXELS_A_BYTE = 2**18
# A frame takes so many bytes at the least; so many frames may be in any file.
_BYTES_A_FRAME = 8
_FREE_FRAMES = 1000


@dataclass
class _Counted:
    """What decoding all finds: of each frame its time and whether it is a keyframe."""

    stamps: list[int | None] = field(default_factory=list)
    keys: list[bool] = field(default_factory=list)
    undecoded: set[int] = field(default_factory=set)
    sound: int = 0


def count_frames(
    index: VideoIndex, table: PacketTable, path: Path, usual: int
) -> tuple[VideoIndex, list[int]]:
    """Return the index with the frames that decoding finds, and which times made no sense.

    usual: ticks from one to the next where their times say nothing.
    """
    found = _decode_all(index, path)
    times, wrong = mend_times(found.stamps, usual, table.longest)
    begin = min([times[0], *index.keys])
    lost = {
        time
        for time in found.undecoded
        if begin <= time and (time < times[-1] or not index.is_cut_off)
    } - {*times, *found.stamps}
    pts = sorted([*times, *lost])
    marked = set(index.keys)
    keys = {
        time: stamp
        for time, stamp, is_key in zip(times, found.stamps, found.keys, strict=True)
        if is_key or stamp in marked
    }
    index = replace(
        index,
        pts=pts,
        keys=sorted(keys.keys() | (marked & lost)),
        key_bytes={
            time: index.key_bytes[stamp]
            for time, stamp in keys.items()
            if stamp is not None and stamp in index.key_bytes
        },
        is_exact=False,
        lost=frozenset(place for place, time in enumerate(pts) if time in lost),
    )
    known = [stamp for stamp in found.stamps if stamp is not None]
    is_one_to_one = len(set(known)) == len(known) and not lost
    if table.is_steady and is_one_to_one and not index.is_cut_off:
        sought = replace(index, is_exact=True, stamps=found.stamps)
        index = sought if _can_be_sought(sought, path) else index
    return index, wrong


def reconcile(table: PacketTable, counted: VideoIndex) -> VideoIndex:
    """Return the counted index, or what the packets promise where most of that was found.

    Of a file that is cut off, where all that was found is what they promise as far as it goes.
    """
    if counted.is_cut_off and table.pts:
        begin = bisect.bisect_left(table.pts, counted.pts[0])
        if counted.pts == table.pts[begin : begin + len(counted.pts)] and not counted.lost:
            keys = [time for time in table.keys if time <= counted.pts[-1]]
            return replace(counted, keys=keys, is_exact=True)
    is_part = set(counted.pts) <= set(table.pts) and 3 * len(counted.pts) > 2 * len(table.pts)
    if counted.is_cut_off or not is_part:
        return counted
    begin = bisect.bisect_left(table.pts, min(counted.pts[0], table.keys[0]))
    return replace(counted, pts=table.pts[begin:], keys=table.keys, is_exact=True, lost=frozenset())


def decode_within_bounds(
    path: Path, known: Clock
) -> Iterator[tuple[Packet[VideoStream], list[VideoFrame] | None]]:
    """Decode as `packets.decode_packets` from the start on. Raises BadMedia as `check_worth`."""
    frames_and_failures = 0
    for packet, frames in packets.decode_packets(path, known, threads=1):
        frames_and_failures += max(1, len(frames or ()))
        context = packet.stream.codec_context
        check_worth(path, frames_and_failures, context.width, context.height)
        yield packet, frames


def check_worth(path: Path, count: int, width: int, height: int) -> None:
    """Raise BadMedia where a small file claims no end of frames, or of huge ones."""
    pixels = count * max(1, min(width * height, MAX_VIDEO_PIXELS))
    size = path.stat().st_size
    too_many = count > _FREE_FRAMES + size // _BYTES_A_FRAME
    if too_many or pixels > _FREE_PIXELS + _PIXELS_A_BYTE * size:
        what = "frames" if too_many else f"frames of {width}x{height} pixels"
        raise BadMedia(
            f"{path}: it claims more {what} than a file of {size} bytes can hold, so it was not"
            " read further. Give an intact file."
        )


def _decode_all(index: VideoIndex, path: Path) -> _Counted:
    found = _Counted()
    for packet, frames in decode_within_bounds(path, index.clock):
        if frames is None and packet.pts is not None:
            found.undecoded.add(packet.pts)
        for frame in frames or []:
            found.stamps.append(frame.pts)
            found.keys.append(frame.key_frame)
            found.sound = found.sound if frame.is_corrupt else len(found.stamps)
    if index.is_cut_off and found.sound:
        # Of its last frames there is half at best.
        del found.stamps[found.sound :], found.keys[found.sound :]
    return found


def _can_be_sought(index: VideoIndex, path: Path) -> bool:
    """Whether from a keyframe on the frames come that come there when all are decoded.

    Some decoders know only from the file's start how two pictures lie in a packet.
    """
    later = [bisect.bisect_left(index.pts, key) for key in index.keys if key > index.pts[0]]
    return all(_comes_the_same(index, path, place) for place in {*later[:1], *later[-1:]})


def _comes_the_same(index: VideoIndex, path: Path, place: int) -> bool:
    """Whether what is sought from the keyframe with that number on has the times that it should."""
    expected = (index.stamps or [])[place : place + _TAIL]
    first = expected[0]
    if first is None:
        return False
    to = index.place_of(index.pts[place])
    found = (
        frame.pts
        for _, frames in packets.decode_packets(path, index.clock, to, threads=1)
        for frame in frames or ()
    )
    from_there = itertools.dropwhile(lambda stamp: stamp != first, found)
    return list(itertools.islice(from_there, len(expected))) == expected
