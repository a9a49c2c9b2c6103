"""Faces that differ as much as can be from one another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from understudy.types import Doubles, Floats


def most_varied(vectors: Floats, count: int, first: int | None = None) -> NDArray[np.int64]:
    """Rows of which each is the one that differs most from all that were taken before it.

    Args:
        vectors: (N, D), compared by their Euclidean distance.
        count: So many are taken at most.
        first: The row that is taken first; None = the one farthest from the mean.

    Returns:
        (min(N, count),) int64.
    """
    return spread_out(vectors, count, first)[0]


def spread_out(
    vectors: Floats, count: int, first: int | None = None
) -> tuple[NDArray[np.int64], Doubles]:
    """As `most_varied`; and (N,) how far each row was from those that were taken before it.

    Those that were not taken have their distance to all that were. The first has infinity.
    """
    total, squares = len(vectors), (vectors * vectors).sum(axis=1)
    away, is_taken = np.full(total, np.inf), np.zeros(total, bool)
    taken = np.zeros(min(count, total), np.int64)
    for place in range(len(taken)):
        if place:
            # One that equals another, whose distance rounding puts a little off 0, is taken once.
            taken[place] = np.argmax(np.where(is_taken, -np.inf, away))
        elif first is None:
            taken[place] = np.argmax(((vectors - vectors.mean(axis=0)) ** 2).sum(axis=1))
        else:
            taken[place] = first
        row = taken[place]
        is_taken[row] = True
        nearer = np.minimum(away, squares + squares[row] - 2 * (vectors @ vectors[row]))
        away = np.where(is_taken, away, nearer)
    return taken, np.sqrt(np.maximum(away, 0))


def side_by_side(blocks: Sequence[Floats]) -> Floats:
    """Kinds of measures as one vector a face, each kind with the same weight.

    blocks: (N, D) each. Returns (N, sum of D) float32, in which each block's mean square distance
    from its mean is 1; what is NaN is the mean, and one that is the same for all faces is 0.
    """
    scaled = []
    for block in blocks:
        # What nobody knows of a face makes it no different from the others.
        known = np.isfinite(block)
        mean = np.where(known, block, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        centred = np.where(known, block - mean, 0.0)
        spread = np.sqrt((centred**2).sum(axis=1).mean()) if len(block) else 0.0
        scaled.append(centred / spread if spread > 1e-9 else centred * 0)
    return np.concatenate(scaled, axis=1).astype(np.float32)
