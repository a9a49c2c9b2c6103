"""Sorters by where the head turns: yaw, pitch and roll, in degrees."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from understudy.parts.sorters import Sort, Sorter, Sorting, sorters


@sorters.register("yaw")
class Yaw(Sorter):
    """Turned most to the picture's left first."""

    value_told: ClassVar[str] = "yaw in degrees, above 0 to the picture's left"

    def build(self) -> Sort:
        """The sorter as a function."""
        return lambda faces: Sorting.by_value(np.degrees(faces.faces.pose[:, 1]), descending=True)


@sorters.register("pitch")
class Pitch(Sorter):
    """Looking up most first."""

    value_told: ClassVar[str] = "pitch in degrees, above 0 looking up"

    def build(self) -> Sort:
        """The sorter as a function."""
        return lambda faces: Sorting.by_value(np.degrees(faces.faces.pose[:, 0]), descending=True)


@sorters.register("roll")
class Roll(Sorter):
    """Tilted most clockwise first."""

    value_told: ClassVar[str] = "roll in degrees, above 0 clockwise"

    def build(self) -> Sort:
        """The sorter as a function."""
        return lambda faces: Sorting.by_value(np.degrees(faces.faces.pose[:, 2]), descending=True)
