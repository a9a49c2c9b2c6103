"""A sorter by which takes are mirrored against the others, as far as an uneven face tells."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from understudy.core.face.mirrored import TOLD, compare_evenness, takes_to_compare
from understudy.parts.sorters import Sort, Sorter, SortFaces, Sorting, sorters


@sorters.register("mirrored")
class Mirrored(Sorter):
    """Takes that are mirrored against most of the others first; last those that nobody can tell."""

    value_told: ClassVar[str] = "-1 = surely mirrored, 1 = surely not"
    reads_pixels: ClassVar[bool] = True

    def build(self) -> Sort:
        """The sorter as a function."""
        return _by_evenness


def _by_evenness(faces: SortFaces) -> Sorting:
    assert faces.pixels is not None
    value = compare_evenness(
        faces.pixels.thumbnail, faces.faces.pose[:, 1], takes_to_compare(faces.faces)
    )
    group = np.select([value <= -TOLD, value >= TOLD], [0, 1], 2)
    return Sorting.by_value(value).with_groups(group, ("mirrored", "as the rest", "cannot be told"))
