"""`sort`: the faces of a side in an order, and in groups, to look through and to choose from."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from understudy.core.face.pixel_measures import PixelMeasures
from understudy.errors import NoFaces
from understudy.io.faceset.faceset import Faceset
from understudy.io.faceset.order import (
    FaceOrder,
    OrderedFace,
    load_order,
    order_path,
    save_order,
)
from understudy.io.faceset.pack import pack_path
from understudy.options import Options, option
from understudy.parts.sorters import Sorter, SortFaces, Sorting, sorters
from understudy.printable import name_some, pluralize
from understudy.registry import NameIn, with_parts
from understudy.stages.curate.choice import UNCHOSEN, UNREADABLE
from understudy.stages.curate.faceset_notes import faceset_notes, reading_events
from understudy.stages.curate.known_faces import know_eyes, know_people
from understudy.stages.curate.measuring import measure_pixels
from understudy.stages.curate.renaming import name_by_place
from understudy.stages.curate.sorted_page import write_page
from understudy.stages.events import Event, Finished, Note, Order, Saved, Stage, Warned
from understudy.stages.extract.known_footage import known_frame_sizes
from understudy.stages.jobs import verb
from understudy.stages.project import Project
from understudy.types import Side


@with_parts(sorters)
class SortOptions(Options):
    """What `sort` asks. The settings of a sorter stand under its name."""

    reverse: bool = option(False, "The other way round: the last first", usual=True)
    rename: bool = option(
        False,
        "Also name the files by their places, 00001 and so on; faces undo and"
        " faces recover-names give their names back",
        usual=True,
    )
    page: bool = option(True, "Write sorted.html, a page to look at, in that order and its groups")
    workers: int | None = option(
        None, "Processes that look at the pictures; not set = one a core", low=1
    )


@verb
def sort(
    show: Path, side: Side, by: Annotated[str, NameIn("sorters")], *, options: SortOptions
) -> Stage:
    """Bring the faces of a side into an order, and into groups, and show them on a page.

    side: whose faces. by: the sorter. The order is kept in order.json beside the faces; no picture
    is moved, nor renamed without --rename. Raises NoFaces when there are none.
    """
    project = Project.load(show)
    options = project.options("sort", options)
    sorter = sorters.configured(by, options)
    with project.lock(side) as notes:
        yield from notes
        faceset = yield from read_faces(project, side)
        if options.rename:
            faceset.require_loose(np.ones(len(faceset), bool))
        yield from faceset_notes(faceset)
        faces = yield from _look(project, side, faceset, sorter, options.workers)
        if faces is None:
            return
        reasons = {} if faces.pixels is None else faces.pixels.reasons
        sorting = sorter.build()(faces)
        if options.reverse:
            sorting = sorting.reversed()
        sorting = sorting.with_last(np.isin(np.arange(len(faceset)), list(reasons)))
        order = face_order(by, sorter.set_values(), faceset, sorting, reasons)
        save_order(faceset.folder, order)
        if options.rename and name_by_place(faceset, sorting.order, by):
            order = load_order(faceset.folder) or order
        yield Saved(what="order", path=order_path(faceset.folder))
        if options.page:
            yield from write_page(faceset.folder, order)
    yield from _tell(project, side, order)


def read_faces(project: Project, side: Side) -> Generator[Event, Order | None, Faceset]:
    """The faces of a side, with progress where that takes long; what is none is told of.

    Raises NoFaces when there are none.
    """
    faceset = Faceset(project.faces(side), tolerant=True)
    yield from reading_events(faceset)
    if not len(faceset):
        raise NoFaces(
            f"{faceset.folder}: no faces. Run: understudy extract {project.folder} {side}."
        )
    return faceset


def sort_faces(
    faceset: Faceset, pixels: PixelMeasures | None = None, other: SortFaces | None = None
) -> SortFaces:
    """What a sorter is told of a faceset."""
    return SortFaces(
        faceset.faces, faceset.names, faceset.face_from_frame, faceset.sides, pixels, other
    )


def face_order(
    by: str,
    settings: dict[str, object],
    faceset: Faceset,
    sorting: Sorting,
    reasons: Mapping[int, str],
) -> FaceOrder:
    """The order as it is kept. reasons: by row, why a picture could not be measured."""
    names, values = faceset.names, sorting.value.tolist()
    groups, chosen = sorting.group.tolist(), sorting.chosen.tolist()
    faces = [
        OrderedFace(
            name=names[row],
            # So short that a file of them is read fast.
            value=float(f"{values[row]:.7g}") if math.isfinite(values[row]) else None,
            group="" if groups[row] < 0 else sorting.groups[groups[row]],
            is_chosen=chosen[row],
            reason=reasons.get(row, ""),
        )
        for row in sorting.order.tolist()
    ]
    # What is no face at all comes last.
    faces += [
        OrderedFace(name=name, is_chosen=False, reason=reason)
        for name, reason in faceset.unreadable.items()
        if name != pack_path(faceset.folder).name
    ]
    return FaceOrder(by=by, options=settings, faces=tuple(faces))


def _look(
    project: Project, side: Side, faceset: Faceset, sorter: Sorter, workers: int | None
) -> Generator[Event, Order | None, SortFaces | None]:
    """What the sorter is told, pixels and the other side where it reads them; None when stopped."""
    pixels, other = None, None
    if sorter.reads_other:
        other = sort_faces((yield from read_faces(project, "dst" if side == "src" else "src")))
    if sorter.needs_pixels():
        sizes = known_frame_sizes(project, side, faceset)
        pixels = yield from measure_pixels(faceset, workers, sizes)
        if pixels is None:
            return None
    told = sort_faces(faceset, pixels, other)
    for is_wanted, ask in ((sorter.reads_identity, know_people), (sorter.reads_eyes, know_eyes)):
        if is_wanted:
            faces = yield from ask(faceset, workers)
            if faces is None:
                return None
            told = replace(told, faces=faces)
    return told


def _tell(project: Project, side: Side, order: FaceOrder) -> Iterator[Event]:
    """What became of the faces, and what one would type next."""
    readable = [face for face in order.faces if not face.reason]
    groups = list(dict.fromkeys(face.group for face in readable if face.group))
    chosen = sum(face.is_chosen for face in readable)
    folder = project.folder
    if unreadable := [face.name for face in order.faces if face.reason]:
        yield Warned(
            text=(
                f"cannot be read and come last, {pluralize(len(unreadable), 'file')}:"
                f" {name_some(unreadable)}. Why stands in order.json and on the page."
                f" To put them away: understudy faces drop {folder} {side} {UNREADABLE}"
            )
        )
    if chosen < len(readable):
        yield Note(
            text=(
                f"chosen: {chosen} of {pluralize(len(readable), 'face')}. To put the others away:"
                f" understudy faces drop {folder} {side} {UNCHOSEN}"
            )
        )
    if groups:
        yield Note(
            text=(
                f"{pluralize(len(groups), 'group')}. To list: understudy faces groups {folder}"
                f" {side}; to put one away: understudy faces drop {folder} {side} NUMBER"
            )
        )
    summary: dict[str, Any] = {"faces": len(readable), "by": order.by}
    if groups:
        summary["groups"] = len(groups)
    if chosen < len(readable):
        summary["chosen"] = chosen
    if unreadable:
        summary["unreadable"] = len(unreadable)
    yield Finished(stage="sort", summary=summary)
