"""Frames of a merge after the model: what was measured is averaged in time, then composited.

Each average is made of what was measured with the one before it: first the masks, then colours and
sharpness, then light and grain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import cv2
import numpy as np

from understudy.core.color.transfer import Transfer, weighted_mean
from understudy.core.compose.composite import (
    NO_MATCH,
    MatchParams,
    composite_faces,
    fit_match,
    measure_grain,
    warp_face,
)
from understudy.core.compose.options import CompositeOptions
from understudy.core.plate import Move, lay_into
from understudy.errors import DegeneratePoints
from understudy.io.system import cpu_count
from understudy.stages.frame_ranges import group_ranges
from understudy.stages.merge.context import MergeContext
from understudy.stages.merge.predict import MergeFace, MergeFrame, predict_frames
from understudy.stages.parallel.prefetch import iter_windows, map_on_threads, prefetch
from understudy.types import Floats

_DEPTH = 4
# What was matched by what, and how; the light of a face, its grain, and what is matched with them.
_Match = tuple[CompositeOptions, Transfer, MatchParams]
_Light = tuple[Floats | None, Floats | None, _Match]
Measured = TypeVar("Measured")

# What a single bad frame may raise; anything else is about the whole run, and ends it.
_FRAME_ERRORS = (DegeneratePoints, ArithmeticError, ValueError, cv2.error)
# The farthest frame of an average is so many standard deviations away.
_SIGMAS = 2.0
# Grain changes little and costs much to measure: it is measured in frames whose number this
# divides, more often where less is averaged.
_GRAIN_EVERY = 5


@dataclass(slots=True)
class FrameReport:
    """What happened to the frames, filled while they pass. failed: frame and reason."""

    without_face: list[int] = field(default_factory=list)
    failed: list[tuple[int, str]] = field(default_factory=list)

    def summary(self) -> dict[str, list[list[int]] | list[int]]:
        """As plain values: ranges of frames without a face, and the frames that failed."""
        return {
            "frames_without_a_face": group_ranges(self.without_face),
            "failed_frames": [frame for frame, _ in self.failed],
        }


def merge_frames(
    context: MergeContext, report: FrameReport, frames: range, threads: int = 0
) -> Generator[MergeFrame, None, None]:
    """Yield the finished frames of a range in order; they are the same whatever the range.

    A frame that fails comes as it was, one that cannot be read as the one before it; both are in
    the report.

    Args:
        context: what the merge works with.
        report: filled while the frames pass.
        frames: of the footage.
        threads: that work at a time, 0 = one a core.
    """
    return prefetch(_count(_merge(context, frames, threads), report, frames), _DEPTH)


def _merge(context: MergeContext, frames: range, threads: int) -> Generator[MergeFrame, None, None]:
    """The frames of the range, and those around it that count in their averages."""
    radius = context.keyframes.averaging
    wider = range(max(frames.start - radius.total, 0), frames.stop + radius.total)
    works = prefetch(predict_frames(context, wider, threads), _DEPTH)
    threads = threads or cpu_count()
    works = _each(_average_over_time(works, radius.mask, _mask_of, _average_mask), _fit, threads)
    works = _each(
        _average_over_time(works, radius.color, _match_of, _average_match), _warp, threads
    )
    works = _average_over_time(works, radius.light, _light_of, _average_light)
    return _each(works, _composite, threads)


def _count(
    works: Generator[MergeFrame, None, None], report: FrameReport, frames: range
) -> Generator[MergeFrame, None, None]:
    for work in works:
        frame = work.frame.index
        if frame not in frames:
            continue
        if work.problem:
            report.failed.append((frame, work.problem))
        elif not work.faces:
            report.without_face.append(frame)
        yield work


def _each(
    works: Generator[MergeFrame, None, None], step: Callable[[MergeFrame], None], threads: int
) -> Generator[MergeFrame, None, None]:
    """The frames after that step, several at a time."""

    def run(work: MergeFrame) -> MergeFrame:
        try:
            step(work)
        except _FRAME_ERRORS as error:
            work.problem = (
                work.problem or f"frame {work.frame.index}: not merged, left as it was: {error}."
            )
            work.faces = {}
        return work

    return map_on_threads(works, run, threads, threads + 1)


def _average_over_time(
    works: Generator[MergeFrame, None, None],
    radius: int,
    measure: Callable[[MergeFace], Measured],
    average: Callable[[MergeFace, Sequence[tuple[Measured, int]]], None],
) -> Generator[MergeFrame, None, None]:
    """The frames, each face averaged with the same one in the frames around.

    `average` is given the face, and what was measured on the same one with its distance in frames.
    """

    def measured(work: MergeFrame) -> tuple[int, dict[int, Measured]]:
        return work.frame.index, {run: measure(face) for run, face in work.faces.items()}

    for work, around in iter_windows(works, radius, measured):
        for run, face in work.faces.items():
            average(
                face,
                [(faces[run], frame - work.frame.index) for frame, faces in around if run in faces],
            )
        yield work


def _mask_of(face: MergeFace) -> Floats:
    return face.swap.mask


def _average_mask(face: MergeFace, same: Sequence[tuple[Floats, int]]) -> None:
    mask = _mean(face.swap.mask, same, face.swap.options.steady_mask)
    face.swap = replace(face.swap, mask=mask)


def _fit(work: MergeFrame) -> None:
    for face in work.faces.values():
        face.own_match = fit_match(face.swap)


def _match_of(face: MergeFace) -> _Match:
    return face.swap.options, face.swap.transfer, face.own_match


def _average_match(face: MergeFace, same: Sequence[tuple[_Match, int]]) -> None:
    """Average colours and sharpness with those that were measured in the same way."""
    face.match = _mean_match(_match_of(face), same)


def _mean_match(own: _Match, same: Sequence[tuple[_Match, int]]) -> MatchParams:
    options, transfer, found = own
    alike = [
        (params, away)
        for (other, other_transfer, params), away in same
        if transfer.averages and transfer is other_transfer and _is_alike(options, other)
    ]
    means = (
        _mean(each, [(params[at], away) for params, away in alike], options.steady)
        for at, each in enumerate(found)
    )
    return MatchParams(*means)


def _is_alike(one: CompositeOptions, other: CompositeOptions) -> bool:
    """Whether the mean of both histogram matches means anything."""
    if one.is_grey != other.is_grey or one.histogram is not other.histogram:
        return False
    if one.matches_after_blend != other.matches_after_blend:
        return False
    return one.histogram is None or one.histogram.averages


def _warp(work: MergeFrame) -> None:
    for face in work.faces.values():
        face.warped = warp_face(work.frame.image, face.swap, face.match)
    _measure_grain(work, [face for face in work.faces.values() if _is_measured(face, work)])


def _is_measured(face: MergeFace, work: MergeFrame) -> bool:
    """Whether a face's grain is measured in this frame, so that some is in every average."""
    return work.frame.index % max(min(_GRAIN_EVERY, face.swap.options.steady), 1) == 0


