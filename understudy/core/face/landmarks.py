"""The 68 points of iBUG 300-W: which is which, and how they mirror.

Left and right are the picture's. 0-16 jaw from left to right (8 = chin), 17-21 and 22-26 brows,
27-30 bridge of the nose, 31-35 its lower edge, 36-41 and 42-47 eyes, 48-59 outer lip, 60-67 inner
lip.
"""

from __future__ import annotations

import numpy as np

from understudy.types import Doubles, Floats

COUNT = 68
LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)
# Without the jaw line, where landmarkers disagree most.
INNER = slice(17, 68)

# MIRROR[i] is the point that takes the place of point i when the picture is flipped left to right.
MIRROR = np.array(
    [
        *range(16, -1, -1),
        *range(26, 16, -1),
        *range(27, 31),
        *range(35, 30, -1),
        *[45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40],
        *[54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65],
    ]
)


def face_size(landmarks: Floats | Doubles) -> Doubles:
    """How large faces are: about their eye distance, if they looked into the camera.

    Unlike the eye distance itself it hardly shrinks when a head turns.

    Args:
        landmarks: (..., 68, 2) pixels.

    Returns:
        (...) float64 pixels: 5/3 of the points' standard deviation.
    """
    points = np.asarray(landmarks, np.float64)
    spread = ((points - points.mean(axis=-2, keepdims=True)) ** 2).sum(axis=-1).mean(axis=-1)
    return np.asarray(np.sqrt(spread) * (5 / 3), np.float64)
