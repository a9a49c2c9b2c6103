"""Outlines drawn by hand, as a matte."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from understudy.core import mask
from understudy.types import Floats, Polygon


def baked(polygons: Sequence[Polygon], size: tuple[int, int]) -> Floats:
    """What the polygons leave of a picture, (height, width) float32 in 0..1, anti-aliased.

    polygons: in its pixels. size: (width, height). First all that include count, the whole picture where none does; then
    those that exclude take away.
    """
    inside = [each.points for each in polygons if each.includes]
    outside = [each.points for each in polygons if not each.includes]
    matte = mask.polygons(inside, size) if inside else np.ones(size[::-1], np.float32)
    return matte * (1 - mask.polygons(outside, size)) if outside else matte
