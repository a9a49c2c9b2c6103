"""The segmenter in a merge: each face is warped into its square, and its mask back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from understudy.core import affine, image
from understudy.core.face import align
from understudy.io.model_files.segmenter_file import SegmenterFile
from understudy.options import Options
from understudy.parts.maskers import names_in
from understudy.parts.maskers.segmented import LOOKS_AT_DST, LOOKS_AT_PRD, ON_DST, ON_PRD
from understudy.parts.segmenters import Segment, segmenters
from understudy.types import Array, Doubles, FaceType, Floats


@dataclass(frozen=True, slots=True)
class SegmenterCrop:
    """A dst face for the segmenter.

    seen_from_face: (2, 3). plate: (size, size, 3) float32, or None when no mask asks for it.
    """

    seen_from_face: Doubles
    plate: Floats | None


@dataclass(frozen=True, slots=True)
class FaceSegmenter:
    """A segmenter, ready.

    kind: its name in the registry. face_type, size: of the pictures that it sees. on_prd, on_dst:
    what the masks ask of it.
    """

    name: str
    kind: str
    segment: Segment
    face_type: FaceType
    size: int
    on_prd: bool
    on_dst: bool

    @classmethod
    def load(
        cls, file: SegmenterFile, device: str, masks: Sequence[str], settings: Options
    ) -> FaceSegmenter:
        """Load the segmenter of a file for these masks. Raises WeightsMissing, BadOption.

        settings: the options that hold the segmenters' settings.
        """
        segment = segmenters.configured(file.kind, settings).build(file, device)
        wanted = names_in(masks)
        return cls(
            file.path.stem,
            file.kind,
            segment,
            file.face_type,
            file.resolution,
            bool(LOOKS_AT_PRD & wanted),
            bool(LOOKS_AT_DST & wanted),
        )

    def coverage_warnings(self, model: FaceType) -> list[str]:
        """Say what it means that the segmenter learnt from other squares than the model's faces.

        model: the face type of the model.
        """
        reason = f"the segmenter learnt from {self.face_type} faces, the model's are {model}"
        if align.contains(model, self.face_type) and model != self.face_type:
            return [
                f"{reason}: beyond the segmenter's square nothing counts as face. A segmenter of"
                f" {model} faces would see all of it."
            ]
        if self.on_prd and model != self.face_type:
            return [
                f"{reason}: for {ON_PRD} what lies around the prediction is guessed, so it is less"
                f" sure than {ON_DST}."
            ]
        return []

    def crop(
        self,
        plate: Array,
        landmarks: Floats,
        face_from_frame: Doubles,
        model: tuple[FaceType, int],
        room: Doubles | None = None,
    ) -> SegmenterCrop:
        """Crop a face as the segmenter sees it: the plate in its own square, resampled once.

        Args:
            plate: (H, W, 3) uint8, uint16 or float32.
            landmarks: (68, 2) in the plate.
            face_from_frame: (2, 3), smoothed.
            model: Face type and size of its faces.
            room: See `FacePlacement`.
        """
        seen_from_frame = align.face_from_frame(landmarks, self.face_type, self.size)
        own = align.face_from_frame(landmarks, *model)
        seen_from_face = affine.compose(
            seen_from_frame, affine.invert(own if room is None else affine.compose(room, own))
        )
        if not self.on_dst:
            return SegmenterCrop(seen_from_face, None)
        # By way of the steadied square, so that the mask is as steady as the face.
        matrix = affine.compose(seen_from_face, face_from_frame)
        return SegmenterCrop(
            seen_from_face,
            image.as_float(image.warp(plate, matrix, (self.size, self.size), "replicate")),
        )

    def masks(
        self, views: Sequence[SegmenterCrop], faces: Sequence[Floats]
    ) -> Iterator[tuple[Floats | None, Floats | None]]:
        """Predict the masks of faces: of the new ones, and of dst's.

        What lies beyond a prediction is as its edge; beyond the segmenter's square is no face.

        Args:
            views: One a face, from `crop`.
            faces: (S, S, 3) float32 in 0..1, the predictions.

        Returns:
            Two masks a face, (S, S) float32 in 0..1, or None for what no mask asks.
        """
        size = (self.size, self.size)
        nothing: list[None] = [None] * len(views)
        sides = [len(face) for face in faces]
        shown = zip(faces, views, strict=True) if self.on_prd else ()
        made = [image.warp(face, view.seen_from_face, size, "replicate") for face, view in shown]
        on_prd = self._warp_back(made, views, sides) if self.on_prd else nothing
        on_dst = (
            self._warp_back([view.plate for view in views if view.plate is not None], views, sides)
            if self.on_dst
            else nothing
        )
        return zip(on_prd, on_dst, strict=True)

    def _warp_back(
        self, seen: Sequence[Floats], views: Sequence[SegmenterCrop], sides: Sequence[int]
    ) -> list[Floats]:
        """The masks of what the segmenter sees, in the pixels of the model's faces."""
        found = self.segment(np.stack(seen)) if seen else ()
        # Linear never overshoots.
        return [
            image.warp(mask, affine.invert(view.seen_from_face), (side, side), filter="linear")
            for mask, view, side in zip(found, views, sides, strict=True)
        ]
