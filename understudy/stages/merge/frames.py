"""The pipe of a merge after the model: masks, colours and light are steadied over the frames
around, then faces are laid in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import cv2

from understudy.core.color.transfer import Transfer, averaged
from understudy.core.compose.composite import (
    NO_MATCH,
    MatchParams,
    Swap,
    WarpedFace,
    composite_faces,
    fit_match,
    warp_face,
)
from understudy.core.compose.options import CompositeOptions
from understudy.errors import DegeneratePoints
from understudy.io.system import cpu_count
from understudy.stages.frame_ranges import ranges
from understudy.stages.merge.predict import NewFace, Predicted, Recipe, Take, predicted_frames
from understudy.stages.parallel.prefetch import ahead, pooled, windowed
from understudy.types import Floats, Frame

_DEPTH = 4
Note = TypeVar("Note")

# What a single bad frame may raise; anything else is about the whole run, and ends it.
_FRAME_ERRORS = (DegeneratePoints, ArithmeticError, ValueError, cv2.error)
# A frame at the end of an average's reach is so many standard deviations away.
_SIGMAS = 2.0


@dataclass(slots=True)
class Report:
    """What happened to the frames, filled while they pass. bare: frames without a face. failed:
    frame and reason.
    """

    bare: list[int] = field(default_factory=list)
    failed: list[tuple[int, str]] = field(default_factory=list)

    def facts(self) -> dict[str, list[list[int]] | list[int]]:
        """As plain values: first and last frame of every stretch without a face, and the frames
        that failed.
        """
        return {
            "frames_without_a_face": ranges(self.bare),
            "failed_frames": [frame for frame, _ in self.failed],
        }


@dataclass(slots=True)
class Face:
    """A new face and what is known of it so far. own_match: measured on this frame alone; match,
    light_grid, grain: means in time.
    """

    new: NewFace
    swap: Swap | None = None
    own_match: MatchParams = NO_MATCH
    match: MatchParams = NO_MATCH
    warped: WarpedFace | None = None
    light_grid: Floats | None = None
    grain: Floats | None = None


@dataclass(slots=True)
class Merged:
    """A frame under way, and in the end finished, its faces by their run.

    problem: why it is listed as failed, or "". options: what holds where there is no face.
    matte: (H, W), where the new faces are; None where there is none.
    """

    frame: Frame
    faces: dict[int, Face]
    options: CompositeOptions
    problem: str = ""
    matte: Floats | None = None


def merged_frames(take: Take, report: Report, frames: range) -> Generator[Merged, None, None]:
    """The frames of that range of the footage, finished, in order: the same whatever the range.

    A frame that fails comes as it was, one that cannot be read as the one before it; both are in
    the report.
    """
    return ahead(_reported(_finished(take, frames), report, frames), _DEPTH)


def _finished(take: Take, frames: range) -> Generator[Merged, None, None]:
    """The frames of the range, and those around it that have a say in them."""
    reach, threads = take.recipe.reach, take.threads or cpu_count()
    wider = range(max(frames.start - reach.frames, 0), frames.stop + reach.frames)
    works = _begun(ahead(predicted_frames(take, wider), _DEPTH), take.recipe)
    works = _each(_steadied(works, reach.mask, _mask, _swap), _match, threads)
    works = _each(_steadied(works, reach.color, _own_match, _mean_match), _warp, threads)
    return _each(_steadied(works, reach.light, _own_light, _mean_light), _lay, threads)


def _reported(
    works: Generator[Merged, None, None], report: Report, frames: range
) -> Generator[Merged, None, None]:
    for work in works:
        frame = work.frame.index
        if frame not in frames:
            continue
        if work.problem:
            report.failed.append((frame, work.problem))
        elif not work.faces:
            report.bare.append(frame)
        yield work


def _begun(
    predicted: Generator[Predicted, None, None], recipe: Recipe
) -> Generator[Merged, None, None]:
    for each in predicted:
        faces = {face.placed.run: Face(face) for face in each.faces}
        options = recipe.looks.options(each.frame.index)
        yield Merged(each.frame, faces, options, each.problem)


def _each(
    works: Generator[Merged, None, None], step: Callable[[Merged], None], threads: int
) -> Generator[Merged, None, None]:
    """The frames after that step, several at a time."""

    def stepped(work: Merged) -> Merged:
        try:
            step(work)
        except _FRAME_ERRORS as error:
            work.problem = (
                work.problem or f"frame {work.frame.index}: not merged, left as it was: {error}."
            )
            work.faces = {}
        return work

    return pooled(works, stepped, threads, threads + 1)


def _steadied(
    works: Generator[Merged, None, None],
    reach: int,
    note: Callable[[Face], Note],
    steady: Callable[[Face, Sequence[tuple[Note, int]]], None],
) -> Generator[Merged, None, None]:
    """The frames; `steady` is given each face with what is noted of the same one in the frames
    around, and how far they are.
    """

    def noted(work: Merged) -> tuple[int, dict[int, Note]]:
        return work.frame.index, {run: note(face) for run, face in work.faces.items()}

    for work, around in windowed(works, reach, noted):
        for run, face in work.faces.items():
            steady(
                face,
                [(notes[run], frame - work.frame.index) for frame, notes in around if run in notes],
            )
        yield work


def _mask(face: Face) -> Floats:
    return face.new.mask


def _swap(face: Face, same: Sequence[tuple[Floats, int]]) -> None:
    """Take the mask, averaged in time."""
    new, placed = face.new, face.new.placed
    assert not isinstance(placed.face_from_frame, str)
    mask = _average(new.mask, same, new.options.steady_mask)
    face.swap = Swap(
        placed.face_from_frame,
        new.made,
        new.dst,
        mask,
        new.options,
        new.transfer,
        placed.before,
        placed.after,
    )


def _match(work: Merged) -> None:
    for face in work.faces.values():
        assert face.swap is not None
        face.own_match = fit_match(face.swap)


def _own_match(face: Face) -> tuple[CompositeOptions, Transfer, MatchParams]:
    return face.new.options, face.new.transfer, face.own_match


def _mean_match(
    face: Face, same: Sequence[tuple[tuple[CompositeOptions, Transfer, MatchParams], int]]
) -> None:
    """Take colours and sharpness, averaged in time with those of the same kind."""
    options, transfer, own = _own_match(face)
    alike = [
        (params, away)
        for (other, other_transfer, params), away in same
        if transfer is other_transfer and _is_alike(options, other)
    ]
    if not transfer.averages:
        alike = []
    means = (
        _average(each, [(params[at], away) for params, away in alike], options.steady)
        for at, each in enumerate(own)
    )
    face.match = MatchParams(*means)


def _warp(work: Merged) -> None:
    for face in work.faces.values():
        assert face.swap is not None
        face.warped = warp_face(work.frame.image, face.swap, face.match)


def _own_light(face: Face) -> tuple[Floats | None, Floats | None]:
    return (None, None) if face.warped is None else (face.warped.light_grid, face.warped.grain)


def _mean_light(
    face: Face, same: Sequence[tuple[tuple[Floats | None, Floats | None], int]]
) -> None:
    """Take the light and the grain, averaged in time."""
    steady, (light, grain) = face.new.options.steady, _own_light(face)
    if light is not None:
        face.light_grid = _average(
            light, [(other, away) for (other, _), away in same if other is not None], steady
        )
    if grain is not None:
        face.grain = _average(
            grain, [(other, away) for (_, other), away in same if other is not None], steady
        )


def _lay(work: Merged) -> None:
    faces = [
        (face.warped, face.light_grid, face.grain)
        for face in work.faces.values()
        if face.warped is not None
    ]
    if faces or work.options.shows in ("mask", "predicted"):
        layers = composite_faces(work.frame.image, faces, work.options)
        work.frame, work.matte = replace(work.frame, image=layers.image), layers.matte


def _is_alike(one: CompositeOptions, other: CompositeOptions) -> bool:
    """Whether the mean of both histogram matches means anything."""
    if one.is_grey != other.is_grey or one.histogram is not other.histogram:
        return False
    return one.histogram is None or one.histogram.averages


def _average(own: Floats, others: Sequence[tuple[Floats, int]], reach: int) -> Floats:
    """The mean of what holds in the frames around, the nearer the more."""
    near = [
        (each, away)
        for each, away in others
        if away and abs(away) <= reach and each.shape == own.shape
    ]
    if not near:
        return own
    weights = [math.exp(-0.5 * (_SIGMAS * away / reach) ** 2) for _, away in near]
    return averaged([own, *(each for each, _ in near)], [1.0, *weights])
