"""Sorters by how sharp faces are: out of focus, or moved while the shutter was open."""

from __future__ import annotations

from typing import ClassVar

from understudy.parts.sorters import Sort, Sorter, Sorting, measured, sorters


@sorters.register("blur")
class Blur(Sorter):
    """Sharpest first, judged on the face alone and as a share of it, so at any size alike."""

    value_told: ClassVar[str] = "sharpness from 0 to 1"
    reads_pixels: ClassVar[bool] = True

    def build(self) -> Sort:
        """The sorter as a function."""
        return lambda faces: Sorting.by_value(measured(faces).sharpness, descending=True)


@sorters.register("motion-blur")
class MotionBlur(Sorter):
    """Least smeared along one line first; a face that is out of focus all round is not smeared."""

    value_told: ClassVar[str] = (
        "how much more it is blurred along one line than across it, from 0 to 1"
    )
    reads_pixels: ClassVar[bool] = True

    def build(self) -> Sort:
        """The sorter as a function."""
        return lambda faces: Sorting.by_value(measured(faces).motion_blur)
