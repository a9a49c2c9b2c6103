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


def points_68_of_98(points: Doubles) -> Doubles:
    """Return the 68 points that lie among, or between, the 98 of WFLW.

    points: (98, 2): 33 of the jaw, both edges of the brows, eyes with the middle of each lid.
    """
    jaw = points[0:33:2].copy()
    jaw[1:-1] = points[2:31:2] / 2 + (points[1:30:2] + points[3:32:2]) / 4
    upper, lower = points[_UPPER_BROWS], points[_LOWER_BROWS]
    return np.concatenate([jaw, (upper + lower) / 2, points[_REST_OF_98]])


# The points of the upper edges of both brows, from left to right, and those below: at the outer end
# both edges meet.
_UPPER_BROWS = np.array([*range(33, 38), *range(42, 47)])
_LOWER_BROWS = np.array([33, 41, 40, 39, 38, 50, 49, 48, 47, 46])
_REST_OF_98 = np.array(
    [*range(51, 60), 60, 61, 63, 64, 65, 67, 68, 69, 71, 72, 73, 75, *range(76, 96)]
)
