"""The pipe of a merge: frames are read ahead on one thread, swapped on a second, encoded on the caller's."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from understudy.core import align, geometry, image, temporal
from understudy.core.composite import Look, Swap, composite
from understudy.errors import BadOption, DegeneratePoints, NoFaces
from understudy.io import checkpoint
from understudy.io.faceset import Faceset
from understudy.io.footage import Footage, open_footage
from understudy.parts.dfm_model import DfmModel
from understudy.parts.maskers import Masked, product
from understudy.stages.pipes import ahead
from understudy.stages.segmenting import Segmenting, View
from understudy.stages.stretches import ranges
from understudy.types import Doubles, Faces, FaceType, Floats, Frame, Prediction

_BATCH = 8
_DEPTH = 8
# What a single bad frame may raise; anything else is about the whole run, and ends it.
_FRAME_ERRORS = (DegeneratePoints, ArithmeticError, ValueError, cv2.error)

_Segmented = tuple[Floats | None, Floats | None]


class Predictor(Protocol):
    """What a merge needs of a model."""

    resolution: int
    face_type: FaceType

    def predict(self, images: Floats) -> Prediction:
        """What becomes of dst faces (N, R, R, 3)."""

    def set_morph(self, share: float) -> None:
        """Let so much of the face, 0..1, become src's. Raises BadOption where that cannot be chosen."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How faces are made and laid in."""

    model: Predictor
    look: Look
    masks: tuple[str, ...]
    iteration: int = 0
    segmenting: Segmenting | None = None

    @classmethod
    def load(cls, folder: Path, device: str, look: Look, masks: tuple[str, ...], best: bool = False) -> Recipe:
        """With the model that is saved in `folder`, its newest weights or the best ones, or that is a file of that path."""
        if folder.is_file():
            if best:
                raise BadOption(f"checkpoint: {folder.name} holds one set of weights. Leave --checkpoint out.")
            file = DfmModel(folder, device)
            return cls(file, look, masks, file.iteration)
        # Late: --help need not wait for torch.
        from understudy.stages.recipes import BEST, CHECKPOINTS
        from understudy.stages.train import load_model

        model = load_model(folder, device, best)
        whole, _ = checkpoint.intact(folder / (BEST if best else CHECKPOINTS))
        return cls(model, look, masks, whole[0].iteration if whole else 0)


@dataclass(frozen=True, slots=True)
class Scene:
    """Where the dst faces are. faces: (N,), smooth: whether their places are steadied."""

    faces: Faces
    smooth: bool

    @classmethod
    def of(cls, folder: Path, *, smooth: bool) -> Scene:
        """The faces of a faceset. Raises NoFaces."""
        faces = Faceset(folder).faces if folder.is_dir() else Faces.empty()
        if not len(faces):
            raise NoFaces(
                f"{folder}: no dst faces, so there is nothing to replace. Run: understudy extract {folder.parent.parent} dst."
            )
        return cls(faces, smooth)

    @property
    def last_frame(self) -> int:
        """The last frame with a face."""
        return int(self.faces.frame.max())

    def placed(self, face_type: FaceType, size: int) -> dict[int, list[Placed]]:
        """The faces of every frame, aligned for a model; those whose points give no alignment carry the reason."""
        matrices: list[Doubles | str] = []
        for landmarks in self.faces.landmarks:
            try:
                matrices.append(align.face_from_frame(landmarks, face_type, size))
            except DegeneratePoints as error:
                matrices.append(str(error))
        good = [row for row, matrix in enumerate(matrices) if not isinstance(matrix, str)]
        if self.smooth and good:
            steady = temporal.smoothed(np.stack([np.asarray(matrices[row], np.float64) for row in good]), self.faces[good], size)
            for row, matrix in zip(good, steady, strict=True):
                matrices[row] = matrix
        places: dict[int, list[Placed]] = {}
        for frame, landmarks, matrix in zip(self.faces.frame, self.faces.landmarks, matrices, strict=True):
            places.setdefault(int(frame), []).append(Placed(landmarks, matrix))
        return places


@dataclass(frozen=True, slots=True)
class Placed:
    """One dst face of a frame: its landmarks (68, 2) there, and face_from_frame (2, 3), or why there is none."""

    landmarks: Floats
    face_from_frame: Doubles | str


@dataclass(slots=True)
class Report:
    """What happened to the frames, filled while they pass. bare: frames without a face. failed: frame and reason."""

    bare: list[int] = field(default_factory=list)
    failed: list[tuple[int, str]] = field(default_factory=list)

    def facts(self) -> dict[str, list[list[int]] | list[int]]:
        """As plain values: first and last frame of every stretch without a face, and the frames that failed."""
        return {"frames_without_a_face": ranges(self.bare), "failed_frames": [frame for frame, _ in self.failed]}


def merged_frames(footage: Path, scene: Scene, recipe: Recipe, report: Report) -> Generator[Frame, None, None]:
    """The finished frames of the footage, in order. A frame that fails comes as it was, one that cannot be read as the one before
    it; both are in the report.
    """
    return ahead(_swapped(ahead(_read(footage, scene, recipe), _DEPTH), recipe, report), _DEPTH)


