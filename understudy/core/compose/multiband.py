"""A face blended in band by band: fine detail over a narrow border, coarse light over a wide."""

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
    """Make the face layer: each band of what the face has other than the plate fades in by itself.

    After the multiresolution spline of Burt and Adelson (1983), with Gaussians for the octaves so
    that nothing jumps when a face grows. The borders lie within the matte, so that mixing by the
    matte leaves the plate around it alone.

    Args:
        plate: (H, W, 3) float32.
        face: (H, W, 3) float32.
        matte: (H, W) float32 in 0..1; where it is 0 the face does not count.

    Returns:
        (H, W, 3) float32.
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
    """How much of the coarser bands shows, by the blurred matte.

    Nothing at the outline and outside, all far inside.
    """
    inside = np.clip(2 * weight - 1, 0, 1)
    return inside * inside * (3 - 2 * inside)
