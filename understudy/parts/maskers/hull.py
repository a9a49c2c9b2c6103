"""Masks that need no model."""

from __future__ import annotations

import numpy as np

from understudy.core.face import mask
from understudy.parts.maskers import Mask, Masker, MaskInput, maskers
from understudy.types import Floats


@maskers.register("dst")
class Hull(Masker):
    """The hull of dst's landmarks, brows lifted.

    Steady, but it knows nothing of hands or hair before the face.
    """

    def build(self) -> Mask:
        def hull(face: MaskInput) -> Floats:
            height, width = face.prd.shape
            return mask.hull_mask(face.landmarks, (width, height))

        return hull


@maskers.register("full")
class Full(Masker):
    """The whole square; its edge still fades."""

    def build(self) -> Mask:
        return lambda face: np.ones(face.prd.shape, np.float32)
