"""CIE LAB, and mean and spread of a picture's colours.

Pictures are RGB float32 in 0..1, sRGB-like.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from understudy.types import Floats

# Below this many pixels' worth of weight, statistics say nothing about the face.
MIN_WEIGHT: Final = 16.0

MeanStd = tuple[Floats, Floats]


def apply_matrix(colors: Floats, matrix: Floats) -> Floats:
    """Turn, stretch and shift colours.

    Args:
        colors: (H, W, 3) or (N, 3) float32.
        matrix: (3, 4), a matrix and a shift.

    Returns:
        The same shape.
    """
    return np.asarray(cv2.transform(_picture(colors), matrix), np.float32).reshape(colors.shape)


def weighted_mean_std(picture: Floats, weight: Floats) -> MeanStd:
    """Return the weighted mean and standard deviation of each channel.

    Args:
        picture: (..., 3) float32.
        weight: (...), its sum above 0.

    Returns:
        Two (3,) float32.
    """
    planes, counts = np.ascontiguousarray(picture.reshape(-1, picture.shape[-1]).T), weight.ravel()
    total = counts.sum(dtype=np.float64)
    mean = (planes * counts).sum(1, dtype=np.float64) / total
    aside = planes - mean.astype(np.float32)[:, None]
    spread = np.sqrt((aside * aside * counts).sum(1, dtype=np.float64) / total)
    return mean.astype(np.float32), spread.astype(np.float32)


def lab_from_rgb(colors: Floats) -> Floats:
    """Convert sRGB to CIE LAB (D65).

    Args:
        colors: (H, W, 3) or (N, 3) float32 in 0..1.

    Returns:
        The same shape: L 0..100, a and b about -127..127.
    """
    return _converted(colors, cv2.COLOR_RGB2Lab)


def rgb_from_lab(colors: Floats) -> Floats:
    """Convert CIE LAB to sRGB.

    Args:
        colors: (H, W, 3) or (N, 3) float32.

    Returns:
        The same shape, in 0..1; colours beyond what sRGB can show come out at its border.
    """
    return _converted(colors, cv2.COLOR_Lab2RGB)


def _converted(colors: Floats, code: int) -> Floats:
    return np.asarray(cv2.cvtColor(_picture(colors), code), np.float32).reshape(colors.shape)


def _picture(colors: Floats) -> Floats:
    """Colours in the shape that OpenCV wants."""
    return np.ascontiguousarray(colors, np.float32).reshape(-1, colors.shape[-2], 3)
