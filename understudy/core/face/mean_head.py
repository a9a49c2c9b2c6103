"""The 68 points of a mean head, laid onto the little that is known of a face."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import ArrayLike

from understudy.core import affine
from understudy.core.face.landmarks import LEFT_EYE, RIGHT_EYE
from understudy.core.face.pose import HEAD_MODEL
from understudy.types import Doubles, Floats

# Landmarks that are known where five places of a face are: tip of the nose, corners of the mouth.
_NOSE_AND_MOUTH: Final = (30, 48, 54)
# How far five places may miss those of the mean head, in its outer eye distances, and how far a
# head is turned. Of 0.03 to 0.1 and 15 to 40 degrees these came nearest to the points of real
# talkers and of the synthetic people.
_MISS: Final = 0.08
_TURN: Final = np.radians(20)
_STEPS: Final = 15
# A box drawn by hand leaves a little room at the sides of the head.
_FILLS: Final = 0.95


def find_places(landmarks: ArrayLike, count: int) -> Doubles:
    """Return where the places lie by which a face is marked.

    Args:
        landmarks: (..., 68, K) points, in the plane or in space.
        count: 2 = the middles of the eyes; 5 = and the tip of the nose, the corners of the mouth.
            Left first, as seen in the picture.

    Returns:
        (..., count, K).
    """
    points = np.asarray(landmarks, np.float64)
    eyes = [points[..., eye, :].mean(axis=-2, keepdims=True) for eye in (LEFT_EYE, RIGHT_EYE)]
    return np.concatenate([*eyes, points[..., _NOSE_AND_MOUTH[: count - 2], :]], axis=-2)


def order_places(places: ArrayLike) -> Doubles:
    """Return places of a face (`find_places`) with left and right as they must be.

    Two eyes are those of a head that stands rather upright than upside down. Of five, nose and
    mouth tell, so that marks with the person's left and right for the picture's are understood.

    Args:
        places: (2, 2) or (5, 2).

    Returns:
        The same, or each left place in the place of its right one.
    """
    given = np.asarray(places, np.float64)
    if len(given) == 2:
        across, down = given[1] - given[0]
        return given[::-1] if across < -abs(down) else given
    other = given[[1, 0, 2, 4, 3]]
    head = find_places(HEAD_MODEL, 5)[:, :2]
    return min(given, other, key=lambda each: _misfit(head, each))


def lay_into_box(box: ArrayLike) -> Floats:
    """Lay the mean head into a box from ear to ear, upright, with its chin on the lower edge.

    The upper edge may lie at the brows or anywhere above.

    Args:
        box: (4,) x0 y0 x1 y1.

    Returns:
        (68, 2) float32.
    """
    x0, y0, x1, y1 = np.asarray(box, np.float64)
    head = HEAD_MODEL[:, :2]
    (left, top), (right, chin) = head.min(axis=0), head.max(axis=0)
    scale = _FILLS * min((x1 - x0) / (right - left), (y1 - y0) / (chin - top))
    middle = (x0 + x1) / 2 - scale * (left + right) / 2
    return np.asarray(scale * head + (middle, y1 - scale * chin), np.float32)


def lay_onto_places(places: ArrayLike) -> Floats:
    """Lay the mean head onto two or five places of a face (`find_places`), turned as these say.

    Args:
        places: (2, 2) or (5, 2).

    Returns:
        (68, 2) float32.

    Raises:
        DegeneratePoints: They coincide.
    """
    places = np.asarray(places, np.float64)
    given = find_places(HEAD_MODEL, len(places))
    flat = affine.fit_similarity(given[:, :2], places)
    scale = affine.scale_of(flat)
    miss = _MISS * scale * float(np.linalg.norm(HEAD_MODEL[45] - HEAD_MODEL[36]))

    def faults(state: Doubles) -> Doubles:
        apart = (_project(given, state) - places) / miss
        return np.concatenate([apart.ravel(), state[:2] / _TURN])

    # Least squares after Gauss and Newton, from a head that looks ahead.
    state = np.array([0, 0, np.arctan2(flat[1, 0], flat[0, 0]), np.log(scale), *flat[:, 2]])
    nudge = np.diag([1e-5, 1e-5, 1e-5, 1e-5, 1e-3 * miss, 1e-3 * miss])
    most = np.array([0.3, 0.3, 0.3, 0.3, np.inf, np.inf])
    for _ in range(_STEPS):
        now = faults(state)
        slope = np.stack([faults(state + each) - now for each in nudge], axis=1) / nudge.sum(axis=0)
        state = state + np.clip(np.linalg.lstsq(slope, -now, rcond=None)[0], -most, most)
    return np.asarray(_project(HEAD_MODEL, state), np.float32)


def move_onto_places(landmarks: ArrayLike, places: ArrayLike) -> Floats:
    """Move the points of a face, turned and scaled in the plane, onto two or five places.

    Args:
        landmarks: (68, 2), as of the same face a few frames away.
        places: (2, 2) or (5, 2).

    Returns:
        (68, 2) float32.

    Raises:
        DegeneratePoints: They coincide.
    """
    goal = np.asarray(places, np.float64)
    to_goal = affine.fit_similarity(find_places(landmarks, len(goal)), goal)
    return affine.apply(to_goal, landmarks).astype(np.float32)


def _misfit(head: Doubles, places: Doubles) -> float:
    """How far places lie from those of a head moved onto them in the plane, in its sizes."""
    to_head = affine.fit_similarity(places, head)
    return float(np.linalg.norm(affine.apply(to_head, places) - head))


def _project(head: Doubles, state: Doubles) -> Doubles:
    """Points of a head (N, 3) in the picture: turned by pitch, yaw and roll, scaled, moved."""
    pitch, yaw, roll, log_scale, x, y = state
    turn = _turn(0, 0, roll) @ _turn(0, yaw, 0) @ _turn(pitch, 0, 0)
    return np.asarray(np.exp(log_scale) * (head @ turn.T)[:, :2] + (x, y))


def _turn(*axis: float) -> Doubles:
    return np.asarray(cv2.Rodrigues(np.array(axis, np.float64))[0])
