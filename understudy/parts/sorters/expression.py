"""Sorters by what a face does: eyes-open, mouth-open, expression, face-dissim."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from understudy.core.face.landmarks import COUNT
from understudy.core.face.traits import FaceTraits
from understudy.options import option
from understudy.parts.sorters import Sort, Sorter, SortFaces, Sorting, sorters
from understudy.types import Doubles, Floats


@sorters.register("eyes-open")
class EyesOpen(Sorter):
    """Eyes wide open first, shut ones last."""

    reads_eyes: ClassVar[bool] = True

    def build(self) -> Sort:
        """The sorter as a function."""

        def sort(faces: SortFaces) -> Sorting:
            return _by_steps(
                FaceTraits.of(faces.faces).eyes_open,
                _EYES,
                ("eyes open", "eyes half open", "eyes shut"),
            )

        return sort


@sorters.register("mouth-open")
class MouthOpen(Sorter):
    """Mouth wide open first, lips closed last."""

    def build(self) -> Sort:
        """The sorter as a function."""

        def sort(faces: SortFaces) -> Sorting:
            return _by_steps(
                FaceTraits.of(faces.faces).mouth_open,
                _MOUTH,
                ("mouth wide open", "mouth open", "mouth closed"),
            )

        return sort


@sorters.register("expression")
class Expression(Sorter):
    """In groups of one expression each, whichever way the head turns.

    The group nearest to the usual expression comes first, and so on; in each, what is most like it
    comes first.
    """

    reads_eyes: ClassVar[bool] = True

    groups: int = option(12, "Into how many groups", low=1, high=100)

    def build(self) -> Sort:
        """The sorter as a function."""

        def sort(faces: SortFaces) -> Sorting:
            expression = FaceTraits.of(faces.faces).expression.astype(np.float64)
            known = np.flatnonzero(np.isfinite(expression).all(axis=1))
            value = np.full(len(faces), np.nan)
            group = np.full(len(faces), -1, np.int64)
            if not len(known):
                return Sorting.by_value(value)
            usual = np.median(expression[known], axis=0)
            apart = expression[known] - usual
            centres, member = _group(apart, self.groups)
            by_size = np.argsort(np.linalg.norm(centres, axis=1), kind="stable")
            group[known] = np.argsort(by_size)[member]
            value[known] = np.linalg.norm(apart - centres[member], axis=1)
            names = _numbered([_describe(centre, usual) for centre in centres[by_size]])
            return Sorting.by_value(value).with_groups(group, names)

        return sort


@sorters.register("face-dissim")
class FaceDissim(Sorter):
    """The shape, turned to the front, that is least like all others first.

    So faults of the landmarker and the wrong person come first.
    """

    def build(self) -> Sort:
        """The sorter as a function."""

        def sort(faces: SortFaces) -> Sorting:
            shape = FaceTraits.of(faces.faces).shape
            known = np.flatnonzero(np.isfinite(shape).all(axis=(1, 2)))
            value = np.full(len(faces), np.nan)
            value[known] = _mean_distances(shape[known].reshape(-1, 2 * COUNT))
            return Sorting.by_value(value, descending=True)

        return sort


def _by_steps(values: ArrayLike, steps: tuple[float, ...], groups: tuple[str, ...]) -> Sorting:
    """Largest first, in groups that part at `steps`, descending."""
    value = np.asarray(values, np.float64)
    group = np.searchsorted([-step for step in steps], -value, side="right")
    group[np.isnan(value)] = -1
    return Sorting.by_value(value, descending=True).with_groups(group, groups)


def _mean_distances(vectors: Floats) -> Doubles:
    """(N,) the mean distance of each (N, D) vector to all others: the sum over its coordinates.

    In each coordinate the sum of distances follows from the order, so no pair is looked at.
    """
    count = len(vectors)
    total, place = np.zeros(count), np.arange(count)
    for column in vectors.T.astype(np.float64):
        order = np.argsort(column, kind="stable")
        ascending = column[order]
        below = np.cumsum(ascending) - ascending
        above = ascending.sum() - below - ascending
        total[order] += ascending * place - below + above - ascending * (count - 1 - place)
    return total / max(count - 1, 1)


def _group(vectors: Doubles, count: int) -> tuple[Doubles, NDArray[np.int64]]:
    """Centres (K, D) of at most `count` groups of (N, D) vectors, and the group of each, (N,).

    Lloyd's k-means from the vector in the middle and, one after another, those furthest from all
    before: the same vectors give the same groups. No group is empty.
    """
    centres = np.median(vectors, axis=0)[None]
    far = np.linalg.norm(vectors - centres[0], axis=1)
    while len(centres) < count and far.max() > _ALIKE:
        centres = np.vstack([centres, vectors[far.argmax()]])
        far = np.minimum(far, np.linalg.norm(vectors - centres[-1], axis=1))
    for _ in range(_ROUNDS):
        member = _nearest(vectors, centres)
        used, member = np.unique(member, return_inverse=True)
        sums = np.zeros((len(used), vectors.shape[1]))
        np.add.at(sums, member, vectors)
        moved = sums / np.bincount(member)[:, None]
        if moved.shape == centres.shape and np.allclose(moved, centres):
            break
        centres = moved
    used, member = np.unique(_nearest(vectors, centres), return_inverse=True)
    return centres[used], member.astype(np.int64)


def _nearest(vectors: Doubles, centres: Doubles) -> NDArray[np.int64]:
    squared = (centres**2).sum(axis=1) - 2 * vectors @ centres.T
    return np.asarray(squared.argmin(axis=1), np.int64)


def _describe(centre: Doubles, usual: Doubles) -> str:
    """What an expression is, in words: what differs most from the set's usual one."""
    is_shut, is_closed = (centre + usual)[:2].mean() < _EYES[-1], (centre + usual)[5] < _MOUTH[-1]
    both = {
        "eyes": (centre[0] + centre[1]) / 2,
        "brows": (centre[2] + centre[3]) / 2,
        "mouth": centre[5],
        "width": centre[6],
        "corners": (centre[7] + centre[8]) / 2,
        "aside": centre[11],
    }
    told = sorted(both, key=lambda each: abs(both[each]) / _TELLING[each], reverse=True)
    below = {
        "eyes": "eyes shut" if is_shut else "eyes narrow",
        "mouth": "mouth closed" if is_closed else "mouth less open",
    }
    words = [
        _WORDS[each][1] if both[each] > 0 else below.get(each, _WORDS[each][0])
        for each in told
        if abs(both[each]) > _TELLING[each]
    ]
    return ", ".join(words[:2]) or "usual"


def _numbered(names: list[str]) -> tuple[str, ...]:
    """The same names, each once: those that come again get a number."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(result)


# Where eyes are no more open, and then shut; where a mouth is no more wide open, and then closed.
_EYES: Final = (0.7, 0.35)
_MOUTH: Final = (0.5, 0.15)
# Expressions nearer than this, in the units of the measures, are not worth a group of their own.
_ALIKE: Final = 0.1
_ROUNDS: Final = 20
# From how far beside the usual on a measure is worth a word, and the words below and above it.
_TELLING: Final = {
    "eyes": 0.3,
    "brows": 0.15,
    "mouth": 0.15,
    "width": 0.12,
    "corners": 0.15,
    "aside": 0.15,
}
_WORDS: Final = {
    "eyes": ("eyes shut", "eyes wide open"),
    "brows": ("brows down", "brows up"),
    "mouth": ("mouth closed", "mouth open"),
    "width": ("lips pursed", "mouth wide"),
    "corners": ("corners of the mouth down", "corners of the mouth up"),
    "aside": ("mouth to the left", "mouth to the right"),
}
