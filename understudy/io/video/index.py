"""The index of a video: with it another process opens the same file without reading it through."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median_low

from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from understudy.errors import BadMedia
from understudy.io.footage.base import FootageIndex
from understudy.io.limits import size_problem
from understudy.io.video import color as video_color
from understudy.io.video import packets
from understudy.io.video.orientation import Orientation, read_orientation, swaps_sides
from understudy.types import Color

# So many frames from the start must decode as the packets promise, or all are decoded and counted.
_HEAD = 4
_NO_VIDEO = frozenset({"hls", "concat", "dash", "image2", "tty", "sdp"})


@dataclass(frozen=True)
class VideoIndex(FootageIndex):
    """What opening a video finds out. The fields that `Footage` has mean the same.

    bytes: size of the file. keys: pts of the keyframes. is_exact: whether the packets list all
    frames, so that keyframes can be sought. If not, the frames were counted by decoding, and `lost`
    are those that have a time but no picture. coded_size: before `orientation`.
    """

    bytes: int
    pts: list[int]
    last_duration: int
    fps: Fraction
    time_base: Fraction
    size: tuple[int, int]
    color: Color
    bits: int
    has_audio: bool
    is_cut_off: bool
    pixel_aspect: Fraction
    coded_size: tuple[int, int]
    orientation: Orientation
    keys: list[int]
    is_exact: bool
    lost: frozenset[int] = frozenset()
    notes: tuple[str, ...] = ()


def read_index(path: Path, partial: bool) -> VideoIndex:
    """Return the index of the video at `path`: all packets are read, a few of them decoded.

    partial: take a file that was cut off as far as it goes. Raises BadMedia, av.FFmpegError.
    """
    with packets.open_container(path) as container:
        stream = _usable_stream(container, path)
        time_base = stream.time_base or Fraction(1, 1000)
        has_audio, aspect = bool(container.streams.audio), stream.sample_aspect_ratio or Fraction(1)
        table = packets.read_packet_table(container, stream, path)
        stated = stream.average_rate or stream.guessed_rate
    if table.is_cut_off and not partial:
        raise BadMedia(
            f"{path}: the file is cut off after {table.seconds:.2f} seconds. Fetch it again, or"
            f" keep what is there: understudy cut {path.name} whole.mp4 --end {table.seconds:.2f}."
        )
    head, undecoded = _first_frames(path)
    first = head[0]
    orientation, color = read_orientation(first), _readable_color(first, path)
    is_turned = swaps_sides(orientation)
    index = VideoIndex(
        bytes=path.stat().st_size,
        pts=_decodable_times(table, head, undecoded),
        last_duration=table.last_duration,
        fps=Fraction(25),
        time_base=time_base,
        size=(first.height, first.width) if is_turned else (first.width, first.height),
        color=color,
        bits=video_color.bit_depth(first),
        has_audio=has_audio,
        is_cut_off=table.is_cut_off,
        pixel_aspect=1 / aspect if is_turned else aspect,
        coded_size=(first.width, first.height),
        orientation=orientation,
        keys=table.keys,
        is_exact=not table.is_cut_off,
    )
    if not index.pts or table.is_cut_off:
        index = _reconcile(table, _count_frames(index, path))
    fps = _frame_rate(stated, index.pts, time_base)
    notes = tuple(_notes(path, table.pts, index, any(frame.interlaced_frame for frame in head)))
    return replace(
        index,
        fps=fps,
        last_duration=index.last_duration or max(1, round(1 / (fps * time_base))),
        notes=notes,
    )


def _usable_stream(container: InputContainer, path: Path) -> VideoStream:
    """The picture stream, after a look at what would make it useless or harmful to decode."""
    kind = container.format.name
    if kind.endswith("_pipe") or kind in _NO_VIDEO:
        what = (
            f"a single picture ({kind.removesuffix('_pipe')})"
            if kind.endswith("_pipe")
            else f"a list ({kind})"
        )
        raise BadMedia(
            f"{path}: this is {what}, not a video. Give a video, or the folder that holds the"
            " pictures."
        )
    stream = packets.video_stream(container)
    if stream is None:
        found = "sound alone" if container.streams.audio else "neither pictures nor sound"
        raise BadMedia(f"{path}: no video in this file, {found}. Give one with pictures.")
    if stream.codec_context.width and stream.codec_context.height:
        problem = size_problem(stream.codec_context.width, stream.codec_context.height)
        if problem:
            raise BadMedia(f"{path}: not decoded: {problem}. Give an intact file.")
    return stream


def _first_frames(path: Path) -> tuple[list[VideoFrame], set[int | None]]:
    """The first few frames, and the pts of packets that could not be decoded by then."""
    head: list[VideoFrame] = []
    undecoded: set[int | None] = set()
    for packet, frames in packets.decode_packets(path, threads=1):
        head += frames or []
        if frames is None:
            undecoded.add(packet.pts)
        if len(head) >= _HEAD:
            break
    if not head:
        raise BadMedia(
            f"{path}: no frame in it can be decoded. Fetch the file again, or give another."
        )
    return head[:_HEAD], undecoded


def _readable_color(frame: VideoFrame, path: Path) -> Color:
    color = video_color.resolve_color(frame)
    if not video_color.is_readable(color):
        raise BadMedia(
            f"{path}: colour matrix {color.matrix} (H.273) is not read. Convert it to BT.709 first."
        )
    return color


def _decodable_times(
    table: packets.PacketTable, head: list[VideoFrame], undecoded: set[int | None]
) -> list[int]:
    """The times from the first frame that decodes on, or from the keyframe it should build on.

    None when the first few frames do not come as the packets promise.
    """
    times = [frame.pts for frame in head]
    start = table.pts.index(times[0]) if times[0] in table.pts else len(table.pts)
    promised = (time for time in table.pts[start:] if time not in undecoded)
    if times != list(itertools.islice(promised, len(times))):
        return []
    return table.pts[min(start, bisect.bisect_left(table.pts, table.keys[0])) :]


def _count_frames(index: VideoIndex, path: Path) -> VideoIndex:
    """The index with the frames that decoding finds; absent or descending times are corrected."""
    step = max(1, round(1 / (Fraction(25) * index.time_base)))
    times: list[int] = []
    keys: list[bool] = []
    undecoded: set[int] = set()
    for packet, frames in packets.decode_packets(path, threads=1):
        if frames is None and packet.pts is not None:
            undecoded.add(packet.pts)
        for frame in frames or []:
            times.append(frame.pts if frame.pts is not None else (times[-1] + step if times else 0))
            keys.append(frame.key_frame)
    times = _make_ascending(times)
    begin = min([times[0], *index.keys])
    # A cut-off file's last packet is half a frame.
    lost = {
        time for time in undecoded if begin <= time and (time < times[-1] or not index.is_cut_off)
    } - set(times)
    pts = sorted([*times, *lost])
    sure = {time for time, is_key in zip(times, keys, strict=True) if is_key} | (
        set(index.keys) & set(pts)
    )
    places = frozenset(place for place, time in enumerate(pts) if time in lost)
    return replace(index, pts=pts, keys=sorted(sure), is_exact=False, lost=places)


def _make_ascending(times: list[int]) -> list[int]:
    """The times in ascending order, with as few as possible moved later, or else earlier."""
    later, earlier = list(times), list(times)
    for place in range(1, len(times)):
        later[place] = max(later[place], later[place - 1] + 1)
        earlier[-place - 1] = min(earlier[-place - 1], earlier[-place] - 1)
    return min(
        later,
        earlier,
        key=lambda mended: sum(one != other for one, other in zip(mended, times, strict=True)),
    )


def _reconcile(table: packets.PacketTable, counted: VideoIndex) -> VideoIndex:
    """The counted index, or what the packets promise where most of that was found."""
    is_part = set(counted.pts) <= set(table.pts) and 3 * len(counted.pts) > 2 * len(table.pts)
    if counted.is_cut_off or not is_part:
        return counted
    begin = bisect.bisect_left(table.pts, min(counted.pts[0], table.keys[0]))
    return replace(counted, pts=table.pts[begin:], keys=table.keys, is_exact=True, lost=frozenset())


def _frame_rate(stated: Fraction | None, pts: list[int], time_base: Fraction) -> Fraction:
    """Frames a second: exact where they come evenly, as stated where nearly, else the mean."""
    steps = {later - earlier for earlier, later in pairwise(pts)}
    if len(steps) == 1:
        return 1 / (steps.pop() * time_base)
    if not steps or (stated and max(steps) - min(steps) <= 1):
        return stated or Fraction(25)
    return ((len(pts) - 1) / ((pts[-1] - pts[0]) * time_base)).limit_denominator(1001)


def _notes(
    path: Path, promised: list[int], index: VideoIndex, is_interlaced: bool
) -> Iterator[str]:
    """What a user may want to know of the footage, and need do nothing about."""
    left_out = len(promised) - len(index.pts)
    if index.is_exact and left_out:
        yield (
            f"{path.name}: frames at the start that cannot be decoded and are left out: {left_out}."
        )
    if is_interlaced:
        yield f"{path.name}: interlaced. Frames are taken as they are, combed where things move."
    missing, places = _gaps(index.pts)
    if missing:
        where = ", ".join(str(place) for place in places[:3]) + (", …" if len(places) > 3 else "")
        yield (
            f"{path.name}: frames that are missing from the file: {missing}, after frame {where}."
            " Those before are shown longer."
        )


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
