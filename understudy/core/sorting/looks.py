"""How alike faces look, by their histograms and small pictures; which are near duplicates."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from understudy.core.sorting.neighbours import find_neighbours
from understudy.types import Bytes, Doubles, Floats

_BLOCK: Final = 2048
# Others that a face is compared with to tell how unusual it is.
_SAMPLE: Final = 2048
_NEIGHBOURS: Final = 16


def flat(pictures: NDArray[np.generic]) -> Floats:
    """(N, …) as (N, D) float32: one vector each."""
    return pictures.reshape(len(pictures), math.prod(pictures.shape[1:])).astype(np.float32)


def hellinger(histogram: Floats) -> Floats:
    """(N, C * B) float32, so that the Euclidean distance tells how unlike histograms (N, C, B) are.

    It is the square root of the sum over the channels of 2 (1 - Bhattacharyya coefficient).
    """
    return flat(np.sqrt(histogram))


def bhattacharyya(first: Floats, second: Floats) -> Doubles:
    """(N,) the sum of the channels' Bhattacharyya distances, as OpenCV has them.

    first, second: (N, C, B), compared one by one.
    """
    alike = np.einsum("ncb,ncb->nc", np.sqrt(first), np.sqrt(second), dtype=np.float64)
    return np.asarray(np.sqrt(np.maximum(1 - alike, 0)).sum(axis=1), np.float64)


def mean_bhattacharyya(histogram: Floats) -> Doubles:
    """(N,) how far each histogram lies from all of them on average.

    Of more than `_SAMPLE`, from so many, taken evenly from first to last.

    histogram: (N, C, B).
    """
    total = len(histogram)
    taken = np.unique(np.linspace(0, total - 1, min(total, _SAMPLE)).round().astype(np.int64))
    roots = np.sqrt(histogram).astype(np.float32)
    result = np.zeros(total)
    for start in range(0, total, _BLOCK):
        block = slice(start, start + _BLOCK)
        for channel in range(histogram.shape[1]):
            alike = roots[block, channel] @ roots[taken, channel].T
            result[block] += np.sqrt(np.maximum(1 - alike, 0)).mean(axis=1)
    return result


def find_duplicates(thumbnail: Bytes, difference: float, quality: Doubles) -> NDArray[np.int64]:
    """Which face each is a near duplicate of: the best of those that look the same.

    Args:
        thumbnail: (N, S, S) uint8.
        difference: So many grey levels any point of two thumbnails may differ, of 255.
        quality: (N,) which one of several is kept: the one that has most; of equal ones the first.

    Returns:
        (N,) int64 rows; its own where it is none. Those that are kept differ by more.
    """
    kept_for = np.arange(len(thumbnail))
    ranked = np.argsort(-quality, kind="stable")
    rank = np.empty(len(ranked), np.int64)
    rank[ranked] = np.arange(len(ranked))
    points = flat(thumbnail)
    # Of those that equal one another every other is as near, so neighbours would tell little.
    left, which = np.unique(points[ranked], axis=0, return_index=True, return_inverse=True)[1:]
    left = ranked[left]
    kept_for[ranked] = left[which.ravel()]
    left = np.sort(left)
    # In a long run of still frames each knows only some of the others, so it takes a few rounds.
    while True:
        near = find_neighbours(points[left], _NEIGHBOURS)
        first, second = left[near[0]], left[near[1]]
        same = _differ_by(points, first, second) <= difference
        if not same.any():
            return kept_for
        _keep_best(first[same], second[same], rank, kept_for)
        _follow(points, difference, kept_for)
        left = np.flatnonzero(kept_for == np.arange(len(kept_for)))


def _follow(points: Floats, difference: float, kept_for: NDArray[np.int64]) -> None:
    """Settle whose duplicates they are whose best has become a duplicate of a better one.

    They are that one's, or, where they differ from it, stand for themselves again.
    """
    rows = np.flatnonzero(kept_for[kept_for] != kept_for)
    best = kept_for[kept_for[rows]]
    same = _differ_by(points, rows, best) <= difference
    kept_for[rows] = np.where(same, best, rows)


def _differ_by(points: Floats, first: NDArray[np.int64], second: NDArray[np.int64]) -> Doubles:
    """(M,) the largest difference between the points of two pictures."""
    result = np.empty(len(first))
    for start in range(0, len(first), _BLOCK):
        block = slice(start, start + _BLOCK)
        result[block] = np.abs(points[first[block]] - points[second[block]]).max(axis=1)
    return result


def _keep_best(
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    rank: NDArray[np.int64],
    kept_for: NDArray[np.int64],
) -> None:
    """Note in `kept_for` which rows of these pairs go for which: the best first keep themselves."""
    better = np.where(rank[first] < rank[second], first, second)
    worse = np.where(rank[first] < rank[second], second, first)
    for place in np.lexsort((rank[worse], rank[better])).tolist():
        one, other = int(better[place]), int(worse[place])
        if kept_for[one] == one and kept_for[other] == other:
            kept_for[other] = one
