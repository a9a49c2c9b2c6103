"""Faces known again by frame and place, whatever found them and whatever a file is called."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from understudy.core import affine
from understudy.types import FloatRows, Floats

# What two detectors, or two landmarkers, make of one face overlaps by more of its union than this;
# what they make of two faces side by side by less.
SAME_PLACE: Final = 0.25


def places_of(landmarks: FloatRows, rows: NDArray[np.int64]) -> Floats:
    """Return the boxes around the points of faces, (M, 4), in frame pixels.

    Unlike the box of a detector it hardly depends on which one found the face.

    Args:
        landmarks: (N, 68, 2).
        rows: (M,) of them.
    """
    result = np.zeros((len(rows), 4), np.float32)
    for start in range(0, len(rows), 4096):
        points = landmarks[rows[start : start + 4096]]
        result[start : start + 4096] = np.concatenate([points.min(1), points.max(1)], axis=1)
    return result


def match_places(
    frame: NDArray[np.int64], place: ArrayLike, frames: NDArray[np.int64], places: ArrayLike
) -> NDArray[np.int64]:
    """Find for each face the one of the others that lies in its place, in the same frame.

    Args:
        frame: (N,) of the faces.
        place: (N, 4) of `places_of`.
        frames: (M,) of the others.
        places: (M, 4).

    Returns:
        (N,) rows of the others, -1 where none lies there. Two may have the same.
    """
    order = np.argsort(frames, kind="stable")
    first, end = (np.searchsorted(frames[order], frame, side) for side in ("left", "right"))
    count = end - first
    one = np.repeat(np.arange(len(frame)), count)
    step = np.arange(len(one)) - np.repeat(np.cumsum(count) - count, count)
    other = order[np.repeat(first, count) + step]
    share = affine.iou(np.asarray(place)[one], np.asarray(places)[other])
    best = np.full(len(frame), -1, np.int64)
    # The last that is set stays: the largest share.
    ranked = np.argsort(share, kind="stable")
    ranked = ranked[share[ranked] > SAME_PLACE]
    best[one[ranked]] = other[ranked]
    return best


def lies_on(box: ArrayLike, places: ArrayLike) -> NDArray[np.bool_]:
    """Tell on which faces something lies that somebody drew: eyes, a box, or all points.

    Args:
        box: (4,) around it.
        places: (M, 4).

    Returns:
        (M,) bool: the middle of one lies in the other, or they are as good as the same.
    """
    drawn, each = np.asarray(box, np.float64), np.asarray(places, np.float64)
    within = _holds(each, (drawn[:2] + drawn[2:]) / 2) | _holds(
        drawn, (each[:, :2] + each[:, 2:]) / 2
    )
    return np.asarray(within | (affine.iou(drawn, each) > SAME_PLACE))


def _holds(boxes: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.bool_]:
    inside = (boxes[..., :2] <= points) & (points <= boxes[..., 2:])
    return np.asarray(inside.all(axis=-1))
