"""Sorters: in which order, and in which groups, the faces of a set are looked at.

A sorter is a class of options. Its `build()` gives a function from what is known of the faces to
their order; it opens no file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from understudy.core.face.pixel_measures import PixelMeasures
from understudy.registry import Part, Registry
from understudy.types import Doubles, Faces


@dataclass(frozen=True, slots=True)
class SortFaces:
    """What a sorter is told of N faces, in the order of their footage, frame and file name.

    Attributes:
        faces: The table.
        names: Of the pictures.
        face_from_frame: (N, 2, 3) float64, frame pixels to pixels of the picture as it is now.
        sides: (N,) int64, of the pictures in pixels.
        pixels: What their pixels show; None where the sorter does not read them.
        other: The faces of the other side; None where the sorter does not compare with them.
    """

    faces: Faces
    names: list[str]
    face_from_frame: Doubles
    sides: NDArray[np.int64]
    pixels: PixelMeasures | None = None
    other: SortFaces | None = None

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, slots=True)
class Sorting:
    """An order of N faces.

    Attributes:
        order: (N,) int64, every row once.
        value: (N,) float64, by row, what they were sorted by; NaN = there is no such number.
        group: (N,) int64, by row, a place in `groups`; -1 = in none.
        groups: What the groups are called, in the order in which they come.
        chosen: (N,) bool, by row: what a sorter that chooses takes. Others choose all.
    """

    order: NDArray[np.int64]
    value: Doubles
    group: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    groups: tuple[str, ...] = ()
    chosen: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))

    def __post_init__(self) -> None:
        count = len(self.order)
        if not len(self.group):
            object.__setattr__(self, "group", np.full(count, -1, np.int64))
        if not len(self.chosen):
            object.__setattr__(self, "chosen", np.ones(count, bool))

    @classmethod
    def by_value(cls, value: ArrayLike, *, descending: bool = False) -> Self:
        """The order by a number of each face, (N,); equal ones as they come, NaN last."""
        values = np.asarray(value, np.float64)
        keys = -values if descending else values
        # NaN sorts last in numpy.
        return cls(np.argsort(keys, kind="stable").astype(np.int64), values)

    @classmethod
    def by_order(cls, order: NDArray[np.int64], value: ArrayLike) -> Self:
        """An order of some of the rows; the others, whose value (N,) is made NaN, come last."""
        values = np.asarray(value, np.float64)
        is_in = np.zeros(len(values), bool)
        is_in[order] = True
        return cls(np.concatenate([order, np.flatnonzero(~is_in)]), np.where(is_in, values, np.nan))

    def with_groups(self, group: NDArray[np.int64], groups: tuple[str, ...]) -> Sorting:
        """The same, its rows in groups: the order is by group first, those in none last."""
        rank = np.where(group < 0, len(groups), group)
        order = self.order[np.argsort(rank[self.order], kind="stable")]
        return replace(self, order=order, group=group, groups=groups)

    def with_chosen(self, chosen: NDArray[np.bool_]) -> Sorting:
        """The same with what is chosen, (N,)."""
        return replace(self, chosen=chosen)

    def reversed(self) -> Sorting:
        """The other way round, groups among it; what has no value stays last where others have."""
        order = self.order[::-1]
        lacks = np.isnan(self.value)
        if not lacks.all():
            # Those without one keep their order.
            order = np.concatenate([order[~lacks[order]], self.order[lacks[self.order]]])
        turned = replace(self, order=order)
        if not self.groups:
            return turned
        group = np.where(self.group < 0, -1, len(self.groups) - 1 - self.group)
        return turned.with_groups(group, self.groups[::-1])

    def with_last(self, rows: NDArray[np.bool_]) -> Sorting:
        """The same, but those rows, (N,), are last, in no group, and not chosen."""
        if not rows.any():
            return self
        order = np.concatenate([self.order[~rows[self.order]], self.order[rows[self.order]]])
        return replace(
            self, order=order, group=np.where(rows, -1, self.group), chosen=self.chosen & ~rows
        )


Sort = Callable[[SortFaces], Sorting]


class Sorter(Part):
    """The options of one sorter; `build` makes it ready."""

    # What `Sorting.value` is, and in which unit, for the page: "yaw in degrees"; "" = nothing to
    # tell.
    value_told: ClassVar[str] = ""
    # Whether it needs `SortFaces.pixels`, `SortFaces.other`, who each face is (`Faces.identity`,
    # asked of the pictures where it is not known), and how far the lids are open (`Faces.lids`).
    reads_pixels: ClassVar[bool] = False
    reads_other: ClassVar[bool] = False
    reads_identity: ClassVar[bool] = False
    reads_eyes: ClassVar[bool] = False

    def needs_pixels(self) -> bool:
        """Whether it reads them with the settings that it has."""
        return self.reads_pixels

    def build(self) -> Sort:
        """The sorter as a function. It is never given a face that cannot be read.

        What it gives raises BadProject where the faces do not know what they are to be sorted by.
        """
        raise NotImplementedError


def measured(faces: SortFaces) -> PixelMeasures:
    """What the pixels of the faces show, for a sorter that reads them."""
    assert faces.pixels is not None
    return faces.pixels


sorters: Registry[Sorter] = Registry("sorters", __name__, "sorter")