def _measure_grain(work: MergeFrame, faces: Sequence[MergeFace]) -> None:
    shown = [(face, face.warped) for face in faces if face.warped is not None]
    measured = measure_grain(work.frame.image, [warped for _, warped in shown])
    for (face, _), warped in zip(shown, measured, strict=True):
        face.warped, face.grain = warped, warped.grain


def _light_of(face: MergeFace) -> _Light:
    options, transfer, warped = face.swap.options, face.swap.transfer, face.warped
    if warped is None:
        return None, None, (options, transfer, NO_MATCH)
    return warped.light_grid, warped.grain, (options, transfer, warped.after)


def _average_light(face: MergeFace, same: Sequence[tuple[_Light, int]]) -> None:
    """Average light and grain, and colours that are matched with that light."""
    steady, (light, _, after) = face.swap.options.steady, _light_of(face)
    if light is not None:
        face.light_grid = _mean(
            light, [(other, away) for (other, _, _), away in same if other is not None], steady
        )
    known = [
        (other, away)
        for (_, other, _), away in same
        if other is not None and (away == 0 or abs(away) <= steady)
    ]
    if known and face.warped is not None and face.swap.options.grain:
        face.grain = _weighted(known, steady)
    if face.warped is not None:
        mean = _mean_match(after, [(other, away) for (_, _, other), away in same])
        face.warped = replace(face.warped, after=mean)


def _composite(work: MergeFrame) -> None:
    # Of a face that was seen too shortly for a frame in which its grain is measured.
    _measure_grain(work, [face for face in work.faces.values() if face.grain is None])
    faces = [
        (face.warped, face.light_grid, face.grain)
        for face in work.faces.values()
        if face.warped is not None
    ]
    options = faces[0][0].swap.options if faces else work.options
    shows_plate = options.shows not in ("mask", "predicted")
    if faces or not shows_plate:
        before = work.frame
        layers = composite_faces(before.image, faces, work.options)
        work.frame, work.matte = replace(before, image=layers.image), layers.matte
        if before.plate is not None:
            # A mode that shows something else altogether leaves nothing of the plate.
            mixed = layers.matte if shows_plate else np.ones_like(layers.matte)
            moves = _moves_to_second_field(work)
            plate = lay_into(before.plate, before.image, layers.image, mixed, before.fields, moves)
            work.frame = replace(work.frame, plate=plate)


def _moves_to_second_field(work: MergeFrame) -> list[Move]:
    """How the faces move until the second field of an interlaced frame."""
    if work.frame.fields is None:
        return []
    ways = [(face.warped, face.placement.second_field()) for face in work.faces.values()]
    return [
        Move(warped.box, warped.matte, way)
        for warped, way in ways
        if warped is not None and way is not None
    ]


def _mean(own: Floats, others: Sequence[tuple[Floats, int]], radius: int) -> Floats:
    """The mean with what holds in the frames around, the nearer the more."""
    near = [
        (each, away)
        for each, away in others
        if away and abs(away) <= radius and each.shape == own.shape
    ]
    if not near:
        return own
    return _weighted([(own, 0), *near], radius)


def _weighted(known: Sequence[tuple[Floats, int]], radius: int) -> Floats:
    """The mean of what holds so many frames away, the nearer the more."""
    weights = [math.exp(-0.5 * (_SIGMAS * away / max(radius, 1)) ** 2) for _, away in known]
    return weighted_mean([each for each, _ in known], weights)
