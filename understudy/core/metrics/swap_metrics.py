"""How good a swap is, in numbers: identity, expression, jitter, and how close two pictures are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from understudy.core import affine
from understudy.core.face.landmarks import INNER
from understudy.types import Doubles

RealArray = NDArray[np.float32] | NDArray[np.float64]

# Of the outer-eye distance in a frame: below this, what moves is noise more than the head.
SLOW_MOTION = 0.006


@dataclass(frozen=True, slots=True)
class IdentityShift:
    """Whose face a result shows.

    Attributes:
        shift: 0 = still the dst, 1 = as much the src as the src's own clip.
        to_src: Median distance of the result's embeddings to the src's.
        to_dst: Median distance to the dst's.
        spread: Median distance within the src's clip: what to_src can reach at best.
    """

    shift: float
    to_src: float
    to_dst: float
    spread: float


def identity_shift(result: RealArray, src: RealArray, dst: RealArray) -> IdentityShift:
    """Measure where the result stands on the way from dst to src.

    The shift is the median projection on the line between the two centroids. It is a relative score
    on the same footage, not a judgement between people. Read it together with
    `expression_movement`: a blur without expression scores about 0.3.

    Args:
        result: (N, D) embeddings.
        src: (M, D) embeddings.
        dst: (K, D) embeddings.

    Raises:
        ValueError: src and dst have the same embeddings.
    """
    start, goal = _centre(dst), _centre(src)
    way = goal - start
    length = float(way @ way)
    if length < 1e-12:
        raise ValueError("src and dst have the same embeddings; there is no way between them.")
    along = (np.asarray(result, np.float64) - start) @ way / length
    return IdentityShift(
        float(np.median(along)),
        _median_distance(result, src),
        _median_distance(result, dst),
        _median_distance(src, src),
    )


def jitter(landmarks: RealArray, slow: NDArray[np.bool_] | None = None) -> float:
    """Measure how much the inner points tremble: mean |x(t-1) - 2 x(t) + x(t+1)|.

    Args:
        landmarks: (T, 68, 2) of consecutive frames; rows of NaN where a frame has no face.
        slow: (T - 2,) which of the middle frames count; by default `slow_frames` of these points.
            Give those of one clip to compare two on the same frames.

    Returns:
        % of the outer-eye distance; NaN when no frames are left.
    """
    points = np.asarray(landmarks, np.float64)
    if len(points) < 3:
        return float("nan")
    bend = np.linalg.norm(
        points[:-2, INNER] - 2 * points[1:-1, INNER] + points[2:, INNER], axis=-1
    ).mean(axis=1)
    kept = (slow_frames(points) if slow is None else slow) & np.isfinite(bend)
    return (
        float(100 * (bend / _eye_distances(points)[1:-1])[kept].mean())
        if kept.any()
        else float("nan")
    )


def slow_frames(landmarks: RealArray) -> NDArray[np.bool_]:
    """Find the frames in which a face hardly moves.

    Args:
        landmarks: (T, 68, 2) of consecutive frames.

    Returns:
        (T - 2,): whether the median inner point moves by less than `SLOW_MOTION` eye distances,
            before
        and after the middle frame.
    """
    points = np.asarray(landmarks, np.float64)
    steps = np.linalg.norm(np.diff(points[:, INNER], axis=0), axis=-1)
    moved = np.median(steps, axis=1) / _eye_distances(points)[:-1]
    with np.errstate(invalid="ignore"):
        return np.asarray(np.maximum(moved[:-1], moved[1:]) < SLOW_MOTION)


def expression_features(landmarks: RealArray) -> Doubles:
    """Measure what a face does: mouth opening, mouth width, eye opening, brow height.

    Distances between points of one face: neither place, size nor tilt of the head matter.

    Args:
        landmarks: (T, 68, 2).

    Returns:
        (T, 4) float64 in eye distances.
    """
    points = np.asarray(landmarks, np.float64)

    def apart(one: list[int], other: list[int]) -> Doubles:
        return np.asarray(np.linalg.norm(points[:, one] - points[:, other], axis=-1).mean(axis=1))

    columns = [
        apart([61, 62, 63], [67, 66, 65]),
        apart([48], [54]),
        apart([37, 38, 43, 44], [41, 40, 47, 46]),
        apart([19, 24], [36, 45]),
    ]
    return np.stack(columns, axis=1) / _eye_distances(points)[:, None]


def expression_movement(result: RealArray, dst: RealArray) -> tuple[float, float]:
    """Measure how much of dst's acting the result has, and how well in step.

    Each feature counts by how much dst moves it.

    Args:
        result: (T, 4) `expression_features`.
        dst: (T, 4) `expression_features` of the same frames.

    Returns:
        Ratio of standard deviations (1 = all), and correlation (-1..1); NaN without movement.
    """
    ours, theirs = (np.asarray(side, np.float64) - np.mean(side, axis=0) for side in (result, dst))
    total = float((theirs**2).sum())
    if total < 1e-12:
        return float("nan"), float("nan")
    ratio = float(np.sqrt((ours**2).sum() / total))
    return ratio, float((ours * theirs).sum() / (total * max(ratio, 1e-9)))


def landmark_error(found: RealArray, true: RealArray) -> float:
    """Measure the mean distance of the inner points from the truth.

    The constant offset of each point is taken out first, after a similarity to the first face:
    landmarkers differ in where exactly they put a point, and that does no harm.

    Args:
        found: (T, 68, 2).
        true: (T, 68, 2).

    Returns:
        % of the outer-eye distance.
    """
    found, true = np.asarray(found, np.float64), np.asarray(true, np.float64)
    upright = [affine.fit_similarity(face[INNER], true[0, INNER]) for face in true]
    offsets = np.stack(
        [
            affine.apply(m, a) - affine.apply(m, b)
            for m, a, b in zip(upright, found, true, strict=True)
        ]
    )
    rest = offsets[:, INNER] - offsets[:, INNER].mean(axis=0)
    return float(100 * np.linalg.norm(rest, axis=-1).mean() / _eye_distances(true)[0])


def _eye_distances(points: Doubles) -> Doubles:
    return np.asarray(np.linalg.norm(points[:, 45] - points[:, 36], axis=-1))


def _centre(rows: RealArray) -> Doubles:
    return np.asarray(np.mean(np.asarray(rows, np.float64), axis=0))


def _median_distance(one: RealArray, other: RealArray) -> float:
    between = np.linalg.norm(
        np.asarray(one, np.float64)[:, None] - np.asarray(other, np.float64)[None], axis=-1
    )
    if one is other and len(between) > 1:
        between = between[~np.eye(len(between), dtype=bool)]
    return float(np.median(between))
