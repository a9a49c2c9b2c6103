"""What the packets of a video say: its frames, listed without decoding one."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from understudy.io.footage.clock import NO_OFFSET, Clock
from understudy.io.video import packets
from understudy.io.video.timing.jumps import JumpFinder

# Their packets may hold no picture to show, or two: only decoding counts them.
_UNEVEN = frozenset({"vp8", "mpeg4", "msmpeg4v3", "vc1", "wmv3", "rv40"})
# Kinds of file whose keyframes are sought by where they lie: whatever the times say, that is exact.
_SOUGHT_BY_BYTES = frozenset({"mpeg", "mpegts"})

# Seconds that a frame may last: as long as the whole file should and a little, or a day.
_PAUSE, _LONGEST = 10, 86_400


@dataclass(frozen=True)
class PacketTable:
    """What the packets say. Times run on where the clock jumps, but count from where it starts.

    pts: of every frame shown, ascending; empty when only decoding can tell. keys: pts of those from
    which decoding may start, ascending. key_bytes: where in the file those lie, for kinds in which
    they are sought by that. last_duration: in units of the time base, 0 = unknown. longest: how
    many of those a frame may last, or else its time makes no sense. is_cut_off: the file promises
    more than it holds, or cannot be read to its end. promised: how many seconds its header
    promises, 0 = unknown. sound: None = there is none. clock: its jumps. jumps:
    the pts after them. is_steady: a packet's time is the same after a seek.
    """

    pts: list[int]
    keys: list[int]
    key_bytes: dict[int, int]
    last_duration: int
    longest: int
    is_cut_off: bool
    promised: Fraction
    sound: FirstSound | None
    clock: Clock
    jumps: list[int]
    is_steady: bool


class FirstSound(NamedTuple):
    """When the first sound is heard, and how long a piece of it lasts, in seconds."""

    start: Fraction
    lasting: Fraction


class _Row(NamedTuple):
    """Of a packet of pictures with a time. byte: where in the file it lies."""

    pts: int
    dts: int | None
    duration: int
    byte: int | None
    has_data: bool
    is_key: bool
    is_shown: bool


@dataclass
class _Listing:
    """The packets as they lie in the file.

    is_even: whether each one is a frame. sounds: of each track the byte, the ticks and the time
    base of its first packet.
    """

    rows: list[_Row] = field(default_factory=list)
    is_even: bool = True
    breaks_off: bool = False
    clock: Clock = NO_OFFSET
    sounds: dict[int, tuple[int, int, Fraction]] = field(default_factory=dict)


def read_packet_table(container: InputContainer, stream: VideoStream, path: Path) -> PacketTable:
    """Return the table of a stream's packets; reads the whole file once, decodes nothing.

    Raises OSError when the disk fails.
    """
    time_base = packets.clock(stream)
    listing = _list_packets(container, stream)
    rows, jumps = _run_on(listing, stream)
    end = max((row.pts + row.duration for row in rows), default=0) * time_base
    rows = [row for row in rows if row.has_data]
    places = {row.byte: row.pts for row in rows}
    marked = {row.pts: row.byte for row in rows if row.is_key}
    # What comes before the first keyframe cannot be decoded; a container that marks keyframes
    # begins with one.
    begin = next((place for place, row in enumerate(rows) if row.is_key), len(rows))
    begin = 0 if len(stream.index_entries) else begin
    shown = sorted((row.pts, row.duration) for row in rows[begin:] if row.is_shown)
    pts = [time for time, _ in shown]
    key_bytes = (
        {time: byte for time, byte in marked.items() if byte is not None}
        if container.format.name in _SOUGHT_BY_BYTES
        else {}
    )
    promised = _promised(container, stream)
    longest = round(min(_LONGEST, promised + _PAUSE if promised else _LONGEST) / time_base)
    is_steady = _is_steady(container.format.name, bool(jumps))
    is_sure = (
        listing.is_even
        and len(set(pts)) == len(pts)
        and _are_times_shown(rows, stream, longest)
        and (is_steady or not jumps)
    )
    return PacketTable(
        pts=pts if is_sure else [],
        # Where the clock jumps, a keyframe's time alone would not find it.
        keys=sorted(key_bytes if jumps else set(marked) | _indexed_keyframes(stream, places)),
        key_bytes=key_bytes,
        last_duration=shown[-1][1] if shown else 0,
        longest=longest,
        is_cut_off=listing.breaks_off or _is_cut_off(stream, path, end, promised),
        promised=promised,
        sound=_first_sound(container, listing),
        clock=listing.clock,
        jumps=jumps,
        is_steady=is_steady,
    )


def _list_packets(container: InputContainer, stream: VideoStream) -> _Listing:
    listing = _Listing(is_even=stream.codec_context.codec.canonical_name not in _UNEVEN)
    finder = JumpFinder(stream.index) if packets.may_jump(container) else None
    # Only where a clock may jump does it take the sound to see it.
    sounds = container.streams.audio if finder else ()
    for packet in packets.iter_readable(container, [stream, *sounds], NO_OFFSET):
        if isinstance(packet, OSError):
            raise packet
        if isinstance(packet, Exception):
            listing.breaks_off = True
            break
        if finder:
            _show(packet, finder, listing)
        if packet.stream_index != stream.index:
            continue
        if packet.pts is None:
            listing.is_even = listing.is_even and not packet.size
            continue
        row = _Row(
            packet.pts,
            packet.dts,
            packet.duration or 0,
            packet.pos,
            bool(packet.size),
            packet.is_keyframe,
            not packet.is_discard,
        )
        listing.rows.append(row)
    if finder:
        listing.clock = Clock(jumps=finder.jumps())
    return listing


def _show(packet: Packet[Stream], finder: JumpFinder, listing: _Listing) -> None:
    """Let the finder of jumps see a packet."""
    # Pictures come in the order in which they are decoded.
    time = packet.dts
    if time is None or not packet.size:
        return
    base = packet.time_base
    finder.see(
        packet.stream_index, packet.pos, float(time * base), float((packet.duration or 0) * base)
    )
    if isinstance(packet.stream, AudioStream):
        listing.sounds.setdefault(packet.stream_index, (packet.pos or -1, time, base))


def _run_on(listing: _Listing, stream: VideoStream) -> tuple[list[_Row], list[int]]:
    """The rows with times that run on where the clock jumps, and the pts after each jump."""
    if stream.index not in listing.clock.jumps:
        return listing.rows, []
    time_base, byte, before = packets.clock(stream), -1, 0
    rows: list[_Row] = []
    jumps = []
    for row in listing.rows:
        byte = byte if row.byte is None else row.byte
        taken = listing.clock.taken(stream.index, byte, time_base)
        dts = None if row.dts is None else row.dts - taken
        rows.append(row._replace(pts=row.pts - taken, dts=dts))
        if taken != before:
            jumps.append(row.pts - taken)
        before = taken
    return rows, jumps


def _are_times_shown(rows: list[_Row], stream: VideoStream, longest: int) -> bool:
    """Whether the packets' times are those at which their frames are shown."""
    decoded = [row.dts for row in rows if row.dts is not None]
    if any(not 0 <= later - earlier <= longest for earlier, later in pairwise(decoded)):
        return False
    context = stream.codec_context
    if any(row.pts != row.dts for row in rows):
        return True
    # They may be those of decoding.
    if stream.container.format.name == "avi":
        return not context.codec.reorder
    return not context.has_b_frames


