"""The nearest neighbours of many vectors, without comparing each with each."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from understudy.types import Floats

# So many vectors are compared with one another; up to so many in all, each with each.
LEAF: Final = 512
# Each cuts the vectors up along other lines, so that what one parts another keeps together.
_TREES: Final = 4

Rows = NDArray[np.int64]


def find_neighbours(vectors: Floats, count: int) -> tuple[Rows, Rows]:
    """Pairs of vectors that lie near one another: each with its nearest.

    Where there are more than `LEAF`, a few of these may be missed: the vectors are halved along a
    random line, again and again, until `LEAF` are left; that is done several times. So it takes
    time in proportion to N log N.

    Args:
        vectors: (N, D).
        count: Neighbours that are looked for of each.

    Returns:
        (M,) and (M,): the rows of each pair once, the lower first, in ascending order.
    """
    total = len(vectors)
    if total < 2:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    # The same input gives the same output.
    random = np.random.default_rng(0)
    found = [
        _nearest_within(vectors, leaf, count)
        for _ in range(1 if total <= LEAF else _TREES)
        for leaf in _leaves(vectors, np.arange(total), random)
    ]
    keys = np.unique(np.concatenate(found))
    return keys // total, keys % total


def _leaves(vectors: Floats, rows: Rows, random: np.random.Generator) -> list[Rows]:
    """The rows in parts of at most `LEAF`, that lie near one another."""
    if len(rows) <= LEAF:
        return [rows]
    one, other = vectors[random.choice(rows, 2, replace=False)]
    line = one - other
    if not line.any():
        line = np.asarray(random.standard_normal(vectors.shape[1]), np.float32)
    halves = np.array_split(rows[np.argsort(vectors[rows] @ line, kind="stable")], 2)
    return [leaf for half in halves for leaf in _leaves(vectors, half, random)]


def _nearest_within(vectors: Floats, rows: Rows, count: int) -> Rows:
    """Each row with its nearest among them, as one number a pair: lower row x N + higher."""
    some = vectors[rows] - vectors[rows].mean(axis=0)
    squares = (some * some).sum(axis=1)
    distance = squares[:, None] + squares - 2 * (some @ some.T)
    np.fill_diagonal(distance, np.inf)
    count = min(count, len(rows) - 1)
    nearest = np.argpartition(distance, count - 1, axis=1)[:, :count]
    first, second = np.repeat(rows, count), rows[nearest].ravel()
    return np.minimum(first, second) * len(vectors) + np.maximum(first, second)
