"""A media file's packets: opened, read with times from the start of presentation, decoded."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple, TypeVar, cast

import av
from av.container import InputContainer
from av.format import ContainerFormat, Flags, formats_available
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from understudy.io.footage.clock import Clock
from understudy.io.limits import MAX_VIDEO_PIXELS
from understudy.io.video import faults
from understudy.io.video.faults import FOREIGN

_AnyStream = TypeVar("_AnyStream", bound=Stream)
# Kinds that name other files or addresses, or draw text: none is opened, whatever its name is.
_LISTS = frozenset(
    {"applehttp", "concat", "dash", "ffmetadata", "hls", "image2pipe", "imf", "rtp", "sdp", "tty"}
    | {"vobsub", "webm_dash_manifest"}
)
# The decoders' threads each hold a frame; all together may take so many bytes.
_MOST_IN_THREADS = 2**30
# Sound that a jump lays over sound before it is left out, but for rounding: seconds.
_OVERLAP = Fraction(1, 100)
# Ticks of sound that are longer than this are not fine enough to move it by.
_COARSE, _FINER = Fraction(1, 1000), 1000
# In so many bytes a transport stream says what tracks it has: it does so ten times a second.
_END = 2**20
# How the packet of the first table begins, and how long packets are.
_TABLE, _PACKETS = b"G\x40\x00", (188, 192, 204)
# So many keyframes of a video are looked at.
_LOOKS = 3
# Seconds from decoding a frame to showing it.
_MOST_DELAY = 5


class Place(NamedTuple):
    """A keyframe to seek. byte: where in the file it lies, None = it is sought by its time."""

    pts: int
    byte: int | None = None


def open_container(path: Path, begin: int = 0) -> InputContainer:
    """Open the file for reading: that file alone, and nothing from the network.

    What is no UTF-8 in its tags becomes U+FFFD. Raises BadMedia for a kind that is not opened, and
    `faults.FOREIGN`.

    begin: bytes at its start that are passed over.
    """
    options = {
        "protocol_whitelist": "file",
        "format_whitelist": _readable_kinds(),
        # Some pictures are decoded here already, to find out what is in the file.
        "max_pixels": str(MAX_VIDEO_PIXELS),
        "skip_initial_bytes": str(begin),
    }
    try:
        return av.open(str(path.absolute()), options=options, metadata_errors="replace")
    except av.error.ArgumentError as error:
        raise faults.list_or_other(path) from error


def video_stream(container: InputContainer) -> VideoStream | None:
    """Return the first video stream that is no cover picture and has a decoder."""
    for stream in container.streams.video:
        if (
            stream.codec_context is not None
            and not stream.disposition & stream.disposition.attached_pic
        ):
            return stream
    return None


def may_jump(container: InputContainer) -> bool:
    """Whether it is a kind of recording whose clock may jump: transport and programme streams."""
    return Flags.ts_discont in Flags(container.format.flags)


def late_tracks(container: InputContainer, path: Path) -> list[str]:
    """Return what pictures and sound a transport stream has at its end, and not at its start.

    As where recordings were joined: what is new there is read by nobody.
    """
    if container.format.name != "mpegts":
        return []
    known, size = _tracks(container), path.stat().st_size
    for length in (min(_END, size // 4), min(4 * _END, size // 2)):
        begin = _table_after(path, size - length)
        if begin is None:
            continue
        try:
            with open_container(path, begin) as end:
                found = _tracks(end)
        except FOREIGN:
            # There is too little after it.
            continue
        late = [told for key, told in found.items() if known.get(key) not in (told, "")]
        return list(dict.fromkeys(filter(None, late)))
    return []


def _table_after(path: Path, begin: int) -> int | None:
    """Where the next table of a transport stream is: without one, FFmpeg guesses what is in it."""
    with path.open("rb") as file:
        file.seek(begin)
        data = file.read(4 * _END)
    at = data.find(_TABLE)
    while at >= 0 and b"G" not in {data[at + size : at + size + 1] for size in _PACKETS}:
        at = data.find(_TABLE, at + 1)
    return None if at < 0 else begin + at


def _tracks(container: InputContainer) -> dict[int, str]:
    """What each track of pictures or sound is, by its number in the recording; "" = unknown."""
    found = {}
    for stream in (*container.streams.video, *container.streams.audio):
        context = stream.codec_context
        codec = context.codec.canonical_name if context else ""
        # FFmpeg guesses which of these it is.
        codec = "mp2 or mp3" if codec in ("mp1", "mp2", "mp3") else codec
        kind = "pictures" if stream.type == "video" else "sound"
        found[stream.id] = f"{kind} ({codec})" if codec else ""
    return found


def clock(stream: VideoStream) -> Fraction:
    """Return the seconds in a unit of the stream's times."""
    return stream.time_base or Fraction(1, 1000)


