"""The best faces of many: all ways that heads turn, all kinds of look, the sharpest of each."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from understudy.core.sorting.spread import most_varied
from understudy.types import Doubles, Floats

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
    """How many are taken of each group: one of each, then by the square roots of their sizes.

    So rare groups get more than their share, and the usual stays the usual.

    Args:
        sizes: (G,) how many each group has.
        count: How many are taken in all; of fewer than G, the largest groups get one.

    Returns:
        (G,) int64, at most the sizes.
    """
    taken = np.zeros(len(sizes), np.int64)
    weight = np.sqrt(sizes.astype(np.float64))
    for _ in range(min(count, int(sizes.sum()))):
        # Who has none yet comes first (after Jefferson).
        claim = np.where(taken, weight / (taken + 1), weight + weight.max())
        taken[np.argmax(np.where(taken < sizes, claim, -1))] += 1
    return taken


def choose_best(bins: Rows, quality: Doubles, vectors: Floats, count: int) -> NDArray[np.bool_]:
    """Choose faces: some of each bin (`share_out`), of each kind of look there the best.

    Args:
        bins: (N,) which bin each is in.
        quality: (N,) more is better; NaN = worst.
        vectors: (N, D) how they look: they are of one kind where they are near by Euclid.
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
        if number:
            chosen[group[_best_of_kinds(vectors[group], number)]] = True
    return chosen


def _best_of_kinds(vectors: Floats, count: int) -> Rows:
    """Of `count` kinds, each around one of the most varied, the first row; vectors: best first."""
    centres = most_varied(vectors, count, first=0)
    nearest, least = np.zeros(len(vectors), np.int64), np.full(len(vectors), np.inf)
    for kind, centre in enumerate(centres):
        away = np.square(vectors - vectors[centre]).sum(axis=1)
        closer = away < least
        nearest[closer], least[closer] = kind, away[closer]
    # Twins of a centre are nearer to the centre that came before it.
    nearest[centres] = np.arange(len(centres))
    return np.unique(nearest, return_index=True)[1]
