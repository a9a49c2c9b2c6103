"""`sort`: the faces of a side in an order, and in groups, to look through and to choose from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np

from understudy.errors import NoFaces
from understudy.io.faceset.faceset import Faceset
from understudy.io.faceset.order import FaceOrder, OrderedFace, order_path, save_order
from understudy.options import Options
from understudy.parts.sorters import SortFaces, Sorting, sorters
from understudy.registry import NameIn, with_parts
from understudy.stages.curate.faceset_notes import faceset_notes
from understudy.stages.events import Finished, Saved, Stage
from understudy.stages.jobs import verb
from understudy.stages.project import Project
from understudy.types import Side


@with_parts(sorters)
class SortOptions(Options):
    """What `sort` asks. The settings of a sorter stand under its name."""


@verb
def sort(
    show: Path, side: Side, by: Annotated[str, NameIn("sorters")], *, options: SortOptions
) -> Stage:
    """Bring the faces of a side into an order, and into groups; no picture is renamed or moved.

    side: whose faces. by: the sorter. The order is kept in order.json beside the faces. Raises
    NoFaces when there are none.
    """
    project = Project.load(show)
    options = project.options("sort", options)
    with project.lock(side):
        faceset = Faceset(project.faces(side))
        if not len(faceset):
            raise NoFaces(
                f"{faceset.folder}: no faces. Run: understudy extract {project.folder} {side}."
            )
        yield from faceset_notes(faceset)
        sorter = sorters.configured(by, options)
        sorting = sorter.build()(sort_faces(faceset))
        order = face_order(by, sorter.set_values(), faceset, sorting)
        save_order(faceset.folder, order)
    yield Saved(what="order", path=order_path(faceset.folder))
    yield Finished(stage="sort", summary={"faces": len(faceset), "by": by})


def sort_faces(faceset: Faceset) -> SortFaces:
    """What a sorter is told of a faceset."""
    return SortFaces(
        faceset.faces,
        [path.name for path in faceset.paths],
        faceset.face_from_frame,
        faceset.sides,
    )


def face_order(
    by: str, settings: dict[str, object], faceset: Faceset, sorting: Sorting
) -> FaceOrder:
    """The order as it is kept."""
    names = [path.name for path in faceset.paths]
    return FaceOrder(
        by=by,
        options=settings,
        faces=tuple(
            OrderedFace(
                name=names[row],
                value=None if np.isnan(sorting.value[row]) else float(sorting.value[row]),
                group="" if sorting.group[row] < 0 else sorting.groups[sorting.group[row]],
                is_chosen=bool(sorting.chosen[row]),
            )
            for row in sorting.order.tolist()
        ),
    )
