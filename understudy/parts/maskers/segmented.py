"""Masks of a segmenter: what it sees as face. They need its weights in the show."""

from __future__ import annotations

from typing import Final

from understudy.parts.maskers import Mask, Masker, MaskInput, maskers
from understudy.types import Floats

ON_PRD: Final = "xseg-prd"
ON_DST: Final = "xseg-dst"


@maskers.register(ON_PRD)
class SegmentedPrd(Masker):
    """Where the segmenter sees a face in the new face."""

    def build(self) -> Mask:
        def segmented(face: MaskInput) -> Floats:
            assert face.segmented_prd is not None
            return face.segmented_prd

        return segmented


@maskers.register(ON_DST)
class SegmentedDst(Masker):
    """Where the segmenter sees a face in the plate: hands and hair before it stay as they are."""

    def build(self) -> Mask:
        def segmented(face: MaskInput) -> Floats:
            assert face.segmented_dst is not None
            return face.segmented_dst

        return segmented
