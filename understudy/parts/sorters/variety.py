"""Sorters that look for variety: most varied first, and the best of a set for training."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from understudy.core.face.landmarks import face_size
from understudy.core.face.traits import FaceTraits
from understudy.core.sorting.choice import choose_best, pose_bins
from understudy.core.sorting.looks import hellinger
from understudy.core.sorting.spread import side_by_side, spread_out
from understudy.options import option
from understudy.parts.sorters import Sort, Sorter, SortFaces, Sorting, measured, sorters
from understudy.types import Doubles, Floats

# So many are brought into the order of their variety; the rest by how far they are from all these.
_VARIED: Final = 2000
# The grid over yaw and pitch over which the best are spread: finer than anybody looks.
_BIN: Final = math.radians(5)


@sorters.register("varied")
class Varied(Sorter):
    """Each differs most from all before it: in pose, expression, light and colour."""

    value_told: ClassVar[str] = "how much it differs from all before it, 0 = not at all"
    reads_pixels: ClassVar[bool] = True

    def build(self) -> Sort:
        """The sorter as a function."""

        def sort(faces: SortFaces) -> Sorting:
            rows = np.flatnonzero(measured(faces).is_known)
            taken, away = spread_out(look_vectors(faces)[rows], _VARIED)
            # The first differs from none.
            away[taken[:1]] = away[taken[1:2]] if len(taken) > 1 else 0
            others = np.setdiff1d(np.arange(len(rows)), taken)
            others = others[np.argsort(-away[others], kind="stable")]
            value = np.full(len(faces), np.nan)
            value[rows] = away
            return Sorting.by_order(rows[np.concatenate([taken, others])], value)

        return sort


@sorters.register("final")
class BestForTraining(Sorter):
    """The best for training chosen: of every turn and every kind of look the sharpest."""

    value_told: ClassVar[str] = "how much of the face it shows, in pixels of the frame"
    reads_pixels: ClassVar[bool] = True

    count: int = option(2000, "So many faces are chosen", low=1)
    fast: bool = option(
        False, "Without a look at the pictures: the largest in the frame in place of the sharpest"
    )

    def needs_pixels(self) -> bool:
        """Whether it reads them with the settings that it has."""
        return not self.fast

    def build(self) -> Sort:
        """The sorter as a function."""

        def sort(faces: SortFaces) -> Sorting:
            quality = self._quality(faces)
            looks = np.isfinite(faces.faces.pose).all(axis=1)
            rows = np.flatnonzero(np.isfinite(quality) & looks)
            places, step = pose_bins(faces.faces.pose[rows], _BIN, self.count)
            bins, number = np.unique(places, axis=0, return_inverse=True)
            number = number.ravel().astype(np.int64)
            best = choose_best(number, quality[rows], look_vectors(faces)[rows], self.count)
            chosen = np.zeros(len(faces), bool)
            chosen[rows[best]] = True
            order = rows[np.lexsort((-quality[rows], number))]
            group = np.full(len(faces), -1, np.int64)
            used, group[rows[best]] = np.unique(number[best], return_inverse=True)
            sorting = replace(Sorting.by_order(order, quality), chosen=chosen)
            return sorting.with_groups(group, tuple(_bin_name(bins[bin], step) for bin in used))

        return sort

    def _quality(self, faces: SortFaces) -> Doubles:
        """(N,) how good each is, in pixels; NaN = it cannot be read."""
        if self.fast:
            return face_size(faces.faces.landmarks)
        pixels = measured(faces)
        # What the frame's edge cuts off is not there to be learnt.
        return np.where(pixels.is_known, pixels.detail * (1 - pixels.black), np.nan)


def look_vectors(faces: SortFaces) -> Floats:
    """(N, D) what faces do and show, each kind with the same weight: they vary by their distance.

    Pose and expression, and where their pixels were measured light and colours too.
    """
    blocks = [faces.faces.pose[:, :2], FaceTraits.of(faces.faces).expression]
    if faces.pixels is not None:
        blocks += [faces.pixels.light, hellinger(faces.pixels.histogram[:, :3])]
    return side_by_side(blocks)


def _bin_name(place: NDArray[np.int64], step: float) -> str:
    """A bin of `pose_bins` in words, such as "25-30 left, 5-10 up"."""
    degrees = round(math.degrees(step))
    words = []
    for at, (before, after) in zip(
        place.tolist(), (("left", "right"), ("up", "down")), strict=True
    ):
        near = at if at >= 0 else -1 - at
        way = after if at >= 0 else before
        words.append(f"{near * degrees}-{(near + 1) * degrees} {way}")
    return ", ".join(words)
