"""`faces groups`, `faces drop`, `faces trash`: what a sort found, and faces out of the way."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from understudy.errors import BadOption, BadProject
from understudy.io.faceset.faceset import Faceset
from understudy.io.faceset.order import FaceOrder, load_order
from understudy.io.faceset.pack import pack_path
from understudy.options import Options, option
from understudy.printable import name_some, pluralize, quoted
from understudy.stages.curate.faceset_notes import faceset_notes, reading_events
from understudy.stages.curate.sorted_page import renew_page
from understudy.stages.events import Event, Finished, Note, Order, Stage, Warned
from understudy.stages.jobs import verb
from understudy.stages.project import Project
from understudy.types import Side

# What stands for faces that are in no group of their own.
UNCHOSEN, UNREADABLE, NONE = "unchosen", "unreadable", "none"
_RANGE = re.compile(r"(\d+)(-(\d*))?")


class FacesGroupsOptions(Options):
    """What `faces groups` asks: nothing besides its arguments."""


class FacesDropOptions(Options):
    """What `faces drop` asks."""

    keep: bool = option(False, "Keep these groups, and drop all others", usual=True)


class FacesTrashOptions(Options):
    """What `faces trash` asks."""

    keep: bool = option(False, "Keep these faces, and move all others away", usual=True)


@dataclass(frozen=True, slots=True)
class _Sorted:
    """The faces that are there, in the order of the last sort.

    faceset: with those that came since. names: (M,) of the files that the sort knew and that are
    there, in order. places: (M,) from 1, as the sort numbered them. groups: the group of each.
    """

    faceset: Faceset
    order: FaceOrder
    names: list[str]
    places: NDArray[np.int64]
    groups: list[str]

    @classmethod
    def load(cls, project: Project, side: Side) -> Generator[Event, Order | None, _Sorted]:
        """Raises BadProject where the faces were never sorted."""
        faceset = Faceset(project.faces(side), tolerant=True)
        yield from reading_events(faceset)
        order = load_order(faceset.folder)
        if order is None:
            raise BadProject(
                f"{faceset.folder}: never sorted, so there are no groups. Run: understudy sort"
                f" {project.folder} {side} final."
            )
        there = _files(faceset)
        known = [(at, face) for at, face in enumerate(order.faces, 1) if face.name in there]
        return cls(
            faceset,
            order,
            [face.name for _, face in known],
            np.array([at for at, _ in known], np.int64),
            [UNREADABLE if face.reason else face.group for _, face in known],
        )

    @property
    def listed(self) -> list[str]:
        """The groups in their order, numbered from 1; one whose faces are gone keeps its number."""
        return list(dict.fromkeys(face.group for face in self.order.faces if face.group))

    def is_in(self, group: str) -> NDArray[np.bool_]:
        """(M,) which faces a word names; a number is of `listed`."""
        groups = np.array(self.groups, object)
        if group in self.listed:
            return np.asarray(groups == group, bool)
        if group == UNREADABLE:
            return np.asarray(groups == UNREADABLE, bool)
        if group == NONE:
            return np.asarray(groups == "", bool)
        if group == UNCHOSEN:
            unchosen = {face.name for face in self.order.faces if not face.is_chosen}
            return np.array([name in unchosen for name in self.names], bool)
        if self.listed and (numbers := _range(group, len(self.listed))) is not None:
            return np.isin(groups, self.listed[numbers[0] - 1 : numbers[1]])
        raise BadOption(
            f"{quoted(group)}: no group of the last sort, by {self.order.by}."
            f" {_told_groups(self.listed)}"
        )


@verb
def faces_groups(show: Path, side: Side, *, options: FacesGroupsOptions) -> Stage:
    """List the groups into which the faces of a side were last sorted, with their counts.

    side: whose faces. Raises BadProject where they were never sorted.
    """
    project = Project.load(show)
    project.options("faces_groups", options)
    known = yield from _Sorted.load(project, side)
    yield Note(
        text=f"sorted by {known.order.by}, {pluralize(len(known.names), 'face')} that are there"
    )
    summary = {
        f"{at} {name}": int(known.is_in(name).sum()) for at, name in enumerate(known.listed, 1)
    }
    for word in (NONE, UNCHOSEN, UNREADABLE):
        if word not in known.listed and (count := int(known.is_in(word).sum())):
            summary[word] = count
    if came := len(_files(known.faceset) - set(known.names)):
        summary["came since"] = came
    yield Finished(stage="faces_groups", summary={"groups": summary})


@verb
def faces_drop(show: Path, side: Side, group: list[str], *, options: FacesDropOptions) -> Stage:
    """Move whole groups of the last sort into faces_trash; `faces undo` brings them back.

    side: whose faces. group: names or numbers of groups, ranges such as 3-7, or "unchosen" (all
    that the sorter did not choose), "unreadable", "none" (in no group). Raises BadProject where
    they were never sorted.
    """
    project = Project.load(show)
    options = project.options("faces_drop", options)
    with project.lock(side) as notes:
        yield from notes
        known = yield from _Sorted.load(project, side)
        named = np.logical_or.reduce([known.is_in(each) for each in group])
        unwanted = ~named if options.keep else named
        done = "kept only" if options.keep else "dropped"
        yield from _put_away(
            "faces_drop",
            project,
            known.faceset,
            [name for name, each in zip(known.names, unwanted.tolist(), strict=True) if each],
            f"{done} {name_some(group)} by {known.order.by}",
        )


@verb
def faces_trash(show: Path, side: Side, face: list[str], *, options: FacesTrashOptions) -> Stage:
    """Move faces of a side into faces_trash; `faces undo` brings them back.

    side: whose faces. face: names of files, with * for any letters; or places in the order of the
    last sort, as its page numbers them: 12, 100-200, 300-. Raises BadOption where nothing fits.
    """
    project = Project.load(show)
    options = project.options("faces_trash", options)
    with project.lock(side) as notes:
        yield from notes
        faceset = Faceset(project.faces(side), tolerant=True)
        yield from reading_events(faceset)
        order = load_order(faceset.folder)
        files = _files(faceset)
        places = faceset.names if order is None else [each.name for each in order.faces]
        named = set[str]().union(*(_named(each, places, files, faceset) for each in face))
        unwanted = files - named if options.keep else named
        done = "kept only" if options.keep else "moved away"
        what = f"{done} {name_some(face)}"
        yield from _put_away("faces_trash", project, faceset, sorted(unwanted), what)


def _put_away(
    stage: str, project: Project, faceset: Faceset, names: Sequence[str], what: str
) -> Stage:
    """Move files to the trash in one step, and tell of it."""
    side, chosen = faceset.folder.parent.name, set(names)
    yield from faceset_notes(faceset)
    mask = np.array([name in chosen for name in faceset.names], bool)
    others = sorted(chosen.difference(faceset.names))
    moved = faceset.trash(mask, what, others)
    renew_page(faceset.folder)
    if not moved:
        yield Note(text="nothing to move: there are no such faces.")
    else:
        yield Note(
            text=(
                f"moved to {faceset.folder.name}_trash: {pluralize(len(moved), 'file')}."
                f" To have them back: understudy faces undo {project.folder} {side}"
            )
        )
    if moved and not len(faceset):
        yield Warned(text=f"{faceset.folder}: no face is left.")
    yield Finished(stage=stage, summary={"moved": len(moved), "faces": len(faceset)})


def _files(faceset: Faceset) -> set[str]:
    """The names of all that is a face picture, or looks like one."""
    return set(faceset.names).union(faceset.unreadable) - {pack_path(faceset.folder).name}


def _named(pattern: str, places: Sequence[str], files: set[str], faceset: Faceset) -> set[str]:
    """The files that a pattern or a range of places names. Raises BadOption where none does."""
    if pattern in files:
        return {pattern}
    if (numbers := _range(pattern, len(places))) is not None:
        found = files.intersection(places[numbers[0] - 1 : numbers[1]])
    else:
        found = set(fnmatch.filter(files, pattern))
    if not found:
        raise BadOption(
            f"{quoted(pattern)}: no face of {faceset.folder} has that name or place. Places go"
            f" from 1 to {len(places)}; in names * stands for any letters."
        )
    return found


def _range(text: str, most: int) -> tuple[int, int] | None:
    """The first and the last of "5", "3-7" or "3-"; None for what is none of these.

    Raises BadOption where nothing can be there.
    """
    match = _RANGE.fullmatch(text)
    if match is None:
        return None
    first = int(match[1])
    last = first if match[2] is None else int(match[3] or most)
    if not 1 <= first <= last <= most:
        raise BadOption(f"{quoted(text)}: no such numbers. They go from 1 to {most}.")
    return first, last


def _told_groups(groups: Sequence[str]) -> str:
    words = f"{UNCHOSEN}, {UNREADABLE}, {NONE}"
    if not groups:
        return (
            f"It made no groups, so there are only: {words}. Faces go one by one, by their places:"
            " faces trash."
        )
    return (
        f"There are: {name_some([f'{at} {each}' for at, each in enumerate(groups, 1)])}; {words}."
    )
