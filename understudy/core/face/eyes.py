"""Where eyes look and how far they are open, from the outlines of lids and irises."""

from __future__ import annotations

from typing import Final

import numpy as np

from understudy.core import affine
from understudy.types import Doubles, Floats

# The corners of the eye on the picture's left, and of the other, left corner first.
CORNERS: Final = ((36, 39), (42, 45))


def eye_crop(landmarks: Floats, corners: tuple[int, int], side: int, room: float) -> Doubles:
    """Return the map from a picture onto a square around an eye, its corners on a level.

    Args:
        landmarks: (68, 2) pixels.
        corners: Of `CORNERS`.
        side: Of the square, in pixels.
        room: How many times as wide as the eye the square is.

    Returns:
        (2, 3) crop_from_picture.
    """
    left, right = np.asarray(landmarks, np.float64)[list(corners)]
    across = right - left
    width = max(float(np.hypot(*across)), 1e-3)
    angle = float(np.arctan2(across[1], across[0]))
    return affine.square_crop((left + right) / 2, room * width, angle, side)


def measure_gaze(landmarks: Floats, corners: tuple[int, int], iris: Doubles) -> Doubles:
    """Measure where an iris is between the corners of its eye.

    Args:
        landmarks: (68, 2) pixels.
        corners: Of `CORNERS`.
        iris: (2,) its middle.

    Returns:
        (2,) as in `Faces.gaze`.
    """
    left, right = np.asarray(landmarks, np.float64)[list(corners)]
    across = right - left
    down = np.array([-across[1], across[0]])
    away = iris - (left + right) / 2
    return np.array([away @ across, away @ down]) / max(float(across @ across), 1e-9)


def measure_lids(upper: Doubles, lower: Doubles, landmarks: Floats, head_width: float) -> float:
    """Measure how far lids are apart, as in `Faces.lids`.

    Args:
        upper: (K, 2) points along the upper lid, without the corners.
        lower: (K, 2) those of the lower one that lie opposite.
        landmarks: (68, 2) of the face.
        head_width: Of it, by `traits.measure_head_width`.
    """
    points = np.asarray(landmarks, np.float64)
    across = points[list(CORNERS[1])].mean(axis=0) - points[list(CORNERS[0])].mean(axis=0)
    down = np.array([-across[1], across[0]]) / max(float(np.hypot(*across)), 1e-9)
    return float(((lower - upper) @ down).mean() / max(EYE_WIDTH * head_width, 1e-9))


# How wide an eye is from the front, in distances of the outer corners: that of the mean head.
EYE_WIDTH: Final = 0.29
# Lids nearer than this hide the iris.
SHUT: Final = 0.1
