"""The mask that somebody drew."""

from __future__ import annotations

from typing import Final

import numpy as np

from understudy.parts.maskers import Masked, maskers
from understudy.types import Floats

DRAWN: Final = "polygons"


@maskers.register(DRAWN)
def polygons(face: Masked) -> Floats:
    """What was drawn by hand on dst's face; the whole square where nobody drew."""
    return np.ones(face.prd.shape, np.float32) if face.polygons is None else face.polygons
