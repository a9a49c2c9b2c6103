"""Frames of a merge up to the model: read ahead (a broken one repeats the last), then predicted."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np

from understudy.core import affine, image
from understudy.core.color.occlusion import TypicalFace
from understudy.core.color.transfer import Transfer
from understudy.core.compose.blend import Blend
from understudy.core.compose.composite import NO_MATCH, MatchParams, Swap, WarpedFace, enlarge
from understudy.core.compose.options import CompositeOptions
from understudy.core.face.mask import brows_mask
from understudy.io.footage.base import Footage
from understudy.io.open_footage import open_footage
from understudy.parts.blenders import Blender, blenders
from understudy.parts.color_transfers import ColorTransfer, color_transfers
from understudy.parts.maskers import MaskInput, combine
from understudy.parts.models import Predictor
from understudy.parts.upscalers import upscale_by
from understudy.stages.merge.context import MergeContext
from understudy.stages.merge.placement import FacePlacement
from understudy.stages.merge.segmentation import FaceSegmenter, SegmenterCrop
from understudy.stages.parallel.prefetch import prefetch
from understudy.types import Floats, Frame, Prediction

_BATCH = 8
_DEPTH = 8

_Segmented = tuple[Floats | None, Floats | None]


@dataclass(slots=True)
class MergeFace:
    """A new face on its way into the frame, and what is known of it so far.

    swap: all that the model and the options say. own_match: measured on this frame alone. match,
    light_grid, grain: averaged over frames.
    """

    placement: FacePlacement
    swap: Swap
    own_match: MatchParams = NO_MATCH
    match: MatchParams = NO_MATCH
    warped: WarpedFace | None = None
    light_grid: Floats | None = None
    grain: Floats | None = None


@dataclass(slots=True)
class MergeFrame:
    """A frame on its way through the merge, in the end the finished one; its faces by their run.

    options: what holds where there is no face. problem: why it is listed as failed, or "". matte:
    (H, W), where the new faces are; None where there is none.
    """

    frame: Frame
    faces: dict[int, MergeFace] = field(default_factory=dict)
    options: CompositeOptions = field(default_factory=CompositeOptions)
    problem: str = ""
    matte: Floats | None = None


def predict_frames(
    context: MergeContext, frames: range, threads: int = 0
) -> Generator[MergeFrame, None, None]:
    """Yield the frames of the range in order, each with its new faces.

    A frame that cannot be read comes as the one before it. threads: that decode, 0 = one a core.
    """
    return _predict(prefetch(_read(context, frames, threads), _DEPTH), context)


@dataclass(frozen=True, slots=True)
class _Pending:
    """A frame and its faces, ready for the model.

    crops: (S, S, 3) each. segmenter_crops: one a face where there is a segmenter.
    """

    frame: Frame
    placements: list[FacePlacement]
    crops: list[Floats]
    problem: str = ""
    segmenter_crops: Sequence[SegmenterCrop] = ()


def _read(context: MergeContext, frames: range, threads: int) -> Generator[_Pending, None, None]:
    """The frames with the crops that the model will see, straight from the plate."""
    footage, size = context.footage, context.model.resolution
    # From another thread than its own, footage cannot be read.
    with open_footage(footage.path, index=footage.index, threads=threads) as opened:
        for frame, pictured, problem in _plates(
            opened, range(frames.start, min(frames.stop, len(opened)))
        ):
            placements = context.placements.get(pictured, [])
            misplaced = next(
                (
                    each.face_from_frame
                    for each in placements
                    if isinstance(each.face_from_frame, str)
                ),
                "",
            )
            if misplaced:
                yield _Pending(frame, [], [], problem or misplaced)
                continue
            # What lies outside the frame is as its edge: black would pull the colours of the face
            # to it.
            crops = [
                image.warp(frame.image, np.asarray(each.face_from_frame), (size, size), "replicate")
                for each in placements
            ]
            yield _Pending(
                frame,
                placements,
                [image.as_float(crop) for crop in crops],
                problem,
                _crop_for_segmenter(frame, placements, context),
            )


def _crop_for_segmenter(
    frame: Frame, placements: list[FacePlacement], context: MergeContext
) -> list[SegmenterCrop]:
    if context.segmenter is None:
        return []
    model = (context.model.face_type, context.model.resolution)
    return [
        context.segmenter.crop(
            frame.image, each.landmarks, np.asarray(each.face_from_frame), model, each.room
        )
        for each in placements
    ]


def _plates(footage: Footage, frames: range) -> Iterator[tuple[Frame, int, str]]:
    """Every frame, the number of the one whose picture it shows, and what is wrong with it.

    In place of one that cannot be read stands the one before it, new face and all: the old one must
    not flash up. At the start that is black, number -1.
    """
    before: Frame | None = None
    for each in footage.iter_frames_or_bad(frames):
        if isinstance(each, Frame):
            before = each
            yield each, each.index, ""
            continue
        if before is None:
            before = next((good for good in _backwards(footage, each.index)), None)
        pts = footage.pts[each.index] if footage.is_video else None
        stands = "black" if before is None else f"frame {before.index} again"
        pictured, shown = (-1, _black(footage)) if before is None else (before.index, before)
        again = replace(shown, index=each.index, pts=pts)
        yield again, pictured, f"{each.reason} In its place: {stands}."


def _backwards(footage: Footage, frame: int) -> Iterator[Frame]:
    """The frames before that one that can be read, the nearest first."""
    for earlier in range(frame - 1, -1, -1):
        for each in footage.iter_frames_or_bad(range(earlier, earlier + 1)):
            if isinstance(each, Frame):
                yield each


def _black(footage: Footage) -> Frame:
    image, plate = (
        np.zeros((height, width, 3), np.uint16 if footage.bits > 8 else np.uint8)
        for width, height in (footage.size, footage.plate_size)
    )
    has_plate = footage.size != footage.plate_size
    return Frame(-1, image, None, footage.time_base, footage.color, plate if has_plate else None)


def _predict(
    pending: Generator[_Pending, None, None], context: MergeContext
) -> Generator[MergeFrame, None, None]:
    """The frames with their new faces; the model sees faces of several frames at a time."""
    with contextlib.closing(pending):
        while batch := list(itertools.islice(pending, _BATCH)):
            predictions = list(
                _predict_crops([crop for each in batch for crop in each.crops], context.model)
            )
            made = zip(predictions, _segment(batch, predictions, context.segmenter), strict=True)
            for each in batch:
                faces = [
                    _new_face(each, number, *next(made), context)
                    for number in range(len(each.crops))
                ]
                yield MergeFrame(
                    each.frame,
                    {face.placement.run: face for face in faces},
                    context.keyframes.options_at(each.frame.index),
                    each.problem,
                )


def _predict_crops(crops: list[Floats], model: Predictor) -> Iterator[Prediction]:
    """One prediction of one face after the other."""
    for start in range(0, len(crops), _BATCH):
        made = model.predict(np.stack(crops[start : start + _BATCH]))
        for row in range(len(made.image)):
            yield Prediction(made.image[row], made.mask[row], made.dst_mask[row])


def _segment(
    batch: list[_Pending], predictions: list[Prediction], segmenter: FaceSegmenter | None
) -> Iterator[_Segmented]:
    """The segmenter's masks of each face of the batch: of the new one and of dst's, or None."""
    if segmenter is None:
        return itertools.repeat((None, None), len(predictions))
    return segmenter.masks(
        [crop for each in batch for crop in each.segmenter_crops],
        [each.image for each in predictions],
    )


def _new_face(
    pending: _Pending,
    number: int,
    prediction: Prediction,
    segmented: _Segmented,
    context: MergeContext,
) -> MergeFace:
    """A predicted face with its mask and the options that hold for it."""
    placement = pending.placements[number]
    matrix = np.asarray(placement.face_from_frame)
    options = context.keyframes.options_at(pending.frame.index, placement.person)
    landmarks = affine.apply(matrix, placement.landmarks).astype(np.float32)
    side = context.model.resolution
    brows = None if options.is_dfl else _brows(placement, side, options.face_scale)
    seen = MaskInput(
        landmarks,
        prediction.mask,
        prediction.dst_mask,
        *segmented,
        placement.drawn_mask(side),
        brows,
    )
    mask = combine(options.masks, seen, context.options, dfl=options.is_dfl)
    face = prediction.image
    if options.super_resolution and context.upscale is not None:
        face = upscale_by(face[None], options.super_resolution, context.upscale)[0]
    transfer = _transfer(
        color_transfers.configured(options.color_transfer, context.options), options.is_dfl
    )
    swap = Swap(
        matrix,
        face,
        pending.crops[number],
        mask,
        options,
        transfer,
        _blend(blenders.configured(options.blender, context.options)),
        placement.before,
        placement.after,
        *_appearance(placement, options, context),
        brows,
    )
    return MergeFace(placement, swap)


def _brows(placement: FacePlacement, side: int, face_scale: float) -> Floats:
    """What of the new face lies over dst's brows, which stay where they are when it grows."""
    frame_from_face = affine.invert(np.asarray(placement.face_from_frame))
    face_from_frame = affine.invert(enlarge(frame_from_face, side, face_scale))
    points = affine.apply(face_from_frame, placement.landmarks).astype(np.float32)
    return brows_mask(points, (side, side))


def _appearance(
    placement: FacePlacement, options: CompositeOptions, context: MergeContext
) -> tuple[TypicalFace | None, Floats | None]:
    """How dst's face usually looks, and the tone of a plate without colour, as options ask."""
    is_asked = (options.uncover or options.match_tone) and not options.is_dfl
    if not is_asked or not placement.pictures:
        return None, None
    found = context.appearance_of(placement.pictures)
    usual = found.usual if options.uncover else None
    if usual is not None and placement.room is not None:
        usual = usual.moved(placement.room)
    return usual, found.tone if options.match_tone else None


# The same object for the same settings: colours are averaged over frames as long as it stays.
@cache
def _transfer(transfer: ColorTransfer, is_dfl: bool) -> Transfer:
    return transfer.build_dfl() if is_dfl else transfer.build()


@cache
def _blend(blender: Blender) -> Blend:
    return blender.build()