def iter_packets(
    container: InputContainer,
    streams: Sequence[_AnyStream],
    known: Clock,
    is_sought: bool = False,
) -> Iterator[Packet[_AnyStream]]:
    """Yield the packets of these streams, with times from the start of presentation.

    Sound that begins before the sound ahead of it ends, as where recordings were joined, is left
    out.

    known: the file's clock. is_sought: this is not its start: packets are left out until one tells
    where in the file it lies, and so on which stretch of the clock.
    """
    can_jump, counts_decoding = may_jump(container), container.format.name == "avi"
    if not (can_jump or counts_decoding or known.origin):
        yield from _demux(container, streams)
        return
    bytes_: dict[int, int] = {}
    ends: dict[int, Fraction] = {}
    for packet in _demux(container, streams):
        number = packet.stream_index
        if counts_decoding:
            # It counts frames in the order in which they are decoded, and FFmpeg adds a guess.
            packet.pts = packet.dts
        if can_jump and _is_across_jump(packet):
            packet.pts = None
        jumps = known.jumps.get(number)
        if jumps or known.origin:
            if packet.pos is not None:
                bytes_[number] = packet.pos
            elif jumps and is_sought and number not in bytes_:
                continue
            _make_fine(packet)
            _move(packet, known.taken(number, bytes_.get(number, -1), packet.time_base))
        if jumps and packet.stream.type == "audio" and packet.pts is not None:
            begin = packet.pts * packet.time_base
            if begin < ends.get(number, begin) - _OVERLAP:
                continue
            ends[number] = begin + (packet.duration or 0) * packet.time_base
        yield packet


def _is_across_jump(packet: Packet[_AnyStream]) -> bool:
    """Whether FFmpeg gave a frame before a jump a time after it, where the file itself has none."""
    if packet.pts is None or packet.dts is None:
        return False
    return abs(packet.pts - packet.dts) * packet.time_base > _MOST_DELAY


def _demux(
    container: InputContainer, streams: Sequence[_AnyStream]
) -> Iterator[Packet[_AnyStream]]:
    try:
        yield from cast("Iterator[Packet[_AnyStream]]", container.demux(list(streams)))
    except IndexError:
        # PyAV looks for a stream that turned up on the way, once everything is read.
        return


def _make_fine(packet: Packet[_AnyStream]) -> None:
    """Give sound ticks by which it can be moved: in an AVI one is a whole packet."""
    if packet.stream.type != "audio" or packet.time_base <= _COARSE:
        return
    packet.time_base /= _FINER
    packet.duration = (packet.duration or 0) * _FINER
    packet.pts = None if packet.pts is None else packet.pts * _FINER
    packet.dts = None if packet.dts is None else packet.dts * _FINER


def _move(packet: Packet[_AnyStream], ticks: int) -> None:
    packet.pts = None if packet.pts is None else packet.pts - ticks
    packet.dts = None if packet.dts is None else packet.dts - ticks


def decode_packets(
    path: Path, known: Clock, seek_to: Place | None = None, threads: int = 0
) -> Iterator[tuple[Packet[VideoStream], list[VideoFrame] | None]]:
    """Yield each packet with the frames that leave the decoder at it; None where it fails.

    Frames come in display order; those from before the first sound one are left out. One that
    cannot be read to its end just ends. Raises BadMedia and `faults.FOREIGN` when the file cannot
    be opened.

    known: the file's clock. seek_to: a keyframe; nothing comes where that cannot be sought.
    threads: 0 = as FFmpeg likes, which is 1.7 times as fast as its default (measured) but may tell
    of damage later than it happens; 1 = at the packet itself.
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
                seek(container, stream, known, seek_to)
            except FOREIGN:
                return
        for packet in iter_readable(container, [stream], known, seek_to is not None):
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


def iter_readable(
    container: InputContainer,
    streams: Sequence[_AnyStream],
    known: Clock,
    is_sought: bool = False,
) -> Iterator[Packet[_AnyStream] | Exception]:
    """Yield what `iter_packets` does; where the file cannot be read on, why, and no more."""
    try:
        yield from iter_packets(container, streams, known, is_sought)
    except FOREIGN as error:
        yield error


def decode_keyframes(
    container: InputContainer, stream: VideoStream, known: Clock, keyframes: Sequence[Place]
) -> Iterator[list[VideoFrame]]:
    """Yield what a few keyframes of a video decode to; those that do not are left out.

    Args:
        container: Open; it is left somewhere.
        stream: Of the pictures.
        known: The file's clock.
        keyframes: All of them; three are taken, evenly over the file.
    """
    context = stream.codec_context
    context.thread_type = "NONE"
    places = {number * (len(keyframes) - 1) // _LOOKS for number in range(1, _LOOKS + 1)}
    for place in sorted(places):
        try:
            seek(container, stream, known, keyframes[place])
            packet = next(container.demux(stream))
            frames = [*context.decode(packet), *context.decode(None)]
        except (*FOREIGN, StopIteration):
            continue
        yield frames


def seek(container: InputContainer, stream: VideoStream, known: Clock, to: Place) -> None:
    """Go to a keyframe. Raises `faults.FOREIGN`."""
    if to.byte is not None:
        container.seek(to.byte, stream=stream, unsupported_byte_offset=True)
        return
    ticks = to.pts + round(known.origin / clock(stream))
    container.seek(ticks, stream=stream, backward=True)


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
