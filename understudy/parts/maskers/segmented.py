"""Masks of a segmenter: what it sees as face. They need its weights in the show."""

from __future__ import annotations

from typing import Final

from understudy.parts.maskers import Masked, maskers
from understudy.types import Floats

ON_PRD: Final = "xseg-prd"
ON_DST: Final = "xseg-dst"


@maskers.register(ON_PRD)
def segmented_prd(face: Masked) -> Floats:
    """Where the segmenter sees a face in the new face."""
    assert face.segmented_prd is not None
    return face.segmented_prd


@maskers.register(ON_DST)
def segmented_dst(face: Masked) -> Floats:
    """Where the segmenter sees a face in the plate: hands and hair before it stay as they are."""
    assert face.segmented_dst is not None
    return face.segmented_dst
