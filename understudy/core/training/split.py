"""Splits faces into those to learn from and held-out ones, on which a model is measured."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

# This share is held out, in so many runs of neighbours where it cannot be whole tracks; of fewer
# faces none is.
HELD_OUT_SHARE, HELD_OUT_RUNS, MIN_FACES = 0.04, 2, 40
# So many faces at most, before and after those held out, are neither learnt nor measured:
# neighbours look too much alike.
SPARED_GAP: Final = 5
# A track of fewer faces may be a mistake of the detector; and so far above the share whole tracks
# may go.
_SHORTEST, _MOST = 4, 1.5

RowMask = NDArray[np.bool_]


def split_held_out(
    tracks: NDArray[np.int64], footage: NDArray[np.int64] | None = None
) -> tuple[RowMask, RowMask]:
    """Choose the held-out faces of a set, and spared ones beside them that are not learnt either.

    Whole tracks where the set has some that make up the share, else runs of neighbours, the last at
    the end of the set.

    Args:
        tracks: (N,) of faces, footage by footage and in order of time, -1 = none; other numbers in
            each footage.
        footage: (N,) of which each face is; None = all of one.

    Returns:
        Two masks (N,): held out, and spared.
    """
    count = len(tracks)
    chosen = np.zeros(count, bool)
    if count >= MIN_FACES:
        goal = max(4, round(count * HELD_OUT_SHARE))
        chosen = np.isin(tracks, _choose_tracks(tracks, goal))
        if not chosen.any():
            chosen = _choose_runs(count, goal // HELD_OUT_RUNS)
    gap = min(SPARED_GAP, count // MIN_FACES)
    near = np.zeros(count, bool)
    clips = np.zeros(count, int) if footage is None else footage
    for clip in np.unique(clips):
        rows = np.flatnonzero(clips == clip)
        # A clip of a few faces is shorter than the window.
        around = np.convolve(chosen[rows], np.ones(2 * gap + 1, int))[gap : gap + len(rows)]
        near[rows] = around > 0
    return chosen, near & ~chosen


def _choose_tracks(tracks: NDArray[np.int64], goal: int) -> list[int]:
    """The longest tracks that give about `goal` faces; none if they give less than half."""
    names, counts = np.unique(tracks[tracks >= 0], return_counts=True)
    taken: list[int] = []
    total = 0
    for place in np.argsort(-counts, kind="stable"):
        if total < goal and _SHORTEST <= counts[place] <= _MOST * goal - total:
            taken.append(int(names[place]))
            total += int(counts[place])
    return taken if 2 * total >= goal else []


def _choose_runs(count: int, length: int) -> RowMask:
    chosen = np.zeros(count, bool)
    for last in np.linspace(0, count, HELD_OUT_RUNS + 1).round().astype(int)[1:]:
        chosen[last - length : last] = True
    return chosen
