"""A short way through many faces, on which each looks like the one before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from understudy.core.sorting.neighbours import find_neighbours
from understudy.types import Doubles, Floats

Rows = NDArray[np.int64]
# How far the rows of the first are from those of the second, one by one.
Distance = Callable[[Rows, Rows], Doubles]

_NEIGHBOURS: Final = 12
# Of those that are waiting, so many are looked at for the one that lies farthest away.
_POOL: Final = 512


def short_tour(vectors: Floats, distance: Distance) -> Rows:
    """An order in which each is near the one before.

    Of all ways from one to another the shortest are taken first, wherever they are, as long as they
    make chains and no rings; then the ends of the chains are joined in the same way. Such a tour is
    shorter than one that goes on to the nearest each time, which leaves the far ones for its end.

    Args:
        vectors: (N, D): where two lie near one another, their distance is small too.
        distance: What the tour is short in.

    Returns:
        (N,) every row once; it begins at the end of the tour that has the lower row.
    """
    if not len(vectors):
        return np.zeros(0, np.int64)
    # Equal ones stay together, as they come.
    _, first, which = np.unique(vectors, axis=0, return_index=True, return_inverse=True)
    different = np.sort(first)
    place = np.zeros(len(vectors), np.int64)
    place[different[_tour_of_different(vectors[different], distance, different)]] = np.arange(
        len(different)
    )
    return np.argsort(place[first[which.ravel()]], kind="stable").astype(np.int64)


def _tour_of_different(vectors: Floats, distance: Distance, rows: Rows) -> Rows:
    """The same, where no two are equal. rows: what `distance` knows them by."""
    chains = _Chains(len(rows))
    while chains.count > 1:
        ends = chains.ends()
        first, second = (ends[each] for each in find_neighbours(vectors[ends], _NEIGHBOURS))
        # The other end of its own chain may be near, but is never the only one.
        joinable = chains.are_joinable(first, second)
        first, second = first[joinable], second[joinable]
        nearest_first = np.argsort(distance(rows[first], rows[second]), kind="stable")
        chains.join(first[nearest_first], second[nearest_first])
    return chains.order()


def far_tour(vectors: Floats) -> Rows:
    """An order in which each differs as much as can be from the one before.

    From the first row on it goes to the farthest of those that wait; of more than `_POOL` that many
    are looked at, drawn evenly.

    Args:
        vectors: (N, D), compared by the sum of absolute differences.

    Returns:
        (N,) every row once.
    """
    total = len(vectors)
    waiting = np.random.default_rng(0).permutation(np.arange(1, total))
    # The first so many places are looked at; the one that is taken gives its place to another.
    pool, queue = waiting[:_POOL].copy(), waiting[_POOL:].tolist()[::-1]
    tour = [0] if total else []
    while len(pool):
        away = np.abs(vectors[pool] - vectors[tour[-1]]).sum(axis=1)
        place = int(np.argmax(away))
        tour.append(int(pool[place]))
        if queue:
            pool[place] = queue.pop()
        else:
            pool = np.delete(pool, place)
    return np.array(tour, np.int64)


def steps_of(order: Rows, distance: Distance) -> Doubles:
    """(N,) how far each of the order is from the one before it; 0 for the first."""
    if not len(order):
        return np.zeros(0)
    return np.concatenate([[0.0], distance(order[:-1], order[1:])])


class _Chains:
    """Rows that are joined to chains; each alone at first."""

    def __init__(self, total: int) -> None:
        self.count = total
        self._joined: list[list[int]] = [[] for _ in range(total)]
        # By row at the end of a chain, the row at its other end.
        self._other_end = list(range(total))

    def ends(self) -> Rows:
        """Rows that can still be joined."""
        return np.array([row for row, each in enumerate(self._joined) if len(each) < 2], np.int64)

    def join(self, first: Rows, second: Rows) -> None:
        """Join these pairs, in their order, where that leaves chains."""
        for one, other in zip(first.tolist(), second.tolist(), strict=True):
            if len(self._joined[one]) > 1 or len(self._joined[other]) > 1:
                continue
            if self._other_end[one] == other:
                continue
            self._joined[one].append(other)
            self._joined[other].append(one)
            far, farther = self._other_end[one], self._other_end[other]
            self._other_end[far], self._other_end[farther] = farther, far
            self.count -= 1

    def are_joinable(self, first: Rows, second: Rows) -> NDArray[np.bool_]:
        """Which pairs of ends are not those of one chain."""
        return np.asarray(np.array(self._other_end, np.int64)[first] != second)

    def order(self) -> Rows:
        """The rows of the one chain that is left, from its end with the lower row."""
        if not self._joined:
            return np.zeros(0, np.int64)
        before, at = -1, int(self.ends()[0])
        tour = [at]
        while following := [row for row in self._joined[at] if row != before]:
            before, at = at, following[0]
            tour.append(at)
        return np.array(tour, np.int64)