@dataclass(frozen=True, slots=True)
class _Pending:
    """A frame and its faces, ready for the model. crops: (K, S, S, 3). problem: why it is listed as failed, or "". views: for
    the segmenter, where there is one.
    """

    frame: Frame
    placed: list[Placed]
    crops: list[Floats]
    problem: str = ""
    views: Sequence[View] = ()


def _read(footage: Path, scene: Scene, recipe: Recipe) -> Generator[_Pending, None, None]:
    """The frames with the crops that the model will see, straight from the plate."""
    size = recipe.model.resolution
    places = scene.placed(recipe.model.face_type, size)
    with open_footage(footage) as opened:
        for frame, pictured, problem in _plates(opened):
            placed = places.get(pictured, [])
            misplaced = next((each.face_from_frame for each in placed if isinstance(each.face_from_frame, str)), "")
            if misplaced:
                yield _Pending(frame, [], [], problem or misplaced)
                continue
            # What lies outside the frame is as its edge: black would pull the colours of the face to it.
            crops = [image.warp(frame.image, np.asarray(each.face_from_frame), (size, size), "replicate") for each in placed]
            yield _Pending(frame, placed, [image.as_float(crop) for crop in crops], problem, _views(frame, placed, recipe))


def _views(frame: Frame, placed: list[Placed], recipe: Recipe) -> list[View]:
    if recipe.segmenting is None:
        return []
    model = (recipe.model.face_type, recipe.model.resolution)
    return [recipe.segmenting.view(frame.image, each.landmarks, np.asarray(each.face_from_frame), model) for each in placed]


def _plates(footage: Footage) -> Iterator[tuple[Frame, int, str]]:
    """Every frame, the number of the one whose picture it shows, and what is wrong with it.

    In place of one that cannot be read stands the one before it, new face and all: the old one must not flash up. At the start
    that is black, number -1.
    """
    width, height = footage.size
    pictured, before = -1, np.zeros((height, width, 3), np.uint16 if footage.bits > 8 else np.uint8)
    for each in footage.attempts(range(len(footage))):
        if isinstance(each, Frame):
            pictured, before = each.index, each.image
            yield each, pictured, ""
            continue
        pts = footage.pts[each.index] if footage.is_video else None
        stands = f"frame {pictured} again" if pictured >= 0 else "black"
        again = Frame(each.index, before, pts, footage.time_base, footage.color)
        yield again, pictured, f"{each.reason} In its place: {stands}."


def _swapped(pending: Generator[_Pending, None, None], recipe: Recipe, report: Report) -> Generator[Frame, None, None]:
    """The frames with their new faces; the model sees faces of several frames at a time."""
    with contextlib.closing(pending):
        while batch := list(itertools.islice(pending, _BATCH)):
            predictions = list(_predictions([crop for each in batch for crop in each.crops], recipe.model))
            made = zip(predictions, _segmented(batch, predictions, recipe.segmenting), strict=True)
            for each in batch:
                faces = list(itertools.islice(made, len(each.crops)))
                if not each.placed and not each.problem:
                    report.bare.append(each.frame.index)
                yield _finished(each, faces, recipe, report)


def _predictions(crops: list[Floats], model: Predictor) -> Iterator[Prediction]:
    """One prediction of one face after the other."""
    for start in range(0, len(crops), _BATCH):
        made = model.predict(np.stack(crops[start : start + _BATCH]))
        for row in range(len(made.image)):
            yield Prediction(made.image[row], made.mask[row], made.dst_mask[row])


def _segmented(batch: list[_Pending], predictions: list[Prediction], segmenting: Segmenting | None) -> Iterator[_Segmented]:
    """What the segmenter sees in each face of the batch, in the new one and in dst's; nothing without one."""
    if segmenting is None:
        return itertools.repeat((None, None), len(predictions))
    return segmenting.masks([view for each in batch for view in each.views], [each.image for each in predictions])


def _finished(pending: _Pending, faces: list[tuple[Prediction, _Segmented]], recipe: Recipe, report: Report) -> Frame:
    frame = pending.frame
    if pending.problem:
        report.failed.append((frame.index, pending.problem))
    if not faces:
        return frame
    try:
        swaps = [
            _swap(placed, crop, *made, recipe.masks)
            for placed, crop, made in zip(pending.placed, pending.crops, faces, strict=True)
        ]
        return replace(frame, image=composite(frame.image, swaps, recipe.look).image)
    except _FRAME_ERRORS as error:
        report.failed.append((frame.index, f"frame {frame.index}: not merged, left as it was: {error}."))
        return frame


def _swap(placed: Placed, crop: Floats, face: Prediction, segmented: _Segmented, masks: tuple[str, ...]) -> Swap:
    assert not isinstance(placed.face_from_frame, str)
    landmarks = geometry.apply(placed.face_from_frame, placed.landmarks).astype(np.float32)
    mask = product(masks, Masked(landmarks, face.mask, face.dst_mask, *segmented))
    return Swap(placed.face_from_frame, face.image, crop, mask)
