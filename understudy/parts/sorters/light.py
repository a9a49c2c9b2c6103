"""Sorters by the light and colour of faces, and by how much of them the screen cuts off."""

from __future__ import annotations

from typing import ClassVar

from understudy.parts.sorters import Sort, Sorter, Sorting, measured, sorters


@sorters.register("brightness")
class Brightness(Sorter):
    """Brightest first."""

    value_told: ClassVar[str] = "brightness from 0 to 1"
    reads_pixels: ClassVar[bool] = True

    def build(self) -> Sort:
        """The sorter as a function."""
        return lambda faces: Sorting.by_value(measured(faces).brightness, descending=True)


@sorters.register("hue")
class Hue(Sorter):
    """From red over yellow, green and blue to magenta; skin lies between red and yellow."""

    value_told: ClassVar[str] = "hue, once around from 0 to 1: magenta 0, red 0.17, yellow 0.33"
    reads_pixels: ClassVar[bool] = True

    def build(self) -> Sort:
        """The sorter as a function."""
        # The circle is cut at magenta, where no skin is: reds on both sides of 0 stay together.
        return lambda faces: Sorting.by_value((measured(faces).hue + 1 / 6) % 1)


@sorters.register("black")
class Black(Sorter):
    """Whole ones first, and last those of which the frame's edge cuts most off."""

    value_told: ClassVar[str] = "share of the picture beyond the frame's edge, from 0 to 1"
    reads_pixels: ClassVar[bool] = True

    def build(self) -> Sort:
        """The sorter as a function."""
        return lambda faces: Sorting.by_value(measured(faces).black)
