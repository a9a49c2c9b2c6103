"""Who the faces of a set show: the main person, who else, and how like the main person each is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from understudy.types import Doubles, Floats


@dataclass(frozen=True, slots=True)
class Likeness:
    """Who N faces show.

    Attributes:
        far: (N,) float64, how far each identity is from the main person's mean one, both of length
            1; NaN = the face has none.
        person: (N,) int64, 0 = the main person, 1 = who else is seen most, and so on; -1 = like
            nobody, or without an identity.
    """

    far: Doubles
    person: NDArray[np.int64]


def tell_people(identity: Floats | Doubles) -> Likeness:
    """Tell the people of a set apart by the identities of its faces.

    The main person is who is seen most, however many others there are. Then who is seen most among
    the rest, and so on.

    Args:
        identity: (N, D) of dlib's network, of any length; NaN where a face has none.
    """
    vectors = np.asarray(identity, np.float64)
    known = np.flatnonzero(np.isfinite(vectors).all(axis=1))
    far, person = np.full(len(vectors), np.nan), np.full(len(vectors), -1, np.int64)
    length = np.linalg.norm(vectors[known], axis=1, keepdims=True)
    unit = (vectors[known] / np.maximum(length, 1e-9)).astype(np.float32)
    left = np.arange(len(unit))
    for number in range(_MOST_PEOPLE):
        if len(left) < (_FEW if number else 1):
            break
        centre = _most_seen(unit[left])
        if number == 0:
            far[known] = np.linalg.norm(unit - centre, axis=1)
        is_this = np.linalg.norm(unit[left] - centre, axis=1) <= _REACH
        if number and is_this.sum() < _FEW:
            break
        person[known[left[is_this]]] = number
        left = left[~is_this]
    return Likeness(far, person)


def _most_seen(unit: Floats) -> Floats:
    """The mean of who is seen most, (D,): of those around the place where most lie."""
    some = np.unique(np.linspace(0, len(unit) - 1, _SAMPLE).round().astype(np.int64))
    near = np.sqrt(np.maximum(2 - 2 * unit[some] @ unit.T, 0)) <= _SAME
    centre = unit[some[int(near.sum(axis=1).argmax())]]
    for _ in range(_ROUNDS):
        around = np.linalg.norm(unit - centre, axis=1) <= _SAME
        if not around.any():
            break
        centre = unit[around].mean(axis=0)
    return np.asarray(centre, np.float32)


# Faces that are compared with all others, to find where most lie; 20,000 take half a second.
_SAMPLE: Final = 300
_ROUNDS: Final = 5
# Of dlib's vectors, brought to length 1, on four clips: faces of one person lie 0.26 apart and at
# most 0.36 in 95 of 100 cases, those of two people at least 0.34 and 0.39 in 95 of 100; from their
# mean a person's faces are at most 0.27 away, others at least 0.35.
_SAME: Final = 0.32
_REACH: Final = 0.31
# Fewer faces are no person of their own; and so many people have a number.
_FEW: Final = 3
_MOST_PEOPLE: Final = 30
