"""The square that faceswap cuts a face out of a frame by, reckoned from the landmarks."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from understudy.core import affine
from understudy.core.face.align import TEMPLATE
from understudy.core.face.pose import HEAD_MODEL, RIGID_POINTS
from understudy.types import Doubles

# Its mean face is the same as ours, so far to the right.
_SHIFT: Final = 0.00987
# The padding of its "head" square, in which its face pictures are, of the side.
_PADDING: Final = 0.625
# The focal length of its camera, in sides of the mean face.
_FOCAL: Final = 4.0
# Its square lies around a point in the middle of the head, at the height of the eyes. On our head
# model, whose units are millimetres, that is here; theirs is not known more closely.
_CENTRE: Final = np.array([0.3, -37.8, 60.0])
# By how much the square of a mask may be turned, scaled and moved from the one that is reckoned.
_TURNED, _AWAY = 0.03, 0.15
_EYES: Final = float(HEAD_MODEL[45, 0] - HEAD_MODEL[36, 0])


def crop_matrix(landmarks: Doubles, size: int) -> Doubles:
    """Return the map from frame pixels to those of a face picture as faceswap cuts one.

    Exact in scale and turn. Where the square lies follows from the pose, and is good to some
    hundredths of its side.

    Args:
        landmarks: (68, 2) frame pixels.
        size: Side of the picture in pixels.

    Returns:
        (2, 3) float64.

    Raises:
        DegeneratePoints: No similarity fits the landmarks.
    """
    unit_from_frame = affine.fit_similarity(landmarks[17:], TEMPLATE + np.array([_SHIFT, 0]))
    points = affine.apply(unit_from_frame, landmarks)
    camera = np.array([[_FOCAL, 0, 0.5], [0, _FOCAL, 0.5], [0, 0, 1]])
    # From the front, as far away as makes its eyes as wide as the mean face's: else the solver may
    # find a head that is seen from inside.
    depth = _FOCAL * _EYES / (TEMPLATE[28, 0] - TEMPLATE[19, 0])
    guess = np.zeros(3), np.array([0.0, 0.0, depth])
    turn, shift = cv2.solvePnP(
        HEAD_MODEL[RIGID_POINTS], points[RIGID_POINTS], camera, None, *guess, True
    )[1:]
    middle = cv2.projectPoints(_CENTRE, turn, shift, camera, None)[0].reshape(2)
    pad = round(size * _PADDING / 2)
    inner = size - 2 * pad
    scale = np.array([[inner, 0, pad], [0, inner, pad]], np.float64)
    scale[:, 2] -= inner * (middle - 0.5)
    return affine.compose(scale, unit_from_frame)


def is_alike(matrix: Doubles, other: Doubles, size: int) -> bool:
    """Whether two maps from a frame to a face picture are of the same square, as far as known.

    Args:
        matrix: (2, 3).
        other: (2, 3), of `crop_matrix`.
        size: Side of the picture in pixels.
    """
    middle = np.full(2, size / 2 - 0.5)
    away = np.abs(affine.apply(matrix, affine.apply(affine.invert(other), middle)) - middle).max()
    turned = np.abs(matrix[:, :2] - other[:, :2]).max() / affine.scale_of(other)
    return bool(turned < _TURNED and away < _AWAY * size)
