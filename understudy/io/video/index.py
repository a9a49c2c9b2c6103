"""The index of a video: with it another process opens the same file without reading it through."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median_low

from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from understudy.core.plate import square_size
from understudy.errors import BadMedia
from understudy.io.footage.base import FootageIndex
from understudy.io.footage.clock import Clock
from understudy.io.footage.options import FootageOptions
from understudy.io.limits import MAX_VIDEO_PIXELS, video_size_problem
from understudy.io.video import color as video_color
from understudy.io.video import packets
from understudy.io.video.fields import (
    find_fields,
    may_have_fields,
    read_fields,
    stated_fields,
)
from understudy.io.video.orientation import Orientation, read_orientation, swaps_sides
from understudy.io.video.timing.frame_times import mend_times
from understudy.io.video.timing.packet_table import FirstSound, PacketTable, read_packet_table
from understudy.types import Chroma, Color, FieldOrder, LightLevels

# So many frames from the start must decode as the packets promise, or all are decoded and counted.
_HEAD = 4
# Sound this many seconds ahead of the picture began with it: most encoders put less before it.
_BEGAN_WITH = Fraction(1, 20)
# No encoder of sound puts more than so many before it.
_SILENCE = Fraction(1, 10)
# From a keyframe so many are looked at, to know whether it can be sought.
_TAIL = 24
# So many pixels a file may hold in all its frames, and so many more for each of its bytes. A still
# picture of 4K that lasts takes 40 bytes a frame (x264), which is 207,000 pixels a byte.
_FREE_PIXELS = 2**33
_PIXELS_A_BYTE = 2**18
# A frame takes so many bytes at the least; so many frames may be in any file.
_BYTES_A_FRAME = 8
_FREE_FRAMES = 1000
# Pixels up to four times as high as wide, or the other way, are believed.
_FLATTEST = Fraction(1, 4)
# Frame rates that are believed; FFmpeg holds a rate in two numbers of 32 bits.
_SLOWEST, _FASTEST = Fraction(1, 10_000), Fraction(1_000_000)


@dataclass(frozen=True)
class VideoIndex(FootageIndex):
    """What opening a video finds out. The fields that `Footage` has mean the same.

    bytes: size of the file. keys: pts of the keyframes. key_bytes: where those lie in the file, of
    kinds that are sought by that. stamps: the times that decoding gives the frames, where those are
    not pts; None = it gives none. is_exact: whether the packets list all
    frames, so that keyframes can be sought. If not, the frames were counted by decoding, and `lost`
    are those that have a time but no picture. coded_size: before `orientation`. field_order: as in
    the file, however it is read. stated_fields: as the container states it for frames that bear no
    mark, before `orientation`.
    """

    bytes: int
    pts: list[int]
    last_duration: int
    fps: Fraction
    time_base: Fraction
    size: tuple[int, int]
    color: Color
    bits: int
    chroma: Chroma
    light: LightLevels | None
    has_audio: bool
    is_cut_off: bool
    pixel_aspect: Fraction
    coded_size: tuple[int, int]
    orientation: Orientation
    clock: Clock
    keys: list[int]
    key_bytes: dict[int, int]
    is_exact: bool
    reading: FootageOptions
    plate_size: tuple[int, int]
    field_order: FieldOrder | None = None
    stated_fields: FieldOrder | None = None
    lost: frozenset[int] = frozenset()
    stamps: list[int | None] | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def place_of(self, key: int) -> packets.Place:
        """Return where to seek the keyframe of that pts."""
        at = bisect.bisect_left(self.pts, key)
        stamp = self.stamps[at] if self.stamps else key
        return packets.Place(key if stamp is None else stamp, self.key_bytes.get(key))


@dataclass(frozen=True)
class _FirstFrame:
    """What the first frame that decodes says of all.

    size: as it is coded. aspect: of its pixels. stated_fields: see `VideoIndex`.
    """

    size: tuple[int, int]
    aspect: Fraction
    stated_fields: FieldOrder | None
    orientation: Orientation
    color: Color
    bits: int
    chroma: Chroma
    light: LightLevels | None


def read_index(path: Path, reading: FootageOptions) -> VideoIndex:
    """Return the index of the video at `path`: all packets are read, a few of them decoded.

    A file that was cut off, or cannot be read to its end, is taken as far as it goes. Raises
    BadMedia, and `faults.FOREIGN`.
    """
    with packets.open_container(path) as container:
        stream = _usable_stream(container, path)
        time_base, kind = packets.clock(stream), container.format.name
        has_audio = bool(container.streams.audio)
        # An index takes four bytes a frame, though the frames themselves may have been cut off.
        _check_worth(path, len(stream.index_entries) // 2, 1, 1)
        table = read_packet_table(container, stream, path)
        context = stream.codec_context
        _check_worth(path, len(table.pts), context.width, context.height)
        stated = stream.average_rate or stream.guessed_rate
        first, times, undecoded, fields = _first_frames(path, table.clock)
        if not may_have_fields(context.name):
            fields = None
        elif fields is None and table.keys and not table.is_cut_off:
            places = [packets.Place(key, table.key_bytes.get(key)) for key in table.keys]
            fields = find_fields(container, stream, table.clock, places, first.orientation)
    is_turned = swaps_sides(first.orientation)
    aspect = 1 / first.aspect if is_turned else first.aspect
    plate_size = first.size[::-1] if is_turned else first.size
    index = VideoIndex(
        bytes=path.stat().st_size,
        pts=_decodable_times(table, times, undecoded),
        last_duration=table.last_duration,
        fps=Fraction(25),
        time_base=time_base,
        size=_seen_size(plate_size, aspect),
        color=first.color,
        bits=first.bits,
        chroma=first.chroma,
        light=first.light,
        has_audio=has_audio,
        is_cut_off=table.is_cut_off,
        pixel_aspect=aspect,
        coded_size=first.size,
        orientation=first.orientation,
        clock=table.clock,
        keys=table.keys,
        key_bytes=table.key_bytes,
        is_exact=not table.is_cut_off,
        reading=reading,
        plate_size=plate_size,
        field_order=fields,
        stated_fields=first.stated_fields,
    )
    wrong: list[int] = []
    if not index.pts or table.is_cut_off:
        usual = max(1, round(1 / ((stated or 25) * time_base)))
        index, wrong = _count_frames(index, table, path, usual)
        index = _reconcile(table, index)
    if kind == "avi":
        index = _start_evenly(index)
    fps = _frame_rate(stated, index.pts, time_base)
    index = _from_the_start(replace(index, fps=fps), table.sound)
    return replace(
        index,
        last_duration=index.last_duration or max(1, round(1 / (fps * time_base))),
        warnings=tuple(_warnings(path, table, index)),
        notes=(
            *_notes_on_times(path, table, index, wrong),
            *_notes(path, len(table.pts), index),
        ),
    )


def _usable_stream(container: InputContainer, path: Path) -> VideoStream:
    """The picture stream, after a look at what would make it useless or harmful to decode."""
    kind = container.format.name
    if kind.endswith("_pipe"):
        raise BadMedia(
            f"{path}: this is a single picture ({kind.removesuffix('_pipe')}), not a video. Give a"
            " video, or the folder that holds the pictures."
        )
    stream = packets.video_stream(container)
    if stream is None:
        if container.streams.video:
            raise BadMedia(
                f"{path}: its pictures are coded in a way that is not known here, or the file is"
                " damaged. Convert it to ProRes or H.264 with the program that wrote it, or fetch"
                " it again."
            )
        found = "sound alone" if container.streams.audio else "neither pictures nor sound"
        raise BadMedia(
            f"{path}: no video in this file, {found}. Give one with pictures, or fetch it again."
        )
    if stream.codec_context.width and stream.codec_context.height:
        problem = video_size_problem(stream.codec_context.width, stream.codec_context.height)
        if problem:
            raise BadMedia(f"{path}: not decoded: {problem}. Give an intact file.")
    return stream


def _first_frames(
    path: Path, known: Clock
) -> tuple[_FirstFrame, list[int | None], set[int | None], FieldOrder | None]:
    """What the first frame says, and of the first few: their times and the order of fields.

    Between those two, the pts of packets that could not be decoded by then.
    """
    first: _FirstFrame | None = None
    times: list[int | None] = []
    undecoded: set[int | None] = set()
    fields: FieldOrder | None = None
    for packet, frames in _decode_within_bounds(path, known):
        if frames is None:
            undecoded.add(packet.pts)
        # No frame is kept: the largest take hundreds of megabytes each.
        for frame in (frames or [])[: _HEAD - len(times)]:
            first = first or _look_at(frame, packet.stream, path)
            times.append(frame.pts)
            fields = fields or read_fields(frame, first.orientation, first.stated_fields)
        if len(times) == _HEAD:
            break
    if first is None:
        raise BadMedia(
            f"{path}: no frame in it can be decoded. It may be damaged or encrypted: fetch the file"
            " again, or give another."
        )
    return first, times, undecoded, fields


def _look_at(frame: VideoFrame, stream: VideoStream, path: Path) -> _FirstFrame:
    problem = video_size_problem(frame.width, frame.height)
    if problem:
        raise BadMedia(f"{path}: not decoded: {problem}. Give an intact file.")
    return _FirstFrame(
        size=(frame.width, frame.height),
        # What the container says goes before what the decoder does.
        aspect=stream.sample_aspect_ratio
        or stream.codec_context.sample_aspect_ratio
        or Fraction(1),
        stated_fields=stated_fields(stream),
        orientation=read_orientation(frame),
        color=_readable_color(frame, path),
        bits=video_color.bit_depth(frame),
        chroma=video_color.chroma_of(frame),
        light=video_color.light_levels(frame),
    )


def _decode_within_bounds(
    path: Path, known: Clock
) -> Iterator[tuple[Packet[VideoStream], list[VideoFrame] | None]]:
    """As `packets.decode_packets` from the start on. Raises BadMedia as `_check_worth`."""
    frames_and_failures = 0
    for packet, frames in packets.decode_packets(path, known, threads=1):
        frames_and_failures += max(1, len(frames or ()))
        context = packet.stream.codec_context
        _check_worth(path, frames_and_failures, context.width, context.height)
        yield packet, frames


def _check_worth(path: Path, count: int, width: int, height: int) -> None:
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


def _readable_color(frame: VideoFrame, path: Path) -> Color:
    color = video_color.resolve_color(frame)
    if not video_color.is_readable(color):
        raise BadMedia(
            f"{path}: colour matrix {color.matrix} (H.273) is not read. Convert it to BT.709 first."
        )
    return color


def _decodable_times(
    table: PacketTable, times: list[int | None], undecoded: set[int | None]
) -> list[int]:
    """The times from the first frame that decodes on, or from the keyframe it should build on.

    None when the first few frames do not come as the packets promise.
    """
    first = times[0]
    start = table.pts.index(first) if first in table.pts else len(table.pts)
    promised = (time for time in table.pts[start:] if time not in undecoded)
    if times != list(itertools.islice(promised, len(times))):
        return []
    return table.pts[min(start, bisect.bisect_left(table.pts, table.keys[0])) :]


@dataclass
class _Counted:
    """What decoding all finds: of each frame its time and whether it is a keyframe."""

    stamps: list[int | None] = field(default_factory=list)
    keys: list[bool] = field(default_factory=list)
    undecoded: set[int] = field(default_factory=set)
    sound: int = 0


def _count_frames(
    index: VideoIndex, table: PacketTable, path: Path, usual: int
) -> tuple[VideoIndex, list[int]]:
    """The index with the frames that decoding finds, and those whose times made no sense.

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


