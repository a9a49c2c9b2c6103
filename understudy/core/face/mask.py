"""Soft masks from landmarks, float32 in 0..1: an edge pixel holds the share that is covered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from understudy.core.face.landmarks import LEFT_EYE, RIGHT_EYE
from understudy.types import Doubles, Floats, Polygon


def hull_mask(landmarks: Floats, size: tuple[int, int], brow: float = 1.0) -> Floats:
    """Draw the face within its landmarks, anti-aliased.

    It is the union of eight convex hulls, so that cheeks and temples stay inside without closing
    over the hollows beside the nose.

    Args:
        landmarks: (68, 2) pixels of the picture, may lie outside it.
        size: (width, height) of the picture.
        brow: How far the brow line is lifted towards the forehead. 1 = by half the distance between
            eye and brow, 0 = not at all.

    Returns:
        (height, width) float32 in 0..1.
    """
    lifted = raise_brows(landmarks, brow)
    return fill_polygons([_hull(lifted[part]) for part in _PARTS], size)


def mouth_mask(landmarks: Floats, size: tuple[int, int]) -> Floats:
    """Draw the lips and what they enclose, with a little skin around.

    Args:
        landmarks: (68, 2) pixels of the picture.
        size: (width, height) of the picture.

    Returns:
        (height, width) float32 in 0..1.
    """
    lips = np.asarray(landmarks, np.float64)[48:60]
    middle = lips.mean(0)
    return fill_polygons([_hull(middle + _AROUND_LIPS * (lips - middle))], size)


def eyes_mask(landmarks: Floats, size: tuple[int, int]) -> Floats:
    """Draw both eyes with their lids, open or shut.

    Args:
        landmarks: (68, 2) pixels of the picture.
        size: (width, height) of the picture.

    Returns:
        (height, width) float32 in 0..1.
    """
    shapes = []
    for eye in (np.asarray(landmarks, np.float64)[part] for part in (LEFT_EYE, RIGHT_EYE)):
        radius = _AROUND_EYES * np.linalg.norm(eye[3] - eye[0])
        shapes.append(_hull((eye[:, None] + radius * _ROUND).reshape(-1, 2)))
    return fill_polygons(shapes, size)


def brows_mask(landmarks: Floats, size: tuple[int, int]) -> Floats:
    """Draw both brows with the skin between and around them, from the eyes' corners upwards.

    Args:
        landmarks: (68, 2) pixels of the picture.
        size: (width, height) of the picture.

    Returns:
        (height, width) float32 in 0..1.
    """
    points = np.asarray(landmarks, np.float64)
    widths = [np.linalg.norm(points[eye][3] - points[eye][0]) for eye in (LEFT_EYE, RIGHT_EYE)]
    radius = _AROUND_BROWS * np.repeat(widths, 5)[:, None, None]
    swollen = (points[17:27, None] + radius * _ROUND).reshape(-1, 2)
    corners = points[[36, 39, 42, 45]]
    return fill_polygons([_hull(np.concatenate([swollen, corners]))], size)


def raise_brows(landmarks: Floats, brow: float = 1.0) -> Doubles:
    """Move every brow point away from the eye by `brow` x half its distance to it.

    Args:
        landmarks: (68, 2) pixels.
        brow: 1 = by half the distance, 0 = not at all.

    Returns:
        All landmarks, (68, 2) float64.
    """
    points = np.array(landmarks, np.float64)
    temple_left, temple_right = (points[0] + points[36]) / 2, (points[16] + points[45]) / 2
    left = np.stack([(temple_left + points[36]) / 2, *points[36:40]])
    right = np.stack([*points[42:46], (temple_right + points[45]) / 2])
    points[17:22] += brow * 0.5 * (points[17:22] - left)
    points[22:27] += brow * 0.5 * (points[22:27] - right)
    return points


def fill_polygons(shapes: list[Floats], size: tuple[int, int]) -> Floats:
    """Draw the union of filled polygons, anti-aliased.

    Args:
        shapes: (N, 2) pixels each.
        size: (width, height) of the picture.

    Returns:
        (height, width) float32 in 0..1.
    """
    width, height = size
    matte = np.zeros((height, width), np.float32)
    every = np.concatenate(shapes)
    x0, y0 = np.clip(np.floor(every.min(0)) - 1, 0, (width, height)).astype(int)
    x1, y1 = np.clip(np.ceil(every.max(0)) + 2, 0, (width, height)).astype(int)
    if x0 >= x1 or y0 >= y1:
        return matte
    fine = np.zeros(((y1 - y0) * _FINE, (x1 - x0) * _FINE), np.uint8)
    for shape in shapes:
        # 0.5 takes pixel centres to areas and back; the shift keeps a sixteenth of a fine pixel.
        corners = ((shape - (x0, y0) + 0.5) * _FINE - 0.5) * 16
        cv2.fillPoly(fine, [np.rint(corners).astype(np.int32)], 255, shift=4)
    matte[y0:y1, x0:x1] = cv2.resize(
        fine, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA
    ) / np.float32(255)
    return matte


def _hull(points: Doubles) -> Floats:
    """The corners of the convex hull of points."""
    return np.asarray(cv2.convexHull(points.astype(np.float32))[:, 0], np.float32)


# Each pixel is drawn as 8 x 8.
_FINE: Final = 8
# How much larger than the lips themselves.
_AROUND_LIPS: Final = 1.2
# How far around the lids, in widths of the eye; and all directions to go there.
_AROUND_EYES: Final = 0.2
# How far around the points of a brow it and its shadow reach, in widths of the eye.
_AROUND_BROWS: Final = 0.18
_ROUND: Final = np.stack([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)], -1)

_PARTS: Final = [
    [*range(9), 17],
    [*range(8, 17), 26],
    [17, 18, 19, 8],
    [24, 25, 26, 8],
    [*range(19, 25), 8],
    [*range(17, 22), 27, *range(31, 36), 8],
    [*range(22, 27), 27, *range(31, 36), 8],
    [*range(27, 36)],
]


def polygon_mask(drawn: Sequence[Polygon], size: tuple[int, int]) -> Floats:
    """Draw what hand-drawn polygons leave of a picture, anti-aliased.

    First all that include count, or the whole picture where none does. Then those that exclude are
    taken away.

    Args:
        drawn: Polygons in pixels of the picture.
        size: (width, height) of the picture.

    Returns:
        (height, width) float32 in 0..1.
    """
    inside = [each.points for each in drawn if each.includes]
    outside = [each.points for each in drawn if not each.includes]
    matte = fill_polygons(inside, size) if inside else np.ones(size[::-1], np.float32)
    return matte * (1 - fill_polygons(outside, size)) if outside else matte
