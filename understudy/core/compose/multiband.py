"""A face laid in band by band: fine detail meets the plate at the matte's edge, coarse light over a
wide border within it.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from understudy.core.image import blur
from understudy.types import Floats

# How wide the bands are: each has twice the radius of the one before, the last this share of the
# face's size.
_WIDEST: Final = 0.1
_BANDS: Final = 4
_LEAST: Final = 1e-3


def blend_bands(plate: Floats, face: Floats, matte: Floats) -> Floats:
    """The face layer, (H, W, 3): of what the face has other than the plate, each band fades in over
    its own width.

    plate, face: (H, W, 3) float32. matte: (H, W) in 0..1; pixels where it is 0 do not count,
    whatever the face holds there. After the multiresolution spline of Burt and Adelson (1983), with
    Gaussians for the octaves so that nothing jumps when a face grows, and with borders that lie
    within the matte, so that mixing by the matte leaves the plate around it alone.
    """
    size = math.sqrt(float(matte.sum()))
    if size < 1:
        return face
    # The finest band is mixed by the matte itself, which is its border.
    kept = (matte > 0)[..., None]
    added, finer, share = (
        np.zeros_like(plate),
        (face - plate) * kept,
        np.ones((1, 1, 1), np.float32),
    )
    for band in range(_BANDS):
        radius = _WIDEST * size / 2 ** (_BANDS - 1 - band)
        weight = blur(matte, radius)[..., None]
        # Only what lies within the matte counts for the coarser bands.
        coarser = blur(finer * matte[..., None], radius) / np.maximum(weight, _LEAST)
        added += (finer - coarser) * share
        finer, share = coarser, _coarse_weight(weight)
    return np.asarray(plate + (added + finer * share) * kept, np.float32)


def _coarse_weight(weight: Floats) -> Floats:
    """How much of the coarser bands shows, by the blurred matte: nothing at the outline and
    outside, all far inside.
    """
    inside = np.clip(2 * weight - 1, 0, 1)
    return inside * inside * (3 - 2 * inside)
