"""Sorters by how alike faces look: by their histograms, or point by point."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from understudy.core.sorting.looks import bhattacharyya, flat, hellinger, mean_bhattacharyya
from understudy.core.sorting.tour import far_tour, short_tour, steps_of
from understudy.options import option
from understudy.parts.sorters import Sort, Sorter, SortFaces, Sorting, measured, sorters
from understudy.types import Doubles, Floats

Rows = NDArray[np.int64]


@sorters.register("hist")
class Hist(Sorter):
    """Those of like light and colour beside each other; a group ends where they change."""

    value_told: ClassVar[str] = (
        "how much its colours differ from those of the face before it, from 0 to 3"
    )
    reads_pixels: ClassVar[bool] = True

    jump: float = option(
        0.6,
        "A group ends where the next face's colours differ by more; at 3 they differ in all",
        low=0,
        high=3,
    )

    def build(self) -> Sort:
        """The sorter as a function."""

        def sort(faces: SortFaces) -> Sorting:
            pixels = measured(faces)
            rows = np.flatnonzero(pixels.is_known)
            colours = pixels.histogram[rows, :3]

            def distance(first: Rows, second: Rows) -> Doubles:
                return bhattacharyya(colours[first], colours[second])

            tour = short_tour(hellinger(colours), distance)
            steps = steps_of(tour, distance)
            value = np.full(len(faces), np.nan)
            value[rows[tour]] = steps
            group = np.full(len(faces), -1, np.int64)
            group[rows[tour]] = np.cumsum(steps > self.jump)
            names = tuple(
                f"colours {number + 1}" for number in range(int(group.max(initial=-1)) + 1)
            )
            return Sorting.by_order(rows[tour], value).with_groups(group, names)

        return sort


@sorters.register("hist-dissim")
class HistDissim(Sorter):
    """Those whose light is least like that of the others first."""

    value_told: ClassVar[str] = (
        "how much its light differs from the others' on average, from 0 to 1"
    )
    reads_pixels: ClassVar[bool] = True

    def build(self) -> Sort:
        """The sorter as a function."""

        def sort(faces: SortFaces) -> Sorting:
            pixels = measured(faces)
            rows = np.flatnonzero(pixels.is_known)
            value = np.full(len(faces), np.nan)
            value[rows] = mean_bhattacharyya(pixels.histogram[rows, 3:])
            return Sorting.by_value(value, descending=True)

        return sort


@sorters.register("absdiff")
class AbsDiff(Sorter):
    """Those that look alike point by point beside each other."""

    value_told: ClassVar[str] = "mean difference from the face before it, in grey levels of 255"
    reads_pixels: ClassVar[bool] = True

    dissimilar: bool = option(False, "Those that differ most beside each other instead")

    def build(self) -> Sort:
        """The sorter as a function."""

        def sort(faces: SortFaces) -> Sorting:
            pixels = measured(faces)
            rows = np.flatnonzero(pixels.is_known)
            points = flat(pixels.thumbnail[rows])

            def distance(first: Rows, second: Rows) -> Doubles:
                return _mean_difference(points, first, second)

            tour = far_tour(points) if self.dissimilar else short_tour(points, distance)
            value = np.full(len(faces), np.nan)
            value[rows[tour]] = steps_of(tour, distance)
            return Sorting.by_order(rows[tour], value)

        return sort


def _mean_difference(points: Floats, first: Rows, second: Rows) -> Doubles:
    """(M,) the mean absolute difference between rows of `points`, one by one."""
    result, block = np.empty(len(first)), 4096
    for start in range(0, len(first), block):
        some = slice(start, start + block)
        result[some] = np.abs(points[first[some]] - points[second[some]]).mean(axis=1)
    return result
