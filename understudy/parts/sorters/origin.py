"""Sorters by what is known from the frame: original, one-face, source-size, upscale, score."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from understudy.core.face.traits import measure_head_width
from understudy.options import option
from understudy.parts.sorters import Sort, Sorter, SortFaces, Sorting, sorters
from understudy.types import Doubles


@sorters.register("original")
class Original(Sorter):
    """As in the footage: by clip and frame, the largest face of a frame first."""

    value_told: ClassVar[str] = "number of the frame"

    def build(self) -> Sort:
        """The sorter as a function."""

        def sort(faces: SortFaces) -> Sorting:
            table = faces.faces
            # Faces of which nobody knows the footage come last.
            footage = np.where(table.footage < 0, np.iinfo(np.int64).max, table.footage)
            order = np.lexsort((-_box_areas(faces), table.frame, footage))
            return Sorting(order.astype(np.int64), table.frame.astype(np.float64))

        return sort


@sorters.register("one-face")
class OneFace(Sorter):
    """Frames with one face first, then those with two, and so on. Chooses one face a frame."""

    value_told: ClassVar[str] = "how many faces its frame shows"

    keep: Literal["largest", "alone"] = option(
        "largest",
        "What is chosen: the largest face of each frame, or only faces that are alone in theirs",
    )

    def build(self) -> Sort:
        """The sorter as a function."""

        def sort(faces: SortFaces) -> Sorting:
            moments = faces.faces.moments
            known = moments >= 0
            count = np.full(len(faces), np.nan)
            count[known] = np.bincount(moments[known])[moments[known]]
            # The first of each frame in this order is its largest.
            by_size = np.lexsort((-_box_areas(faces), moments))
            is_first = np.ones(len(faces), bool)
            is_first[by_size[1:]] = moments[by_size[1:]] != moments[by_size[:-1]]
            group = np.where(count == 1, 0, np.where(is_first, 1, 2))
            group[~known] = -1
            chosen = ~known | (group <= (1 if self.keep == "largest" else 0))
            sorting = Sorting.by_value(count).with_groups(
                group, ("alone in the frame", "largest of several", "others of the frame")
            )
            return sorting.with_chosen(chosen)

        return sort


@sorters.register("source-size")
class SourceSize(Sorter):
    """Largest in the footage first, by the distance of the eyes' outer corners from the front."""

    value_told: ClassVar[str] = "pixels of the frame between the outer corners of the eyes"

    def build(self) -> Sort:
        """The sorter as a function."""
        return lambda faces: Sorting.by_value(
            measure_head_width(faces.faces.landmarks), descending=True
        )


@sorters.register("upscale")
class Upscale(Sorter):
    """How many times its picture enlarges the face: those that it shrinks first."""

    value_told: ClassVar[str] = "how many times its picture enlarges the face"

    def build(self) -> Sort:
        """The sorter as a function."""

        def sort(faces: SortFaces) -> Sorting:
            (a, b), (c, d) = faces.face_from_frame[:, :, :2].transpose(1, 2, 0)
            factor = np.sqrt(np.abs(a * d - b * c))
            group = np.searchsorted([1.0, 2.0], factor)
            group[np.isnan(factor)] = -1
            return Sorting.by_value(factor).with_groups(
                group, ("not enlarged", "enlarged up to 2 times", "enlarged more than 2 times")
            )

        return sort


@sorters.register("score")
class Score(Sorter):
    """Found with the most certainty first; those that nothing found, carried over gaps, last."""

    value_told: ClassVar[str] = "certainty with which it was found, from 0 to 1"

    def build(self) -> Sort:
        """The sorter as a function."""
        return lambda faces: Sorting.by_value(faces.faces.score, descending=True)


def _box_areas(faces: SortFaces) -> Doubles:
    box = faces.faces.box.astype(np.float64)
    return np.asarray((box[:, 2:] - box[:, :2]).prod(axis=1))
