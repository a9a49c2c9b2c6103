"""The best faces of many: even over where heads turn, the sharpest, and the most varied."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from understudy.core.sorting.spread import most_varied
from understudy.types import Doubles, Floats

# Of the sharpest so many times as many as are taken, the most varied are taken.
_SHARPEST: Final = 4
# A grid of poses that is as coarse as this has a bin for each way to look, and no fewer.
_COARSEST: Final = math.radians(45)

Rows = NDArray[np.int64]


def pose_bins(pose: Floats, step: float, most: int) -> tuple[Rows, float]:
    """Number where each head turns, on a grid of yaw and pitch.

    The grid is made coarser, twice as coarse each time, until no more than `most` of its bins hold
    faces, or it tells left from right and up from down alone.

    Args:
        pose: (N, 3) pitch, yaw, roll in radians.
        step: Of the grid, in radians.
        most: At least 1.

    Returns:
        (N, 2) int64, the place in yaw, from the picture's left to its right, and in pitch, from
        above to below; looking ahead lies between -1 and 0. And the step of the grid.
    """
    turned = np.stack([-pose[:, 1], -pose[:, 0]], axis=1).astype(np.float64)
    while True:
        bins = np.floor(turned / step).astype(np.int64)
        if len(np.unique(bins, axis=0)) <= most or step > _COARSEST:
            return bins, step
        step *= 2


def share_out(sizes: Rows, count: int) -> Rows:
    """How many are taken of each group, so that no group gets more while another is short of it.

    Args:
        sizes: (G,) how many each group has.
        count: How many are taken in all.

    Returns:
        (G,) int64, at most the sizes; where it does not come out even, the largest get one more.
    """
    taken = np.zeros(len(sizes), np.int64)
    left = min(count, int(sizes.sum()))
    while left:
        hungry = np.flatnonzero(taken < sizes)
        each = left // len(hungry)
        if not each:
            taken[hungry[np.argsort(-sizes[hungry], kind="stable")[:left]]] += 1
            break
        more = np.minimum(sizes[hungry] - taken[hungry], each)
        taken[hungry] += more
        left -= int(more.sum())
    return taken


def choose_best(bins: Rows, quality: Doubles, vectors: Floats, count: int) -> NDArray[np.bool_]:
    """Choose faces: as many of each bin as can be, of each the best, and of these the most varied.

    Args:
        bins: (N,) which bin each is in.
        quality: (N,) more is better; NaN = worst.
        vectors: (N, D) how they look: they vary by their Euclidean distance.
        count: How many are chosen.

    Returns:
        (N,) bool.
    """
    chosen = np.zeros(len(bins), bool)
    order = np.lexsort((-np.nan_to_num(quality, nan=-np.inf), bins))
    starts = np.flatnonzero(np.diff(bins[order], prepend=bins[order[:1]] - 1))
    groups = np.split(order, starts[1:]) if len(order) else []
    wanted = share_out(np.array([len(group) for group in groups], np.int64), count)
    for group, number in zip(groups, wanted.tolist(), strict=True):
        sharpest = group[: _SHARPEST * number]
        chosen[sharpest[most_varied(vectors[sharpest], number, first=0)]] = True
    return chosen