def _decode_all(index: VideoIndex, path: Path) -> _Counted:
    found = _Counted()
    for packet, frames in _decode_within_bounds(path, index.clock):
        if frames is None and packet.pts is not None:
            found.undecoded.add(packet.pts)
        for frame in frames or []:
            found.stamps.append(frame.pts)
            found.keys.append(frame.key_frame)
            found.sound = found.sound if frame.is_corrupt else len(found.stamps)
    if index.is_cut_off:
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


def _reconcile(table: PacketTable, counted: VideoIndex) -> VideoIndex:
    """The counted index, or what the packets promise where most of that was found.

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


def _start_evenly(index: VideoIndex) -> VideoIndex:
    """The index of an AVI whose first frame is not too early.

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


def _from_the_start(index: VideoIndex, sound: FirstSound | None) -> VideoIndex:
    """The index with times from the start of presentation: of picture or sound, whichever is first.

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


def _frame_rate(stated: Fraction | None, pts: list[int], time_base: Fraction) -> Fraction:
    """Frames a second: exact where they come evenly, as stated where nearly, else the mean."""
    steps = {later - earlier for earlier, later in pairwise(pts)}
    if stated and not _SLOWEST <= stated <= _FASTEST:
        stated = None
    if len(steps) == 1:
        found = 1 / (steps.pop() * time_base)
    elif not steps or (stated and max(steps) - min(steps) <= 1):
        found = stated or Fraction(25)
    else:
        found = (len(pts) - 1) / ((pts[-1] - pts[0]) * time_base)
        found = found.limit_denominator(1001)
    # Times that make no sense, such as all within a microsecond, say nothing of the rate.
    return found if _SLOWEST <= found <= _FASTEST else stated or Fraction(25)


def _warnings(path: Path, table: PacketTable, index: VideoIndex) -> Iterator[str]:
    """What is missing of a file that was cut off or cannot be read to its end."""
    if index.is_cut_off:
        lasts = (index.pts[-1] - index.pts[0]) * index.time_base
        of = f" of {float(table.promised):.2f}" if table.promised - lasts > Fraction(1, 2) else ""
        yield (
            f"{path.name}: the file is cut off or damaged: {len(index.pts)} frames can be read, up"
            f" to {float(lasts):.2f}{of} seconds. What is there is used; fetch the file again for"
            " the rest."
        )


def _notes(path: Path, promised: int, index: VideoIndex) -> Iterator[str]:
    """What a user may want to know of the footage, and need do nothing about."""
    left_out = promised - len(index.pts)
    if index.is_exact and left_out > 0 and not index.is_cut_off:
        yield (
            f"{path.name}: frames at the start that cannot be decoded and are left out: {left_out}."
        )
    yield from _shape_notes(path, index)
    missing, places = _gaps(index.pts)
    if missing:
        where = _listed(places)
        yield (
            f"{path.name}: frames that are missing from the file: {missing}, after frame {where}."
            " Those before are shown longer."
        )


def _shape_notes(path: Path, index: VideoIndex) -> Iterator[str]:
    """What is told of pixels that are not square, and of fields."""
    (width, height), aspect = index.plate_size, index.pixel_aspect
    if index.size != index.plate_size:
        yield (
            f"{path.name}: its pixels are not square ({aspect.numerator}:{aspect.denominator}):"
            f" {width}x{height} are shown as {index.size[0]}x{index.size[1]}. Faces are found and"
            f" replaced in what is shown; a video made of it has {width}x{height} again."
        )
    elif square_size(index.plate_size, aspect) != index.plate_size:
        yield (
            f"{path.name}: its pixels are said to be {aspect.numerator}:{aspect.denominator}, which"
            " is taken for a mistake: they are taken as square."
        )
    if index.field_order is not None:
        taken = {
            "off": (
                "faces are found and replaced in whole fields, and the result stays interlaced."
                " --deinterlace bob makes a frame of each field, weave one of both"
            ),
            "bob": "each field is taken as a frame",
            "weave": "both fields are taken as one frame",
        }
        yield (
            f"{path.name}: interlaced, {index.field_order} field first:"
            f" {taken[index.reading.deinterlace]}."
        )


def _seen_size(plate_size: tuple[int, int], aspect: Fraction) -> tuple[int, int]:
    """The size in square pixels; the plate's own where the aspect makes no sense."""
    size = square_size(plate_size, aspect)
    is_sane = _FLATTEST <= aspect <= 1 / _FLATTEST and not video_size_problem(*size)
    return size if is_sane else plate_size


