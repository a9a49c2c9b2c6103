"""Makes the index of a video: its packets are read through, a few of them decoded."""

from __future__ import annotations

import bisect
import itertools
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from understudy.core.plate import square_size
from understudy.errors import BadMedia
from understudy.io.footage.clock import Clock
from understudy.io.footage.options import FootageOptions
from understudy.io.limits import video_size_problem
from understudy.io.video import color as video_color
from understudy.io.video import index_notes, packets
from understudy.io.video.fields import may_have_fields, read_fields, stated_fields
from understudy.io.video.index import VideoIndex
from understudy.io.video.orientation import Orientation, read_orientation, swaps_sides
from understudy.io.video.timing.counting import (
    check_worth,
    count_frames,
    decode_within_bounds,
    reconcile,
)
from understudy.io.video.timing.packet_table import PacketTable, read_packet_table
from understudy.io.video.timing.start import count_from_start, start_evenly
from understudy.types import Chroma, Color, FieldOrder, LightLevels

# So many frames from the start must decode as the packets promise, or all are decoded and counted.
_HEAD = 4
# Pixels up to four times as high as wide, or the other way, are believed.
_FLATTEST = Fraction(1, 4)
# Frame rates that are believed; FFmpeg holds a rate in two numbers of 32 bits.
_SLOWEST, _FASTEST = Fraction(1, 10_000), Fraction(1_000_000)


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
        # An index takes four bytes a frame, though the frames themselves may have been cut off.
        check_worth(path, len(stream.index_entries) // 2, 1, 1)
        table = read_packet_table(container, stream, path)
        context = stream.codec_context
        check_worth(path, len(table.pts), context.width, context.height)
        late = packets.late_tracks(container, path)
        stated = stream.average_rate or stream.guessed_rate
        first, times, undecoded, fields = _first_frames(path, table.clock)
        fields = fields if may_have_fields(context.name) else None
        fields, other = _look_later(container, stream, table, first, fields)
        index = _from_first_frame(path, stream, table, first, reading)
    index = replace(index, pts=_decodable_times(table, times, undecoded), field_order=fields)
    wrong: list[int] = []
    if not index.pts or table.is_cut_off:
        usual = max(1, round(1 / ((stated or 25) * time_base)))
        index, wrong = count_frames(index, table, path, usual)
        index = reconcile(table, index)
    if kind == "avi":
        index = start_evenly(index)
    fps = _frame_rate(stated, index.pts, time_base)
    index = count_from_start(replace(index, fps=fps), table.sound)
    return replace(
        index,
        last_duration=index.last_duration or max(1, round(1 / (fps * time_base))),
        warnings=tuple(index_notes.warnings(path, table, index, late, other)),
        notes=(
            *index_notes.notes_on_times(path, table, index, wrong),
            *index_notes.notes(path, len(table.pts), index),
        ),
    )


def _from_first_frame(
    path: Path,
    stream: VideoStream,
    table: PacketTable,
    first: _FirstFrame,
    reading: FootageOptions,
) -> VideoIndex:
    """The index as far as packets and first frame say it: without frames, rate and fields."""
    is_turned = swaps_sides(first.orientation)
    aspect = 1 / first.aspect if is_turned else first.aspect
    plate_size = first.size[::-1] if is_turned else first.size
    return VideoIndex(
        bytes=path.stat().st_size,
        pts=[],
        last_duration=table.last_duration,
        fps=Fraction(25),
        time_base=packets.clock(stream),
        size=_seen_size(plate_size, aspect),
        color=first.color,
        bits=first.bits,
        chroma=first.chroma,
        light=first.light,
        has_audio=bool(stream.container.streams.audio),
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
        stated_fields=first.stated_fields,
    )


def _look_later(
    container: InputContainer,
    stream: VideoStream,
    table: PacketTable,
    first: _FirstFrame,
    fields: FieldOrder | None,
) -> tuple[FieldOrder | None, Fraction | None]:
    """Return what a few keyframes say: which field comes first, and another pixel aspect.

    None = all are whole, or of one aspect. fields: what is known of them. The aspect is looked for
    where the container does not say it for all frames, so that television may switch it.
    """
    context, other = stream.codec_context, None
    may_switch = packets.may_jump(container) or context.name == "dvvideo"
    is_looked_for = fields is None and may_have_fields(context.name)
    if not (may_switch or is_looked_for) or not table.keys or table.is_cut_off:
        return fields, None
    places = [packets.Place(key, table.key_bytes.get(key)) for key in table.keys]
    for frames in packets.decode_keyframes(container, stream, table.clock, places):
        found = (read_fields(frame, first.orientation) for frame in frames if is_looked_for)
        fields = fields or next(filter(None, found), None)
        aspect = context.sample_aspect_ratio
        other = aspect if may_switch and aspect and aspect != first.aspect else other
        if fields and not may_switch:
            break
    return fields, other


def _usable_stream(container: InputContainer, path: Path) -> VideoStream:
    """The picture stream, after a look at what would make it useless or harmful to decode."""
    kind = container.format.name
    if kind.endswith("_pipe"):
        raise BadMedia(
            f"{path}: this is a picture ({kind.removesuffix('_pipe')}) of a kind that is not read."
            " Convert it to JPG or PNG."
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
    for packet, frames in decode_within_bounds(path, known):
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


def _seen_size(plate_size: tuple[int, int], aspect: Fraction) -> tuple[int, int]:
    """The size in square pixels; the plate's own where the aspect makes no sense."""
    size = square_size(plate_size, aspect)
    is_sane = _FLATTEST <= aspect <= 1 / _FLATTEST and not video_size_problem(*size)
    return size if is_sane else plate_size
