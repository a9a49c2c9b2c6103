"""`clips`: the footages of a show; `clips add` and `clips remove` change those of src."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from understudy.errors import BadOption
from understudy.io.faceset.faceset import Faceset
from understudy.options import Options, option
from understudy.printable import name_some
from understudy.stages.events import Finished, Note, Saved, Stage
from understudy.stages.extract.clip import Clip
from understudy.stages.extract.clips import (
    find_clips,
    former_clips,
    notes_on_former,
    rows_of_clip,
)
from understudy.stages.extract.record import ExtractRecord, keep_removed
from understudy.stages.jobs import verb
from understudy.stages.new import describe_clips
from understudy.stages.project import PROJECT_FILE, Project
from understudy.types import Side


class ClipsOptions(Options):
    """What `clips` and `clips add` ask: nothing besides their arguments."""


class ClipsRemoveOptions(Options):
    """What `clips remove` asks."""

    keep_faces: bool = option(
        False, "Leave the clip's faces in the faceset: train goes on learning them", usual=True
    )


@verb
def clips(show: Path, options: ClipsOptions) -> Stage:
    """List the footages of a show, with the faces that each has given; src may have several."""
    project = Project.load(show)
    summary: dict[str, dict[str, Any]] = {}
    sides: tuple[Side, ...] = ("src", "dst")
    for side in sides:
        if getattr(project.file, side) is None:
            continue
        faceset = _read_faces(project, side)
        for clip in find_clips(project, side):
            record = ExtractRecord.load(clip.state)
            count = int(rows_of_clip(clip, faceset).sum()) if faceset is not None else 0
            summary[clip.label] = {"faces": count, "footage": str(clip.footage)}
            if not clip.footage.exists():
                yield Note(text=f"{clip.label}: {clip.footage} is not there.")
            elif record is None or not record.is_complete:
                yield Note(
                    text=(
                        f"{clip.label}: not extracted {'yet' if record is None else 'to its end'}."
                        f" Run: understudy extract {project.folder} {side}"
                    )
                )
        if faceset is not None:
            yield from notes_on_former(project, side)
    yield Finished(stage="clips", summary=summary)


@verb
def clips_add(show: Path, footage: list[Path], options: ClipsOptions) -> Stage:
    """Add footage of the same person to the src of a show; what is there stays as it is.

    footage: videos, folders of pictures, or pictures. Its faces come with the next extract.
    """
    project = Project.load(show)
    with project.lock("project"):
        project = Project.load(show)
        there = project.footages("src") if project.file.src is not None else []
        if known := [each for each in footage if each.absolute() in there]:
            raise BadOption(f"{known[0]}: is a clip of src already.")
        grown = project.with_footage("src", *there, *footage)
        yield from describe_clips(grown, [each.absolute() for each in footage])
        grown.save()
    yield Saved(what="project", path=project.folder / PROJECT_FILE)
    yield Note(text=f"To find the faces in it: understudy extract {project.folder} src")
    yield Finished(stage="clips_add", summary={"clips": len(there) + len(footage)})


@verb
def clips_remove(show: Path, clip: str, options: ClipsRemoveOptions) -> Stage:
    """Take a clip out of the src of a show, and its faces to faces_trash; no footage is deleted.

    clip: as `clips` names it, or its file. What was found in it is kept: added again, its faces are
    cut anew without looking for them, and what was removed by hand stays removed.
    """
    project = Project.load(show)
    with project.lock("src") as notes, project.lock("project"):
        yield from notes
        project = Project.load(show)
        found = _find_clip(project, clip)
        rest = [each for each in project.footages("src") if each != found.footage]
        if not rest:
            raise BadOption(f"{clip}: the only clip of src. Add another first: clips add.")
        faceset = _read_faces(project, "src")
        rows = np.zeros(0, bool) if faceset is None else rows_of_clip(found, faceset)
        moved = 0 if options.keep_faces else int(rows.sum())
        if faceset is not None and moved:
            faceset.require_loose(rows)
            keep_removed(found)
        project.with_footage("src", *rest).save()
        yield Saved(what="project", path=project.folder / PROJECT_FILE)
        if faceset is not None and moved:
            faceset.trash(rows, f"clip {found.footage.name} taken out: {moved} faces")
    if moved:
        yield Note(text=f"{moved} faces are in faces_trash. To have them back: faces undo.")
    yield Finished(stage="clips_remove", summary={"clips": len(rest), "faces_removed": moved})


def _find_clip(project: Project, called: str) -> Clip:
    """The clip of src that is called so, even where it is no longer listed. Raises BadOption."""
    listed = find_clips(project, "src")
    for clip in [*listed, *former_clips(project, "src", listed)]:
        names = {clip.label, clip.label.partition("/")[2], clip.footage.name, str(clip.footage)}
        if called in names or Path(called).absolute() == clip.footage:
            return clip
    raise BadOption(
        f"{called}: no clip of src. There are {name_some([each.label for each in listed])}."
    )


def _read_faces(project: Project, side: Side) -> Faceset | None:
    """A side's faces; None where there are none yet."""
    faceset = Faceset(project.faces(side), tolerant=True)
    return faceset if faceset.is_there else None