def _notes_on_times(
    path: Path, table: PacketTable, index: VideoIndex, wrong: list[int]
) -> Iterator[str]:
    """Where the file's times were not those that are shown."""
    ticks = round(index.clock.origin / index.time_base)
    if table.jumps:
        frames = _listed([bisect.bisect_left(index.pts, time - ticks) for time in table.jumps])
        yield (
            f"{path.name}: the clock of the recording jumps before frame {frames}. Picture and"
            " sound go on from the last time."
        )
    if wrong:
        yield (
            f"{path.name}: frames whose time makes no sense: {len(wrong)}, frame {_listed(wrong)}."
            " They are shown evenly between the others."
        )


def _listed(frames: list[int]) -> str:
    return ", ".join(map(str, frames[:3])) + (", …" if len(frames) > 3 else "")


def _gaps(pts: list[int]) -> tuple[int, list[int]]:
    """How many frames are not there although the others come evenly, and after which ones."""
    steps = [later - earlier for earlier, later in pairwise(pts)]
    if not steps:
        return 0, []
    usual = median_low(steps)
    long = [place for place, step in enumerate(steps) if step > 1.75 * usual]
    if sum(abs(step - usual) <= 1 for step in steps) < 0.9 * (len(steps) - len(long)) or len(
        long
    ) > 0.1 * len(steps):
        return 0, []
    return sum(round(steps[place] / usual) - 1 for place in long), long
