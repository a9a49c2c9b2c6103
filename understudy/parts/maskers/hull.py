"""Masks that need no model."""

from __future__ import annotations

import numpy as np

from understudy.core.face import mask
from understudy.parts.maskers import Masked, maskers
from understudy.types import Floats


@maskers.register("dst")
def hull(face: Masked) -> Floats:
    """The hull of dst's landmarks, brows lifted: steady, but it knows nothing of hands or hair
    before the face.
    """
    height, width = face.prd.shape
    return mask.hull_mask(face.landmarks, (width, height))


@maskers.register("full")
def full(face: Masked) -> Floats:
    """The whole square; its edge still fades."""
    return np.ones(face.prd.shape, np.float32)
