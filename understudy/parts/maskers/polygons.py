"""The mask that somebody drew."""

from __future__ import annotations

from typing import Final

import numpy as np

from understudy.parts.maskers import Mask, Masker, MaskInput, maskers
from understudy.types import Floats

DRAWN: Final = "polygons"


@maskers.register(DRAWN)
class Polygons(Masker):
    """What was drawn by hand on dst's face; the whole square where nobody drew."""

    def build(self) -> Mask:
        def polygons(face: MaskInput) -> Floats:
            return np.ones(face.prd.shape, np.float32) if face.polygons is None else face.polygons

        return polygons
