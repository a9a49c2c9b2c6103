"""A video file's packets: opened, listed without decoding, decoded around damage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

# Only local bytes: a playlist dressed up as .mp4 must reach neither the network nor other files.
_OPEN = {"protocol_whitelist": "file"}
# Their packets may hold no picture to show, or two: only decoding counts them.
_UNEVEN = frozenset({"vp8", "mpeg4", "msmpeg4v3", "vc1", "wmv3", "rv40"})


@dataclass(frozen=True)
class PacketTable:
    """What the packets say.

    pts: of every frame shown, ascending; empty when only decoding can tell. keys: pts of those from
    which decoding may start, ascending. last_duration: in units of the time base, 0 = unknown.
    seconds: from the first packet's time to the last one's. is_cut_off: the file promises more than
    it holds.
    """

    pts: list[int]
    keys: list[int]
    last_duration: int
    seconds: float
    is_cut_off: bool


def open_container(path: Path) -> InputContainer:
    """Open the file for reading. Raises av.FFmpegError."""
    return av.open(str(path.absolute()), options=dict(_OPEN))


def video_stream(container: InputContainer) -> VideoStream | None:
    """Return the first video stream that is no cover picture."""
    for stream in container.streams.video:
        if not stream.disposition & stream.disposition.attached_pic:
            return stream
    return None


def read_packet_table(container: InputContainer, stream: VideoStream, path: Path) -> PacketTable:
    """Return the table of a stream's packets; reads the whole file once, decodes nothing.

    Raises av.FFmpegError.
    """
    shown: list[tuple[int, int]] = []
    keys: set[int] = set()
    places: dict[int | None, int] = {}
    is_even = stream.codec_context.codec.canonical_name not in _UNEVEN
    end = Fraction(0)
    for packet in container.demux(stream):
        if packet.pts is None:
            is_even = is_even and not packet.size
            continue
        end = max(end, (packet.pts + (packet.duration or 0)) * packet.time_base)
        if not packet.size:
            continue
        places[packet.pos] = packet.pts
        if packet.is_keyframe:
            keys.add(packet.pts)
        # What comes before the first keyframe cannot be decoded; a container that marks keyframes
        # begins with one.
        if not packet.is_discard and (keys or len(stream.index_entries)):
            shown.append((packet.pts, packet.duration or 0))
    shown.sort()
    pts = [time for time, _ in shown]
    return PacketTable(
        pts=pts if is_even and len(set(pts)) == len(pts) else [],
        keys=sorted(keys | _indexed_keyframes(stream, places)),
        last_duration=shown[-1][1] if shown else 0,
        seconds=float((pts[-1] - pts[0]) * (stream.time_base or 0)) if pts else 0.0,
        is_cut_off=_is_cut_off(stream, path, end),
    )


def decode_packets(
    path: Path, seek_to: int | None = None, threads: int = 0
) -> Iterator[tuple[Packet[VideoStream], list[VideoFrame] | None]]:
    """Yield each packet with the frames that leave the decoder at it; None where it fails.

    Frames come in display order; those from before the first sound one are left out. Raises
    av.FFmpegError when the file cannot be opened; one that cannot be read to its end just ends.

    seek_to: pts of a keyframe. threads: 0 = as FFmpeg likes, which is 1.7 times as fast as its
    default (measured) but may tell of damage later than it happens; 1 = at the packet itself.
    """
    has_begun = False
    with open_container(path) as container:
        stream = video_stream(container)
        assert stream is not None
        stream.codec_context.thread_type = "NONE" if threads == 1 else "AUTO"
        stream.codec_context.thread_count = threads
        if seek_to is not None:
            container.seek(seek_to, stream=stream, backward=True)
        for packet in _iter_readable(container, stream):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                yield packet, None
                continue
            first = (
                0
                if has_begun
                else next(
                    (n for n, frame in enumerate(frames) if not frame.is_corrupt), len(frames)
                )
            )
            has_begun = has_begun or first < len(frames)
            yield packet, frames[first:]


def _iter_readable(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    try:
        yield from container.demux(stream)
    except av.FFmpegError:
        # What cannot be read is missing from the table or, if it was there then, found missing by
        # its times.
        return


def _indexed_keyframes(stream: VideoStream, places: dict[int | None, int]) -> set[int]:
    """The pts of the keyframes that the container marks: damaged ones no longer look like one.

    places: position in the file -> pts, of all packets.
    """
    family = stream.container.format.name
    entries = [entry for entry in stream.index_entries if entry.is_keyframe]
    if "matroska" in family:
        return {entry.timestamp for entry in entries} & set(places.values())
    header = 8 if family == "avi" else 0
    return {places[entry.pos + header] for entry in entries if entry.pos + header in places}


def _is_cut_off(stream: VideoStream, path: Path, end: Fraction) -> bool:
    """Whether the file ends before what its header promises. end: of the last packet, seconds."""
    family = stream.container.format.name
    if "mp4" in family:
        size = path.stat().st_size
        return any(entry.pos + entry.size > size for entry in stream.index_entries)
    if "matroska" in family:
        promised = _seconds(stream.metadata.get("DURATION", ""))
        return promised - end > Fraction(1, 2)
    # An AVI's times are counted, not written: after a hole in the file everything would come too
    # early.
    return family == "avi" and stream.frames * (stream.time_base or 0) - end > Fraction(1, 10)


def _seconds(clock: str) -> Fraction:
    """Matroska's "00:00:02.000000000" in seconds; 0 when it reads otherwise."""
    try:
        hours, minutes, seconds = clock.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
    except ValueError:
        return Fraction(0)
