"""Affine maps of the plane: (2, 3) float64 matrices named `to_from`, which carry (x, y) points of
`from` to points of `to`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from understudy.errors import DegeneratePoints
from understudy.types import Doubles


def fit_similarity(source: ArrayLike, target: ArrayLike) -> Doubles:
    """The rotation, uniform scale and shift that best carry `source` onto `target`, as (2, 3)
    target_from_source.

    source, target: (N, 2) xy, N >= 2, same order. Least squares, never a reflection, after Umeyama
    (1991). Raises DegeneratePoints when a number is not finite or all points of either side
    coincide.
    """
    start, goal = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if start.shape != goal.shape or start.ndim != 2 or start.shape[1] != 2 or len(start) < 2:
        raise DegeneratePoints(
            f"A fit needs two equal lists of points, got {start.shape} and {goal.shape}. Give (N,"
            " 2) each."
        )
    if not (np.isfinite(start).all() and np.isfinite(goal).all()):
        raise DegeneratePoints(
            "A fit through points that are not finite is impossible. Detect this face again or"
            " drop it."
        )
    start_mean, goal_mean = start.mean(0), goal.mean(0)
    centred, wanted = start - start_mean, goal - goal_mean
    spread = float((centred**2).sum())
    # In the plane, Umeyama's rotation has a closed form: the angle of the summed complex products.
    cosine = float((centred * wanted).sum())
    sine = float((centred[:, 0] * wanted[:, 1] - centred[:, 1] * wanted[:, 0]).sum())
    size = 1.0 + float(np.abs(start).max()) ** 2
    if spread <= 1e-12 * size or math.hypot(cosine, sine) <= 1e-12 * spread:
        raise DegeneratePoints(
            "A fit through points that all coincide is impossible. Detect this face again or"
            " drop it."
        )
    turn = np.array([[cosine, -sine], [sine, cosine]]) / spread
    return np.hstack([turn, (goal_mean - turn @ start_mean)[:, None]])


def apply(to_from: ArrayLike, points: ArrayLike) -> Doubles:
    """The points, carried over: (..., 2) float64."""
    matrix = np.asarray(to_from, np.float64)
    return np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2]


def invert(to_from: ArrayLike) -> Doubles:
    """The way back, from_to. Raises DegeneratePoints when the matrix squeezes the plane flat."""
    matrix = np.asarray(to_from, np.float64)
    if not np.isfinite(matrix).all() or abs(float(np.linalg.det(matrix[:, :2]))) < 1e-18:
        raise DegeneratePoints(
            f"The map {matrix.tolist()} cannot be inverted. Detect this face again or drop it."
        )
    turn = np.linalg.inv(matrix[:, :2])
    return np.hstack([turn, -(turn @ matrix[:, 2])[:, None]])


def compose(a_from_b: ArrayLike, b_from_c: ArrayLike) -> Doubles:
    """a_from_c: first `b_from_c`, then `a_from_b`."""
    outer, inner = np.asarray(a_from_b, np.float64), np.asarray(b_from_c, np.float64)
    turn = outer[:, :2] @ inner[:, :2]
    return np.hstack([turn, (outer[:, :2] @ inner[:, 2] + outer[:, 2])[:, None]])


def scaling(factor_x: float, factor_y: float | None = None) -> Doubles:
    """The map from a picture to the same picture enlarged by the factors: areas, not pixel centres,
    are what correspond.
    """
    across, down = factor_x, factor_x if factor_y is None else factor_y
    return np.array([[across, 0, 0.5 * across - 0.5], [0, down, 0.5 * down - 0.5]])


def square_crop(centre: ArrayLike, side: float, angle: float, size: int) -> Doubles:
    """crop_from_frame of a turned square: a (size, size) crop whose area is the square of `side`
    frame pixels.

    angle: radians by which the square's top edge is turned from frame x towards frame y (clockwise
    on screen).
    """
    scale = size / side
    turn = scale * np.array(
        [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]
    )
    middle = np.full(2, size / 2 - 0.5)
    return np.hstack([turn, (middle - turn @ np.asarray(centre, np.float64))[:, None]])


def scale_of(to_from: ArrayLike) -> float:
    """How many `to` pixels one `from` pixel becomes: the square root of the change of area."""
    return math.sqrt(abs(float(np.linalg.det(np.asarray(to_from, np.float64)[:, :2]))))


def corners(size: tuple[int, int]) -> Doubles:
    """The corners of a (width, height) picture's area, (4, 2): top left, top right, bottom right,
    bottom left.
    """
    right, bottom = size[0] - 0.5, size[1] - 0.5
    return np.array([[-0.5, -0.5], [right, -0.5], [right, bottom], [-0.5, bottom]])


def bounding_box(points: ArrayLike) -> NDArray[np.float32]:
    """The smallest upright box around (N, 2) points: (4,) float32 x0 y0 x1 y1."""
    each = np.asarray(points, np.float64).reshape(-1, 2)
    return np.concatenate([each.min(0), each.max(0)]).astype(np.float32)


def iou(box: ArrayLike, others: ArrayLike) -> Doubles:
    """Intersection over union of boxes x0 y0 x1 y1, (4,) or (N, 4) each, as (N,) or a single
    number; 0 where they do not meet.
    """
    one, other = np.asarray(box, np.float64), np.asarray(others, np.float64)
    sides = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    shared = np.maximum(sides, 0).prod(-1)
    both = (
        (one[..., 2:] - one[..., :2]).prod(-1) + (other[..., 2:] - other[..., :2]).prod(-1) - shared
    )
    return np.asarray(shared / np.maximum(both, 1e-9))
