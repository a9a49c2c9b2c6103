"""Masks that the model learned."""

from __future__ import annotations

import numpy as np

from understudy.parts.maskers import Mask, Masker, MaskInput, maskers
from understudy.types import Floats


@maskers.register("learned")
class Learned(Masker):
    """Where both the new face and dst's face are, and over dst's brows all that is dst's.

    So nothing is painted beside either, and a brow that dst lifts above the new one is not left
    beside it.
    """

    is_learned = True

    def build(self) -> Mask:
        def learned(face: MaskInput) -> Floats:
            new = face.prd if face.brows is None else np.maximum(face.prd, face.brows)
            return new * face.dst

        return learned


@maskers.register("learned-prd")
class LearnedPrd(Masker):
    """Where the new face is."""

    is_learned = True

    def build(self) -> Mask:
        return lambda face: face.prd


@maskers.register("learned-dst")
class LearnedDst(Masker):
    """Where dst's face is."""

    is_learned = True

    def build(self) -> Mask:
        return lambda face: face.dst
