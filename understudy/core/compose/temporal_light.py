"""The light that a blend adds, in few numbers, so that it can be averaged over frames."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.core import affine, image
from understudy.types import Doubles, Floats

# The side of the grid over the face square on which light is compared.
_GRID: Final = 96
# Light this near to the outline, in frame pixels, holds the plate's detail, too.
_RIM: Final = 2
# The change of light is smoothed by a Gaussian of so many cells; a wider and fainter one carries it
# beyond the outline.
_SMOOTH: Final = 1.0
_REACH: Final = 4.0
_FAINT: Final = 0.01
_LEAST: Final = 1e-5


def sample_light(
    light: Floats, roi_from_face: Doubles, side: int, inside: NDArray[np.bool_]
) -> Floats:
    """Sample the light on a grid over the face square. A mean of such grids is one, too.

    Args:
        light: (H, W, 3) float32 in a region of the frame.
        roi_from_face: (2, 3).
        side: Of the face square in face pixels.
        inside: (H, W) bool, where the light counts.

    Returns:
        (96, 96, 4) float32: colour times weight, and weight.
    """
    square = np.ones((2 * _RIM + 1, 2 * _RIM + 1), np.uint8)
    kept = cv2.erode(inside.astype(np.float32), square, borderType=cv2.BORDER_REPLICATE)[..., None]
    weighted = np.concatenate([light * kept, kept], axis=2)
    return image.warp(
        weighted,
        affine.invert(_roi_from_grid(roi_from_face, side)),
        (_GRID, _GRID),
        filter="linear",
    )


def correct_light(
    light: Floats, own: Floats, mean: Floats, roi_from_face: Doubles, side: int
) -> Floats:
    """Move the light, smoothly, by as much as `mean` differs from `own`.

    Args:
        light: (H, W, 3) float32 in a region of the frame.
        own: (96, 96, 4), from `sample_light` of this light.
        mean: (96, 96, 4), its average over frames.
        roi_from_face: (2, 3).
        side: Of the face square in face pixels.

    Returns:
        (H, W, 3) float32; equal grids leave the light exactly as it is.
    """
    shared = np.minimum(own[..., 3:], mean[..., 3:])
    change = (_colors(mean) - _colors(own)) * shared
    if not change.any():
        return light
    # Far from all that both know of, nothing changes.
    near = _extrapolate(shared)
    field = _extrapolate(change) / np.maximum(near, _LEAST) * np.clip(near / (2 * _LEAST), 0, 1)
    size = (light.shape[1], light.shape[0])
    change = image.warp(
        np.asarray(field, np.float32),
        _roi_from_grid(roi_from_face, side),
        size,
        "replicate",
        "linear",
    )
    return np.asarray(light + change, np.float32)


def _roi_from_grid(roi_from_face: Doubles, side: int) -> Doubles:
    return affine.compose(roi_from_face, affine.scaling(side / _GRID))


def _colors(weighted: Floats) -> Floats:
    return np.asarray(weighted[..., :3] / np.maximum(weighted[..., 3:], _LEAST), np.float32)


def _extrapolate(picture: Floats) -> Floats:
    """The picture smoothed a little where it is strong, and carried beyond its outline."""
    soft, wide = (cv2.GaussianBlur(picture, (0, 0), cells) for cells in (_SMOOTH, _REACH))
    return np.asarray(soft + np.float32(_FAINT) * wide, np.float32).reshape(picture.shape)
