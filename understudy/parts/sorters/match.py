"""Sorter by the other side's poses: what of this set the other one asks for."""

from __future__ import annotations

from typing import ClassVar, Final

import cv2
import numpy as np

from understudy.errors import BadProject
from understudy.options import option
from understudy.parts.sorters import Sort, Sorter, SortFaces, Sorting, sorters
from understudy.types import Doubles, Floats


@sorters.register("match")
class Match(Sorter):
    """Faces that look where faces of the other side look, too, first. Chooses those."""

    value_told: ClassVar[str] = "degrees to the nearest pose of the other side"
    reads_other: ClassVar[bool] = True

    within: float = option(
        8.0, "How near a pose must come to one of the other side", low=1, high=90, unit="degrees"
    )
    mirror: bool = option(
        False, "A face also counts as its mirror image, as when training flips faces"
    )

    def build(self) -> Sort:
        """The sorter as a function."""

        def sort(faces: SortFaces) -> Sorting:
            if faces.other is None or not len(faces.other):
                raise BadProject(
                    "sort by match compares with the faces of the other side, and there are none."
                    " Run: understudy extract SHOW."
                )
            degrees = _distances(faces.faces.pose, faces.other.faces.pose, self.mirror)
            group = np.where(degrees <= self.within, 0, 1)
            group[np.isnan(degrees)] = -1
            names = ("the other side looks there too", "the other side never looks there")
            return Sorting.by_value(degrees).with_groups(group, names).with_chosen(group == 0)

        return sort


def _distances(pose: Floats, other: Floats, mirror: bool) -> Doubles:
    """(N,) how far each pose is from the nearest of the other ones, in degrees of pitch and yaw."""
    there = _on_map(np.concatenate([other, other * (1, -1, 1)]) if mirror else other)
    free = np.ones((_SIDE, _SIDE), np.uint8)
    known = there[np.isfinite(there).all(axis=1)].astype(np.int64)
    if not len(known):
        return np.full(len(pose), np.nan)
    free[known[:, 0], known[:, 1]] = 0
    far = cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) / _STEPS
    here = _on_map(pose)
    found = np.isfinite(here).all(axis=1)
    place = here[found].astype(np.int64)
    result = np.full(len(pose), np.nan)
    result[found] = far[place[:, 0], place[:, 1]]
    return result


def _on_map(pose: Floats | Doubles) -> Doubles:
    """(N, 2) row and column of each pose on a map of pitch and yaw; whole numbers or NaN."""
    degrees = np.degrees(np.asarray(pose, np.float64)[:, :2])
    return np.asarray(np.rint((np.clip(degrees, -90, 90) + 90) * _STEPS))


# Steps of the map in a degree, and its side.
_STEPS: Final = 4
_SIDE: Final = 180 * _STEPS + 1