def _is_steady(family: str, jumps: bool) -> bool:
    """Whether times are those of the file, and not made by FFmpeg from the packets before."""
    return family in _SOUGHT_BY_BYTES or (
        (family in ("avi", "flv") or "mp4" in family) and not jumps
    )


def _first_sound(container: InputContainer, listing: _Listing) -> FirstSound | None:
    """The first sound, on the file's own clock."""
    starts = [
        FirstSound(start, _piece(stream))
        for stream in container.streams.audio
        if (start := _sound_start(stream, listing)) is not None
    ]
    if not starts or packets.may_jump(container):
        return min(starts, default=None)
    first = min(starts)
    # What such a file has before 0 is there for the decoder alone, and not heard.
    return first._replace(start=max(Fraction(0), first.start))


def _sound_start(stream: AudioStream, listing: _Listing) -> Fraction | None:
    if stream.index in listing.sounds:
        byte, time, base = listing.sounds[stream.index]
        return (time - listing.clock.taken(stream.index, byte, base)) * base
    if stream.start_time is None or stream.time_base is None:
        return None
    return stream.start_time * stream.time_base


def _piece(stream: AudioStream) -> Fraction:
    """How many seconds of sound a packet holds; 0 = unknown."""
    context = stream.codec_context
    if context is None or not context.sample_rate:
        return Fraction(0)
    return Fraction(context.frame_size, context.sample_rate)


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


def _is_cut_off(stream: VideoStream, path: Path, end: Fraction, promised: Fraction) -> bool:
    """Whether the file ends before what its header promises. end: of the last packet, seconds."""
    family = stream.container.format.name
    if "mp4" in family:
        size = path.stat().st_size
        return any(entry.pos + entry.size > size for entry in stream.index_entries)
    if "matroska" in family:
        return _ends_early(path)
    # An AVI's times are counted, not written: after a hole in the file everything would come too
    # early.
    return family == "avi" and promised - end > Fraction(1, 10)


def _promised(container: InputContainer, stream: VideoStream) -> Fraction:
    """How many seconds the header promises; 0 = unknown. What tags say is no promise."""
    family = container.format.name
    if family == "avi":
        # Its times are the numbers of its frames.
        return stream.frames * packets.clock(stream)
    if "matroska" in family or family == "asf":
        return Fraction(container.duration or 0, av.time_base)
    return (stream.duration or 0) * packets.clock(stream) if "mp4" in family else Fraction(0)


def _ends_early(path: Path) -> bool:
    """Whether a Matroska file is smaller than what its first elements say of their sizes."""
    end = path.stat().st_size
    with path.open("rb") as file:
        # The EBML header, then the segment that holds all.
        for _ in range(2):
            head = file.read(12)
            number = _width(head[:1])
            data = head[number:]
            width = _width(data[:1])
            if not 1 <= number <= 4 or not 1 <= width <= 8 or len(data) < width:
                return False
            size = int.from_bytes(data[:width], "big") - (1 << 7 * width)
            if size == (1 << 7 * width) - 1:
                # It was recorded in one go: nobody knew how long it would become.
                return False
            file.seek(number + width + size - len(head), os.SEEK_CUR)
        return file.tell() > end


def _width(first: bytes) -> int:
    """How many bytes a number of EBML takes that begins with that one: 1 to 8, else 9."""
    return 9 - int.from_bytes(first, "big").bit_length()
