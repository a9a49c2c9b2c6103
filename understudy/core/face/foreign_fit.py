"""Whether what another tool says of a face fits together: matrix, points, picture, face type."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from understudy.core import affine
from understudy.core.face.align import FACE_TYPE_SCALE, TEMPLATE, face_from_frame
from understudy.core.face.pose import estimate_pose
from understudy.errors import DegeneratePoints
from understudy.types import Doubles, FaceType, Floats

# How far points may lie, in sides of the picture, from where the matrix carries them.
_OFF: Final = 0.02
# How far the face may lie off the picture's middle, in sides of it; a head lies low and aside.
_AWAY: Final = 0.2
_AWAY_OF_HEAD: Final = 0.45
# By how much the face may be larger or smaller than its type makes it. The types had other sizes
# once: a head of 2020 is 1.46 times as large in its picture as one of today, one of 2019 three
# quarters.
_LARGER: Final = 1.7
_TURNED: Final = math.radians(60)
# Beyond the picture's edge points may lie by so much of its side, and so many of them.
_BEYOND, _MOST_BEYOND = 0.05, 0.3
# So much of each axis of a type's square must a picture show to count as one of that type.
_SHOWN: Final = 0.97
_UPRIGHT: Final = tuple(FACE_TYPE_SCALE)


def check_fit(
    matrix: Doubles, in_frame: Doubles, in_face: Doubles | None, face_type: FaceType, size: int
) -> str:
    """Return why points, matrix and picture of a face do not fit each other; "" where they do.

    The bounds are wide: tools have changed their squares, rounded them, and turned faces in profile
    wrongly, and their pictures are good.

    Args:
        matrix: (2, 3) from frame pixels to those of the picture.
        in_frame: (68, 2) frame pixels.
        in_face: (68, 2) pixels of the picture as told; None = not told.
        face_type: What the picture is to show.
        size: Side of the picture in pixels.
    """
    carried = affine.apply(matrix, in_frame)
    if in_face is not None and (off := _farthest(carried, in_face)) > _OFF * size:
        return (
            f"its matrix carries the frame's landmarks {off:.0f} pixels away from those of the"
            " picture"
        )
    beyond = np.abs(carried[17:] - (size / 2 - 0.5)).max(1) > (0.5 + _BEYOND) * size
    if (outside := int(beyond.sum())) > _MOST_BEYOND * 51:
        return f"{outside} of its landmarks lie outside the picture"
    if face_type in ("mark-only", "no-align"):
        return ""
    return _check_square(carried, face_type, size)


def _check_square(points: Doubles, face_type: FaceType, size: int) -> str:
    """Why a face with these points, in pixels of an upright picture, is not as its type has it."""
    try:
        unit = affine.fit_similarity(points[17:], TEMPLATE)
    except DegeneratePoints:
        return "its landmarks all coincide"
    wanted = size / FACE_TYPE_SCALE[face_type]
    larger = 1 / affine.scale_of(unit) / wanted
    if not 1 / _LARGER <= larger <= _LARGER:
        return (
            f"its landmarks are {larger:.2f} times as large as those of such a face in a picture"
            f" of {size} pixels"
        )
    middle = affine.apply(affine.invert(unit), (0.5, 0.5))
    away = float(np.abs(middle - (size / 2 - 0.5)).max()) / size
    if away > (_AWAY_OF_HEAD if face_type == "head" else _AWAY):
        return f"its landmarks lie {away:.0%} of the picture's side off the middle"
    turned = abs(math.atan2(unit[1, 0], unit[0, 0]))
    if turned > _TURNED:
        return f"its landmarks are turned by {math.degrees(turned):.0f} degrees"
    return ""


def shown_type(
    matrix: Doubles, in_frame: Doubles, face_type: FaceType, size: int
) -> FaceType | None:
    """Return the widest type, `face_type` or narrower, whose square a picture shows.

    A head of DeepFaceLab 1 is not as wide as one of today: it counts as full. How the picture is
    turned makes no difference. None = it shows not even half.

    Args:
        matrix: (2, 3) from frame pixels to those of the picture.
        in_frame: (68, 2) frame pixels.
        face_type: What the picture is called.
        size: Side of the picture in pixels.
    """
    if face_type not in _UPRIGHT:
        return face_type
    for each in reversed(_UPRIGHT[: _UPRIGHT.index(face_type) + 1]):
        square = face_from_frame(in_frame.astype(np.float32), each, size)
        carried = affine.compose(matrix, affine.invert(square))
        side = size * affine.scale_of(carried)
        middle = affine.apply(carried, np.full(2, size / 2 - 0.5))
        low = np.maximum(middle - side / 2, -0.5)
        high = np.minimum(middle + side / 2, size - 0.5)
        if ((high - low) / side >= _SHOWN).all():
            return each
    return None


def pose_without_frame(landmarks: Floats) -> Floats:
    """Estimate the pose of a face of whose frame only the landmarks are known.

    The face is taken to be in the middle of a frame eight times its size.

    Args:
        landmarks: (68, 2) frame pixels.

    Returns:
        (3,) float32 radians, as `estimate_pose`. Raises DegeneratePoints.
    """
    low, high = landmarks.min(0), landmarks.max(0)
    side = max(1, round(8 * float((high - low).max())))
    moved = landmarks - (low + high) / 2 + (side / 2 - 0.5)
    return estimate_pose(moved.astype(np.float32), (side, side))


def _farthest(points: Doubles, others: Doubles) -> float:
    return float(np.linalg.norm(points - others, axis=1).max())
