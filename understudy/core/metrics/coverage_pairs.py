"""What src shows only apart and dst together, such as an open mouth on a head that is turned."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.core.metrics.coverage import AXES, ENOUGH, LEAST_FACES, LEAST_SHARE, Axis, Shown
from understudy.types import Doubles

Rows = NDArray[np.int64]

# What a face shows of these may call for a picture of its own; brows do not.
_AXES: Final = tuple(
    axis for axis in AXES if axis.name in ("yaw", "pitch", "eyes", "mouth", "exposure", "side")
)
# Cells a reach, and the cells around, of which a face serves: somewhat further than by one measure.
_CELLS: Final = 2
_AROUND: Final = 7


@dataclass(frozen=True, slots=True)
class Pair:
    """Two kinds that dst shows together and src only apart. rows: dst's faces, ascending."""

    kinds: tuple[str, str]
    rows: Rows


def find_pairs(src: Shown, dst: Shown, lacks: NDArray[np.bool_]) -> list[Pair]:
    """What dst shows together and src only apart, most of dst's faces first.

    lacks: (M,) dst's faces that are in a gap already; they count for that.
    """
    least = max(LEAST_FACES, math.ceil(LEAST_SHARE * len(dst)))
    found = [pair for pair in _out_of_reach(src, dst, ~lacks) if len(pair.rows) >= least]
    told: list[Pair] = []
    is_told = lacks.copy()
    for pair in sorted(found, key=lambda each: -len(each.rows)):
        if (~is_told[pair.rows]).sum() >= least:
            told.append(pair)
            is_told[pair.rows] = True
    return told


def _out_of_reach(src: Shown, dst: Shown, free: NDArray[np.bool_]) -> Iterator[Pair]:
    """The faces of dst that too few of src come near by two measures at once, by both kinds."""
    for axes in itertools.combinations(_AXES, 2):
        ours, theirs = (_places(shown, axes) for shown in (src, dst))
        known = np.isfinite(theirs).all(axis=1) & free
        rows = np.flatnonzero(known)
        near = _count_around(ours[np.isfinite(ours).all(axis=1)], theirs[rows])
        rows = rows[near < min(ENOUGH, len(ours))]
        kinds = np.column_stack(
            [
                np.searchsorted(axis.edges, getattr(dst, axis.name)[rows], side="right")
                for axis in axes
            ]
        )
        for both in np.unique(kinds, axis=0):
            named = [axis.kinds[number] for axis, number in zip(axes, both, strict=True)]
            # What is usual by one of them was found wanting by the other alone, if at all.
            if all(name != axis.usual for name, axis in zip(named, axes, strict=True)):
                yield Pair((named[0], named[1]), rows[(kinds == both).all(axis=1)])


def _places(shown: Shown, axes: tuple[Axis, ...]) -> Doubles:
    """(N, 2) the cells of faces by two measures; NaN = not measured."""
    return np.column_stack(
        [np.floor(axis.spread(getattr(shown, axis.name)) * _CELLS) for axis in axes]
    )


def _count_around(have: Doubles, wanted: Doubles) -> Rows:
    """(M,) how many of `have` (N, 2) lie in the cells around each of `wanted` (M, 2)."""
    if not len(wanted) or not len(have):
        return np.zeros(len(wanted), np.int64)
    low = np.minimum(have.min(axis=0), wanted.min(axis=0))
    ours, theirs = (np.asarray(each - low, np.int64) for each in (have, wanted))
    counts = np.zeros(np.maximum(ours.max(axis=0), theirs.max(axis=0)) + 1, np.float32)
    np.add.at(counts, (ours[:, 0], ours[:, 1]), 1)
    around = cv2.boxFilter(
        counts, -1, (_AROUND, _AROUND), normalize=False, borderType=cv2.BORDER_CONSTANT
    )
    return np.asarray(np.rint(around[theirs[:, 0], theirs[:, 1]]), np.int64)
