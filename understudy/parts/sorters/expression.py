"""Sorters by what a face does: eyes-open, mouth-open, expression, face-dissim."""

from __future__ import annotations

import itertools
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

    value_told: ClassVar[str] = "how far the eyes are open: 0 = shut, 1 = open, more = wide open"
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

    value_told: ClassVar[str] = "how far the mouth is open: 0 = closed, 1 = wide open"

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

    value_told: ClassVar[str] = "difference from the middle of its group, 0 = none"
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
            return Sorting.by_value(value).with_groups(group, _names(centres[by_size], usual))

        return sort


@sorters.register("face-dissim")
class FaceDissim(Sorter):
    """The shape, turned to the front, that is least like all others first.

    So faults of the landmarker and the wrong person come first.
    """

    value_told: ClassVar[str] = (
        "how far all its points together lie from the others', in eye distances"
    )

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


def _names(centres: Doubles, usual: Doubles) -> tuple[str, ...]:
    """What groups are called, each otherwise: by what differs most from the set's usual expression.

    Where a group before is called so already, what differs next is told, too. Where nothing more
    does, it is further from the usual: the centres (K, D) come by that.
    """
    names: list[str] = []
    for centre in centres:
        words, told = _describe(centre, usual)
        words = words if told else ["usual", *words]
        calls = (", ".join(words[:count]) for count in range(max(told, 1), len(words) + 1))
        more = ", ".join([*words, *(["more so"] if told else [])])
        numbered = (f"{more} ({number})" for number in itertools.count(2))
        possible = itertools.chain(calls, [more], numbered)
        names.append(next(each for each in possible if each not in names))
    return tuple(names)


def _describe(centre: Doubles, usual: Doubles) -> tuple[list[str], int]:
    """How an expression differs from the usual, in words, the most first; how many must be told."""
    is_shut, is_closed = (centre + usual)[:2].mean() < _EYES[-1], (centre + usual)[5] < _MOUTH[-1]
    away = {
        "eyes": (centre[0] + centre[1]) / 2,
        "brows": (centre[2] + centre[3]) / 2,
        "mouth": centre[5],
        "width": centre[6],
        "corners": (centre[7] + centre[8]) / 2,
        "aside": centre[11],
    }
    far = {name: abs(value) / _TELLING[name] for name, value in away.items()}
    below = {
        "eyes": "eyes shut" if is_shut else "eyes narrow",
        "mouth": "mouth closed" if is_closed else "mouth less open",
    }
    words: list[str] = []
    for name in sorted(far, key=lambda each: far[each], reverse=True):
        is_more = bool(away[name] > 0)
        if far[name] > 1:
            words.append(_WORDS[name][1] if is_more else below.get(name, _WORDS[name][0]))
        elif far[name] > _LITTLE:
            words.append(_A_LITTLE[name][is_more])
    return words, min(sum(each > 1 for each in far.values()), 2)


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
# Less than that, from this share of it on, is told only where groups would be called alike.
_LITTLE: Final = 0.25
_A_LITTLE: Final = {
    "eyes": ("eyes a little narrower", "eyes a little wider"),
    "brows": ("brows a little down", "brows a little up"),
    "mouth": ("mouth a little less open", "mouth a little more open"),
    "width": ("mouth a little narrower", "mouth a little wider"),
    "corners": ("corners of the mouth a little down", "corners of the mouth a little up"),
    "aside": ("mouth a little to the left", "mouth a little to the right"),
}
