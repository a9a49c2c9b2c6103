"""`faces undo` takes back changes of a faceset, the last first, and lists them."""

from __future__ import annotations

import time
from pathlib import Path

from understudy.errors import BadProject
from understudy.io import atomic
from understudy.io.faceset import picture_files
from understudy.io.faceset.journal import Journal, Step
from understudy.io.faceset.pack import unpack_command
from understudy.options import Options, option
from understudy.printable import pluralize
from understudy.stages.curate.sorted_page import renew_page
from understudy.stages.events import Finished, Note, Stage
from understudy.stages.jobs import verb
from understudy.stages.project import Project, notes_on_step
from understudy.types import Side


class FacesUndoOptions(Options):
    """What `faces undo` asks."""

    steps: int = option(1, "So many steps, the last first", low=1, usual=True)
    list: bool = option(False, "Only list the steps that can be taken back", usual=True)


@verb
def faces_undo(show: Path, side: Side, *, options: FacesUndoOptions) -> Stage:
    """Take back the last change of a side's faces: files come back from faces_trash, names too.

    side: whose faces. What was dropped, sorted into other names, imported, cropped or converted
    anew is taken back, step by step, the last first; so is what a killed run left half done.
    """
    project = Project.load(show)
    options = project.options("faces_undo", options)
    journal = Journal(project.folder / side)
    if options.list:
        steps = journal.steps()
        if not steps:
            yield Note(text=f"{journal.side}: no changes that could be taken back.")
        summary = {str(step.number): _told(step) for step in reversed(steps)}
        yield Finished(stage="faces_undo", summary=summary)
        return
    taken_back, begun = 0, journal.unfinished()
    with project.lock(side) as notes:
        yield from notes
        if begun is not None and begun.is_leaving:
            # A run that was killed while it took this step back: the lock has finished that.
            taken_back = 1
        while taken_back < options.steps:
            _require_unpacked(project.faces(side), journal)
            if (step := journal.undo()) is None:
                break
            taken_back += 1
            yield Note(text=f"taken back: {step.what}")
            yield from notes_on_step(journal, step)
        renew_page(project.faces(side))
    if taken_back < options.steps:
        yield Note(text=f"{journal.side}: no more changes that could be taken back.")
    summary = {"taken back": str(taken_back), "left to undo": str(len(journal))}
    yield Finished(stage="faces_undo", summary=summary)


def _require_unpacked(folder: Path, journal: Journal) -> None:
    """Raise BadProject where pictures that the last step moved are in the pack by now."""
    pack = picture_files.open_pack(folder)
    step = None if pack is None else journal.last()
    if pack is None or step is None:
        return
    paths = {folder.parent / path for move in step.moves for path in move}
    inside = [path for path in paths if path.parent == folder and path.name in pack.pictures]
    if packed := sum(not atomic.is_there(path) for path in inside):
        raise BadProject(
            f"{pack.path}: {packed} of the pictures that this step moved ({step.what}) are in"
            f" this pack by now. Run first: {unpack_command(pack.path)}"
        )


def _told(step: Step) -> str:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(step.when))
    state = "" if step.is_done else " (cut short)"
    return f"{when}, {pluralize(len(step.moves), 'file')}: {step.what}{state}"
