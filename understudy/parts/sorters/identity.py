"""Sorter by likeness to the main person."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from understudy.core.face.likeness import tell_people
from understudy.errors import BadProject
from understudy.io.installation import install_extra
from understudy.parts.sorters import Sort, Sorter, SortFaces, Sorting, sorters


@sorters.register("identity")
class Identity(Sorter):
    """Most like the main person first, who is seen most; other people last, each in a group.

    Chooses the main person.
    """

    value_told: ClassVar[str] = "distance from the main person's mean identity, 0 = the same"
    reads_identity: ClassVar[bool] = True

    def build(self) -> Sort:
        """The sorter as a function."""

        def sort(faces: SortFaces) -> Sorting:
            identity = faces.faces.identity
            if identity is None:
                if not len(faces):
                    return Sorting.by_value(np.zeros(0))
                raise BadProject(
                    "sort by identity: these faces do not say whose they are, and nothing here can"
                    f" tell. Run: {install_extra('dlib')}, and sort again."
                )
            found = tell_people(identity)
            people = int(found.person.max(initial=0)) + 1
            names = ("main person", *(f"person {number + 1}" for number in range(1, people)))
            group = np.where((found.person < 0) & np.isfinite(found.far), people, found.person)
            sorting = Sorting.by_value(found.far).with_groups(group, (*names, "like nobody"))
            return sorting.with_chosen(found.person == 0)

        return sort
