"""What opening a video tells its user: what is missing, and what is odd about it."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median_low

from understudy.core.plate import square_size
from understudy.io.video.index import VideoIndex
from understudy.io.video.timing.packet_table import PacketTable


def warnings(
    path: Path,
    table: PacketTable,
    index: VideoIndex,
    late: Sequence[str],
    other: Fraction | None,
) -> Iterator[str]:
    """Tell what is not read of a file as it is: it was cut off, or changes on the way.

    late: tracks that come later, as `packets.late_tracks` gives them. other: the pixel aspect that
    it has later on, None = the same.
    """
    if index.is_cut_off:
        lasts = (index.pts[-1] - index.pts[0]) * index.time_base
        of = f" of {float(table.promised):.2f}" if table.promised - lasts > Fraction(1, 2) else ""
        yield (
            f"{path.name}: the file is cut off or damaged: {len(index.pts)} frames can be read, up"
            f" to {float(lasts):.2f}{of} seconds. What is there is used; fetch the file again for"
            " the rest."
        )
    if late:
        yield (
            f"{path.name}: this recording has other tracks at its end than at its beginning:"
            f" {', '.join(late)}. They are not read. Cut the file where they begin, with the"
            " program that recorded or joined it, and give each part by itself."
        )
    if other is not None:
        aspect = index.pixel_aspect
        yield (
            f"{path.name}: the shape of its pixels changes on the way, from"
            f" {aspect.numerator}:{aspect.denominator} to {other.numerator}:{other.denominator}."
            " All of it is taken as at the beginning, so faces look squeezed or stretched later"
            " on. Cut the file where it changes, and give each part by itself."
        )


def notes(path: Path, promised: int, index: VideoIndex) -> Iterator[str]:
    """Tell what a user may want to know of the footage, and need do nothing about."""
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


def notes_on_times(
    path: Path, table: PacketTable, index: VideoIndex, wrong: list[int]
) -> Iterator[str]:
    """Tell where the file's times were not those that are shown."""
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
