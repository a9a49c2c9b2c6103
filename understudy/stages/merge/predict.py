"""The pipe of a merge up to the model: frames are read ahead on one thread, their faces predicted
on a second.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from understudy.core import affine, image
from understudy.core.color.transfer import Transfer
from understudy.core.compose import blend
from understudy.core.compose.options import MODES, CompositeOptions
from understudy.errors import BadOption
from understudy.io.footage.base import Footage, FootageIndex
from understudy.io.model_files import checkpoint
from understudy.io.open_footage import open_footage
from understudy.parts.color_transfers import COLOR_TRANSFERS, DFL_TRANSFERS
from understudy.parts.dfm_model import DfmModel
from understudy.parts.maskers import Masked, combined
from understudy.parts.models.contract import Predictor
from understudy.parts.upscalers import Upscale, upscaled
from understudy.stages.merge.drawn_masks import Painted
from understudy.stages.merge.keyframes import Looks
from understudy.stages.merge.placement import Placed
from understudy.stages.merge.segmentation import Segmenting, View
from understudy.stages.parallel.prefetch import ahead
from understudy.types import Array, Floats, Frame, Prediction

_BATCH = 8
_DEPTH = 8

_Segmented = tuple[Floats | None, Floats | None]


@dataclass(frozen=True, slots=True)
class Reach:
    """How far averages in time look, in frames: of masks, of colours, of light and grain, each made
    from the one before.
    """

    mask: int
    color: int
    light: int

    @property
    def frames(self) -> int:
        """So many frames before and after one have a say in it."""
        return self.mask + self.color + self.light


@dataclass(frozen=True, slots=True)
class Recipe:
    """How faces are made and laid in."""

    model: Predictor
    looks: Looks
    iteration: int = 0
    segmenting: Segmenting | None = None
    upscale: Upscale | None = None
    painted: Painted | None = None

    @classmethod
    def load(cls, folder: Path, device: str, looks: Looks, best: bool = False) -> Recipe:
        """With the model that is saved in `folder`, its newest weights or the best ones, or that is
        a file of that path.
        """
        if folder.is_file():
            if best:
                raise BadOption(
                    f"checkpoint: {folder.name} holds one set of weights. Leave --checkpoint out."
                )
            file = DfmModel(folder, device)
            return cls(file, looks, file.iteration)
        # Late: --help need not wait for torch.
        from understudy.stages.saved_models.load import load_model
        from understudy.stages.saved_models.recipe import BEST, CHECKPOINTS

        model = load_model(folder, device, best)
        whole, _ = checkpoint.load_intact(folder / (BEST if best else CHECKPOINTS))
        return cls(model, looks, whole[0].iteration if whole else 0)

    @property
    def reach(self) -> Reach:
        """How many frames before and after one have a say in it."""
        steady = max(self.looks.uses("steady"))
        has_light = any(MODES[mode].blender is blend.seamless for mode in self.looks.uses("mode"))
        return Reach(
            max(self.looks.uses("steady_mask")),
            steady,
            steady if has_light or max(self.looks.uses("grain")) else 0,
        )


@dataclass(frozen=True, slots=True)
class Take:
    """What frames are merged from. places: the faces of every frame. threads: that may work on it
    at a time, 0 = one a core.
    """

    path: Path
    places: dict[int, list[Placed]]
    recipe: Recipe
    index: FootageIndex | None = None
    threads: int = 0


@dataclass(slots=True)
class NewFace:
    """A face as the model makes it. dst: (S, S, 3), made: (K, K, 3), mask: (S, S), the chosen masks
    together. transfer: what the options' colour transfer names.
    """

    placed: Placed
    options: CompositeOptions
    transfer: Transfer
    dst: Floats
    made: Floats
    mask: Floats


@dataclass(slots=True)
class Predicted:
    """A frame and its new faces. problem: why it is listed as failed, or ""."""

    frame: Frame
    faces: list[NewFace]
    problem: str = ""


def predicted_frames(take: Take, frames: range) -> Generator[Predicted, None, None]:
    """The frames of that range, each with its new faces, in order. One that cannot be read comes as
    the one before it.
    """
    return _predicted(ahead(_read(take, frames), _DEPTH), take.recipe)


@dataclass(frozen=True, slots=True)
class _Pending:
    """A frame and its faces, ready for the model. crops: (K, S, S, 3). views: for the segmenter,
    where there is one.
    """

    frame: Frame
    placed: list[Placed]
    crops: list[Floats]
    problem: str = ""
    views: Sequence[View] = ()


def _read(take: Take, frames: range) -> Generator[_Pending, None, None]:
    """The frames with the crops that the model will see, straight from the plate."""
    recipe, size = take.recipe, take.recipe.model.resolution
    with open_footage(take.path, index=take.index, threads=take.threads) as opened:
        for frame, pictured, problem in _plates(
            opened, range(frames.start, min(frames.stop, len(opened)))
        ):
            placed = take.places.get(pictured, [])
            misplaced = next(
                (each.face_from_frame for each in placed if isinstance(each.face_from_frame, str)),
                "",
            )
            if misplaced:
                yield _Pending(frame, [], [], problem or misplaced)
                continue
            # What lies outside the frame is as its edge: black would pull the colours of the face
            # to it.
            crops = [
                image.warp(frame.image, np.asarray(each.face_from_frame), (size, size), "replicate")
                for each in placed
            ]
            yield _Pending(
                frame,
                placed,
                [image.as_float(crop) for crop in crops],
                problem,
                _views(frame, placed, recipe),
            )


def _views(frame: Frame, placed: list[Placed], recipe: Recipe) -> list[View]:
    if recipe.segmenting is None:
        return []
    model = (recipe.model.face_type, recipe.model.resolution)
    return [
        recipe.segmenting.view(frame.image, each.landmarks, np.asarray(each.face_from_frame), model)
        for each in placed
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
        pictured, shown = (-1, _black(footage)) if before is None else (before.index, before.image)
        pts = footage.pts[each.index] if footage.is_video else None
        stands = "black" if before is None else f"frame {pictured} again"
        again = Frame(each.index, shown, pts, footage.time_base, footage.color)
        yield again, pictured, f"{each.reason} In its place: {stands}."


def _backwards(footage: Footage, frame: int) -> Iterator[Frame]:
    """The frames before that one that can be read, the nearest first."""
    for earlier in range(frame - 1, -1, -1):
        for each in footage.iter_frames_or_bad(range(earlier, earlier + 1)):
            if isinstance(each, Frame):
                yield each


def _black(footage: Footage) -> Array:
    width, height = footage.size
    return np.zeros((height, width, 3), np.uint16 if footage.bits > 8 else np.uint8)


def _predicted(
    pending: Generator[_Pending, None, None], recipe: Recipe
) -> Generator[Predicted, None, None]:
    """The frames with their new faces; the model sees faces of several frames at a time."""
    with contextlib.closing(pending):
        while batch := list(itertools.islice(pending, _BATCH)):
            predictions = list(
                _predictions([crop for each in batch for crop in each.crops], recipe.model)
            )
            made = zip(predictions, _segmented(batch, predictions, recipe.segmenting), strict=True)
            for each in batch:
                faces = [
                    _face(each, number, *next(made), recipe) for number in range(len(each.crops))
                ]
                yield Predicted(each.frame, faces, each.problem)


def _predictions(crops: list[Floats], model: Predictor) -> Iterator[Prediction]:
    """One prediction of one face after the other."""
    for start in range(0, len(crops), _BATCH):
        made = model.predict(np.stack(crops[start : start + _BATCH]))
        for row in range(len(made.image)):
            yield Prediction(made.image[row], made.mask[row], made.dst_mask[row])


def _segmented(
    batch: list[_Pending], predictions: list[Prediction], segmenting: Segmenting | None
) -> Iterator[_Segmented]:
    """What the segmenter sees in each face of the batch, in the new one and in dst's; nothing
    without one.
    """
    if segmenting is None:
        return itertools.repeat((None, None), len(predictions))
    return segmenting.masks(
        [view for each in batch for view in each.views], [each.image for each in predictions]
    )


def _face(
    pending: _Pending, number: int, face: Prediction, segmented: _Segmented, recipe: Recipe
) -> NewFace:
    placed = pending.placed[number]
    landmarks = affine.apply(np.asarray(placed.face_from_frame), placed.landmarks).astype(
        np.float32
    )
    options = recipe.looks.options(pending.frame.index, placed.person)
    size, painted = recipe.model.resolution, None
    if recipe.painted is not None:
        painted = recipe.painted.mask(placed.row, np.asarray(placed.face_from_frame), size)
    mask = combined(
        options.masks,
        Masked(landmarks, face.mask, face.dst_mask, *segmented, painted),
        dfl=options.is_dfl,
    )
    made = face.image
    if options.super_resolution and recipe.upscale is not None:
        made = upscaled(made[None], options.super_resolution, recipe.upscale)[0]
    transfer = (DFL_TRANSFERS if options.is_dfl else COLOR_TRANSFERS)[options.color_transfer]
    return NewFace(placed, options, transfer, pending.crops[number], made, mask)
