"""The sorter that finds near duplicates: of a run of still frames one face is kept."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from understudy.core.sorting.looks import find_duplicates
from understudy.options import option
from understudy.parts.sorters import Sort, Sorter, SortFaces, Sorting, measured, sorters


@sorters.register("near-duplicates")
class NearDuplicates(Sorter):
    """Faces that look the same in groups, of each the one with most detail chosen."""

    value_told: ClassVar[str] = "how many faces look like it, itself among them"
    reads_pixels: ClassVar[bool] = True

    difference: float = option(
        6.0,
        "So many grey levels of 255 two faces may differ at any point of a 16x16 picture of them,"
        " and still count as the same",
        low=0,
        high=255,
    )

    def build(self) -> Sort:
        """The sorter as a function."""

        def sort(faces: SortFaces) -> Sorting:
            pixels = measured(faces)
            rows = np.flatnonzero(pixels.is_known)
            best = np.arange(len(faces))
            best[rows] = rows[
                find_duplicates(
                    pixels.thumbnail[rows], self.difference, pixels.detail[rows].astype(np.float64)
                )
            ]
            _, group, count = np.unique(best, return_inverse=True, return_counts=True)
            # Those that are like no other are in no group.
            number = np.where(count > 1, np.cumsum(count > 1) - 1, -1)
            names = tuple(f"alike {place + 1}" for place in range(int((count > 1).sum())))
            chosen = best == np.arange(len(faces))
            value = np.where(pixels.is_known, count[group], np.nan)
            # The one that is kept comes first in its group.
            order = np.lexsort((np.arange(len(faces)), ~chosen, ~pixels.is_known))
            sorting = Sorting(order.astype(np.int64), value, chosen=chosen)
            return sorting.with_groups(number[group].astype(np.int64), names)

        return sort
