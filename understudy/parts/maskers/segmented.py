"""Masks of a segmenter: what it sees as face. They need its weights in the show."""

from __future__ import annotations

from typing import Final

from understudy.parts.maskers import Mask, Masker, MaskInput, maskers
from understudy.types import Floats

ON_PRD: Final = "xseg-prd"
ON_DST: Final = "xseg-dst"
# What DeepFaceLab 1 called them, when FANSeg was its segmenter.
FAN_PRD: Final = "fan-prd"
FAN_DST: Final = "fan-dst"
# Those that look at the new face, and at dst's.
LOOKS_AT_PRD: Final = frozenset({ON_PRD, FAN_PRD})
LOOKS_AT_DST: Final = frozenset({ON_DST, FAN_DST})


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


@maskers.register(FAN_PRD)
class FanPrd(SegmentedPrd):
    """DeepFaceLab 1's FAN-prd: as xseg-prd, by FANSeg where its weights are in the show."""


@maskers.register(FAN_DST)
class FanDst(SegmentedDst):
    """DeepFaceLab 1's FAN-dst: as xseg-dst, by FANSeg where its weights are in the show."""
