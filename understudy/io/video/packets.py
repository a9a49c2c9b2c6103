"""A video file's packets: opened, listed without decoding, decoded around damage."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.format import ContainerFormat, Flags, formats_available
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from understudy.errors import BadMedia
from understudy.io.limits import MAX_VIDEO_PIXELS
from understudy.io.video.faults import FOREIGN

# Kinds that name other files or addresses, or draw text: none is opened, whatever its name is.
_LISTS = frozenset(
    {"applehttp", "concat", "dash", "ffmetadata", "hls", "image2pipe", "imf", "rtp", "sdp", "tty"}
    | {"vobsub", "webm_dash_manifest"}
)
# The decoders' threads each hold a frame; all together may take so many bytes.
_MOST_IN_THREADS = 2**30
# Their packets may hold no picture to show, or two: only decoding counts them.
_UNEVEN = frozenset({"vp8", "mpeg4", "msmpeg4v3", "vc1", "wmv3", "rv40"})


@dataclass(frozen=True)
class PacketTable:
    """What the packets say.

    pts: of every frame shown, ascending; empty when only decoding can tell. keys: pts of those from
    which decoding may start, ascending. last_duration: in units of the time base, 0 = unknown.
    is_cut_off: the file promises more than it holds, or cannot be read to its end. promised: how
    many seconds its header promises, 0 = unknown.
    """

    pts: list[int]
    keys: list[int]
    last_duration: int
    is_cut_off: bool
    promised: Fraction


def open_container(path: Path) -> InputContainer:
    """Open the file for reading: that file alone, and nothing from the network.

    What is no UTF-8 in its tags becomes U+FFFD. Raises BadMedia for a kind that is not opened, and
    `faults.FOREIGN`.
    """
    options = {
        "protocol_whitelist": "file",
        "format_whitelist": _readable_kinds(),
        # Some pictures are decoded here already, to find out what is in the file.
        "max_pixels": str(MAX_VIDEO_PIXELS),
    }
    try:
        return av.open(str(path.absolute()), options=options, metadata_errors="replace")
    except av.error.ArgumentError as error:
        raise BadMedia(
            f"{path}: cannot be read as a video: it is a list of other files, a single picture, or"
            " of a kind that is not read. Give a video, or the folder that holds the pictures."
        ) from error


def video_stream(container: InputContainer) -> VideoStream | None:
    """Return the first video stream that is no cover picture and has a decoder."""
    for stream in container.streams.video:
        if (
            stream.codec_context is not None
            and not stream.disposition & stream.disposition.attached_pic
        ):
            return stream
    return None


def read_packet_table(container: InputContainer, stream: VideoStream, path: Path) -> PacketTable:
    """Return the table of a stream's packets; reads the whole file once, decodes nothing.

    Raises OSError when the disk fails.
    """
    time_base = clock(stream)
    shown: list[tuple[int, int]] = []
    keys: set[int] = set()
    places: dict[int | None, int] = {}
    is_even = stream.codec_context.codec.canonical_name not in _UNEVEN
    end = Fraction(0)
    breaks_off = False
    for packet in _iter_readable(container, stream):
        if isinstance(packet, OSError):
            raise packet
        if isinstance(packet, Exception):
            breaks_off = True
            break
        if packet.pts is None:
            is_even = is_even and not packet.size
            continue
        end = max(end, (packet.pts + (packet.duration or 0)) * time_base)
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
        is_cut_off=breaks_off or _is_cut_off(stream, path, end),
        promised=_promised(stream),
    )


def clock(stream: VideoStream) -> Fraction:
    """Return the seconds in a unit of the stream's times."""
    return stream.time_base or Fraction(1, 1000)


def decode_packets(
    path: Path, seek_to: int | None = None, threads: int = 0
) -> Iterator[tuple[Packet[VideoStream], list[VideoFrame] | None]]:
    """Yield each packet with the frames that leave the decoder at it; None where it fails.

    Frames come in display order; those from before the first sound one are left out. One that
    cannot be read to its end just ends. Raises BadMedia and `faults.FOREIGN` when the file cannot
    be opened.

    seek_to: pts of a keyframe; nothing comes where that cannot be sought. threads: 0 = as FFmpeg
    likes, which is 1.7 times as fast as its default (measured) but may tell of damage later than it
    happens; 1 = at the packet itself.
    """
    has_begun = False
    with open_container(path) as container:
        stream = video_stream(container)
        assert stream is not None
        context = stream.codec_context
        context.thread_type = "NONE" if threads == 1 else "AUTO"
        context.thread_count = threads or _thread_count(context.width, context.height)
        context.options = {"max_pixels": str(MAX_VIDEO_PIXELS)}
        if seek_to is not None:
            try:
                container.seek(seek_to, stream=stream, backward=True)
            except FOREIGN:
                return
        for packet in _iter_readable(container, stream):
            if isinstance(packet, Exception):
                # What cannot be read is missing from the table or, if it was there then, found
                # missing by its times.
                return
            try:
                frames = packet.decode()
            except FOREIGN:
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


def _iter_readable(
    container: InputContainer, stream: VideoStream
) -> Iterator[Packet[VideoStream] | Exception]:
    """The packets; where the file cannot be read on, why, and no more."""
    try:
        yield from container.demux(stream)
    except FOREIGN as error:
        yield error


@functools.cache
def _readable_kinds() -> str:
    """FFmpeg's names of the kinds of file that hold all they need, joined by commas."""
    kinds = []
    for name in sorted(formats_available):
        try:
            kind = ContainerFormat(name, "r")
        except ValueError:  # it is only written
            continue
        opens_others = Flags.no_file in Flags(kind.flags) or _LISTS & set(kind.name.split(","))
        if not opens_others:
            kinds.append(name)
    return ",".join(kinds)


def _thread_count(width: int, height: int) -> int:
    """How many threads decode: as many as there are cores, fewer for huge pictures; 0 = all."""
    most = _MOST_IN_THREADS // max(1, 4 * width * height)
    return 0 if most >= (os.cpu_count() or 1) else max(1, most)


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
        return _promised(stream) - end > Fraction(1, 2)
    # An AVI's times are counted, not written: after a hole in the file everything would come too
    # early.
    return family == "avi" and _promised(stream) - end > Fraction(1, 10)


def _promised(stream: VideoStream) -> Fraction:
    """How many seconds of pictures the header promises; 0 = unknown."""
    if stream.container.format.name == "avi":
        # Its times are the numbers of its frames.
        return stream.frames * clock(stream)
    stated = (stream.duration or 0) * clock(stream)
    return max(stated, _seconds(stream.metadata.get("DURATION", "")))


def _seconds(text: str) -> Fraction:
    """Matroska's "00:00:02.000000000" in seconds; 0 when it reads otherwise."""
    found = re.fullmatch(r"(\d{1,4}):(\d\d):(\d\d(?:\.\d{1,9})?)", text, re.ASCII)
    if not found:
        return Fraction(0)
    hours, minutes, seconds = found.groups()
    return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
