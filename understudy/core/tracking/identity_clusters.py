"""People, as groups of tracks whose identities lie close together."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from understudy.core.row_blocks import Rows, iter_row_blocks, iter_row_pairs
from understudy.core.tracking.link import IdentitySamples
from understudy.types import Doubles, Floats

# Groups of tracks whose mean identities lie further apart on average are different people: within a
# clip single faces of one person lie 0.27 apart and at most 0.42 in 95 of 100 cases, those of two
# people at least 0.60 (dlib's network, on our clips).
_SAME: Final = 0.5
# A photograph is taken in another light, on another day.
_LIKE: Final = 0.6


def cluster_identities(track: Rows, frame: Rows, seen: IdentitySamples) -> Rows:
    """Tell the person of each face, by average linkage over the tracks' mean identities.

    Tracks that show in one frame are never one person.

    Args:
        track: (N,) track of each face, -1 = none.
        frame: (N,) frame of each face.
        seen: Identities of some of the rows.

    Returns:
        (N,) numbers of people: 0 has the most faces, and so on. -1 where nothing is known of the
            track.
    """
    person = np.full(len(track), -1, np.int64)
    on_track = track[seen.rows] >= 0
    known, number = np.unique(track[seen.rows[on_track]], return_inverse=True)
    if not len(known):
        return person
    weight = np.bincount(number).astype(np.float64)
    mean = np.zeros((len(known), seen.vectors.shape[1]))
    np.add.at(mean, number, seen.vectors[on_track])
    group = _average_linkage(
        _distances(mean / weight[:, None]), _tracks_in_one_frame(track, frame, known), weight
    )
    rows = np.flatnonzero(np.isin(track, known))
    person[rows] = group[np.searchsorted(known, track[rows])]
    return _renumber_by_size(person, frame)


def match_identity(person: Rows, vectors: Floats, wanted: Floats) -> int | None:
    """Return the person whose mean identity lies nearest to the wanted one; None when none is near.

    Args:
        person: (M,) whose each sampled vector is, -1 = nobody's.
        vectors: (M, D) sampled identities.
        wanted: (D,) an identity.
    """
    numbers = np.unique(person[person >= 0])
    means = [vectors[person == number].mean(axis=0, dtype=np.float64) for number in numbers]
    far = [float(np.linalg.norm(mean - wanted)) for mean in means]
    return int(numbers[np.argmin(far)]) if far and min(far) <= _LIKE else None


def _tracks_in_one_frame(track: Rows, frame: Rows, known: Rows) -> NDArray[np.bool_]:
    """Which of the known tracks are in a frame together, (K, K)."""
    rows = np.flatnonzero(np.isin(track, known))
    rows = rows[np.argsort(frame[rows], kind="stable")]
    number, when = np.searchsorted(known, track[rows]), frame[rows]
    result = np.zeros((len(known), len(known)), bool)
    for one, other in iter_row_pairs(
        np.arange(len(rows)) + 1, np.searchsorted(when, when, "right")
    ):
        result[number[one], number[other]] = result[number[other], number[one]] = True
    return result


def _average_linkage(far: Doubles, apart: NDArray[np.bool_], weight: Doubles) -> Rows:
    """The group of each of K tracks, (K,), by average linkage.

    far: (K, K) distances, which are overwritten. apart: (K, K) which must not be in one group.
    weight: (K,) how often a track was sampled.
    """
    far[apart] = np.inf
    np.fill_diagonal(far, np.inf)
    weight, group = weight.copy(), np.arange(len(far))
    nearest = far.argmin(axis=1)
    while True:
        one = int(np.argmin(far[np.arange(len(far)), nearest]))
        other = int(nearest[one])
        if not far[one, other] <= _SAME:
            return group
        # Infinity stays: a group must not take in whom one of its tracks must not meet.
        merged = (weight[one] * far[one] + weight[other] * far[other]) / (
            weight[one] + weight[other]
        )
        merged[[one, other]] = np.inf
        far[one], far[:, one] = merged, merged
        far[other], far[:, other] = np.inf, np.inf
        weight[one] += weight[other]
        group[group == other] = one
        stale = np.flatnonzero((nearest == one) | (nearest == other))
        nearest[stale] = far[stale].argmin(axis=1)
        nearest[one] = int(far[one].argmin())


def _distances(vectors: Doubles) -> Doubles:
    squared = (vectors**2).sum(axis=1)
    result = np.empty((len(vectors), len(vectors)))
    # Some rows at a time: a long film has thousands of tracks.
    for rows in iter_row_blocks(len(vectors)):
        result[rows] = np.sqrt(
            np.maximum(squared[rows, None] + squared - 2 * vectors[rows] @ vectors.T, 0)
        )
    return result


def _renumber_by_size(person: Rows, frame: Rows) -> Rows:
    """The same people, renumbered: the most faces first, then who comes first."""
    known = person >= 0
    numbers, place, count = np.unique(person[known], return_inverse=True, return_counts=True)
    first = np.full(len(numbers), np.iinfo(np.int64).max)
    np.minimum.at(first, place, frame[known])
    rank = np.empty(len(numbers), np.int64)
    rank[np.lexsort((first, -count))] = np.arange(len(numbers))
    result = person.copy()
    result[known] = rank[place]
    return result
