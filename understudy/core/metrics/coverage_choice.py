"""A part of src's faces that shows all that the whole does, and most often what dst shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from understudy.core.metrics.coverage import Rows, Shown
from understudy.core.metrics.coverage_report import SideFaces, cell_numbers

GROUPS: Final = ("as dst shows", "as dst never shows", "near duplicates", "somebody else")
_AS_DST, _BEYOND, _DUPLICATE, _OTHER = range(4)
# Faces with less than this share of the usual detail of their kind come after the others.
_BLURRED: Final = 0.6
# Kinds of faces that dst shows come so many times as often as others.
_TWICE: Final = 2.0


@dataclass(frozen=True, slots=True)
class Choice:
    """An order of N faces.

    order: (N,) rows, those to be taken first. group: (N,) by row, a place in `GROUPS`. turn: (N,)
    by row, in which round it is taken. chosen: (N,) by row.
    """

    order: Rows
    group: Rows
    turn: NDArray[np.float64]
    chosen: NDArray[np.bool_]


def choose_faces(src: SideFaces, dst: Shown, count: int) -> Choice:
    """Choose `count` of src's faces, one of each kind in turn, each kind evenly along the footage.

    Neither near duplicates nor faces of somebody else are chosen.
    """
    cells = cell_numbers(src.shown)
    kinds, place = np.unique(cells, axis=0, return_inverse=True)
    place = place.reshape(-1)
    shown = {tuple(cell) for cell in np.unique(cell_numbers(dst), axis=0).tolist()}
    wanted = np.array([tuple(kind) in shown for kind in kinds.tolist()], bool)
    group = np.where(wanted[place], _AS_DST, _BEYOND)
    group[src.duplicate] = _DUPLICATE
    group[~src.usable] = _OTHER
    turn = np.full(len(src), np.inf)
    free = np.flatnonzero(group <= _BEYOND)
    by_kind = free[np.argsort(place[free], kind="stable")]
    ends = np.flatnonzero(np.diff(place[by_kind])) + 1
    for rows in np.split(by_kind, ends):
        turn[_in_turn(rows, src)] = np.arange(len(rows))
    turn[free] /= np.where(group[free] == _AS_DST, _TWICE, 1.0)
    order = np.lexsort([np.arange(len(src)), group, turn])
    chosen = np.zeros(len(src), bool)
    chosen[order[: min(count, len(free))]] = True
    return Choice(order.astype(np.int64), group.astype(np.int64), turn, chosen)


def _in_turn(rows: Rows, src: SideFaces) -> Rows:
    """Faces of one kind (rows, ascending) as they are taken: sharp ones first, far apart."""
    detail = np.nan_to_num(src.detail[rows])
    is_blurred = detail < _BLURRED * np.median(detail)
    # The first, the middle, the quarters, …: the bits of the place, read backwards.
    # Rows ascend by clip and frame; frames alone would mix clips that are numbered alike.
    at = np.argsort(np.argsort(is_blurred, kind="stable")).astype(np.uint32)
    spread = np.zeros(len(rows))
    for bit in range(max(len(rows) - 1, 1).bit_length()):
        spread += ((at >> bit) & 1) / 2.0 ** (bit + 1)
    return rows[np.lexsort([spread, is_blurred])]
