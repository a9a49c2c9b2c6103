"""Affine maps of the plane, and boxes.

A map is a (2, 3) float64 matrix named `to_from`: it carries (x, y) points of `from` to points of
`to`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from understudy.errors import DegeneratePoints
from understudy.types import Doubles


def fit_similarity(source: ArrayLike, target: ArrayLike) -> Doubles:
    """Fit the rotation, uniform scale and shift that best carry `source` onto `target`.

    Least squares, never a reflection, after Umeyama (1991).

    Args:
        source: (N, 2) xy, N >= 2.
        target: (N, 2) xy, in the same order.

    Returns:
        (2, 3) target_from_source.

    Raises:
        DegeneratePoints: A number is not finite, or all points of either side coincide.
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
    """Carry points over.

    Args:
        to_from: (2, 3).
        points: (..., 2) xy.

    Returns:
        (..., 2) float64.
    """
    matrix = np.asarray(to_from, np.float64)
    return np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2]


def invert(to_from: ArrayLike) -> Doubles:
    """Return the way back.

    Args:
        to_from: (2, 3).

    Returns:
        (2, 3) from_to.

    Raises:
        DegeneratePoints: The matrix squeezes the plane flat, or is not finite.
    """
    matrix = np.asarray(to_from, np.float64)
    if not np.isfinite(matrix).all() or abs(float(np.linalg.det(matrix[:, :2]))) < 1e-18:
        raise DegeneratePoints(
            f"The map {matrix.tolist()} cannot be inverted. Detect this face again or drop it."
        )
    turn = np.linalg.inv(matrix[:, :2])
    return np.hstack([turn, -(turn @ matrix[:, 2])[:, None]])


def compose(a_from_b: ArrayLike, b_from_c: ArrayLike) -> Doubles:
    """Chain two maps.

    Args:
        a_from_b: (2, 3), applied last.
        b_from_c: (2, 3), applied first.

    Returns:
        (2, 3) a_from_c.
    """
    outer, inner = np.asarray(a_from_b, np.float64), np.asarray(b_from_c, np.float64)
    turn = outer[:, :2] @ inner[:, :2]
    return np.hstack([turn, (outer[:, :2] @ inner[:, 2] + outer[:, 2])[:, None]])


def scaling(factor_x: float, factor_y: float | None = None) -> Doubles:
    """Return the map from a picture to the same picture enlarged.

    Areas, not pixel centres, are what correspond.

    Args:
        factor_x: By which the width grows.
        factor_y: By which the height grows; None = as the width.

    Returns:
        (2, 3) large_from_small.
    """
    across, down = factor_x, factor_x if factor_y is None else factor_y
    return np.array([[across, 0, 0.5 * across - 0.5], [0, down, 0.5 * down - 0.5]])


def square_crop(centre: ArrayLike, side: float, angle: float, size: int) -> Doubles:
    """Return crop_from_frame of a turned square in the frame.

    Args:
        centre: (2,) xy in the frame.
        side: Of the square, in frame pixels.
        angle: Radians by which its top edge is turned from frame x towards frame y, clockwise on
            screen.
        size: Side of the crop in pixels; its area is that of the square.

    Returns:
        (2, 3) crop_from_frame.
    """
    scale = size / side
    turn = scale * np.array(
        [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]
    )
    middle = np.full(2, size / 2 - 0.5)
    return np.hstack([turn, (middle - turn @ np.asarray(centre, np.float64))[:, None]])


def scale_of(to_from: ArrayLike) -> float:
    """Return how many `to` pixels one `from` pixel becomes.

    Args:
        to_from: (2, 3).

    Returns:
        The square root of the change of area.
    """
    return math.sqrt(abs(float(np.linalg.det(np.asarray(to_from, np.float64)[:, :2]))))


def corners(size: tuple[int, int]) -> Doubles:
    """Return the corners of a picture's area.

    Args:
        size: (width, height) of the picture.

    Returns:
        (4, 2) xy: top left, top right, bottom right, bottom left.
    """
    right, bottom = size[0] - 0.5, size[1] - 0.5
    return np.array([[-0.5, -0.5], [right, -0.5], [right, bottom], [-0.5, bottom]])


def box_corners(box: ArrayLike) -> Doubles:
    """Return the corners of a box (4,) x0 y0 x1 y1, clockwise from the top left, (4, 2)."""
    x0, y0, x1, y1 = np.asarray(box, np.float64)
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def bounding_box(points: ArrayLike) -> NDArray[np.float32]:
    """Return the smallest upright box around points.

    Args:
        points: (N, 2) xy.

    Returns:
        (4,) float32 x0 y0 x1 y1.
    """
    each = np.asarray(points, np.float64).reshape(-1, 2)
    return np.concatenate([each.min(0), each.max(0)]).astype(np.float32)


def iou(box: ArrayLike, others: ArrayLike) -> Doubles:
    """Return the intersection over union of boxes.

    Args:
        box: (4,) or (N, 4), x0 y0 x1 y1.
        others: (4,) or (N, 4).

    Returns:
        (N,) float64, or a single number; 0 where the boxes do not meet.
    """
    one, other = np.asarray(box, np.float64), np.asarray(others, np.float64)
    sides = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    shared = np.maximum(sides, 0).prod(-1)
    both = (
        (one[..., 2:] - one[..., :2]).prod(-1) + (other[..., 2:] - other[..., :2]).prod(-1) - shared
    )
    return np.asarray(shared / np.maximum(both, 1e-9))
