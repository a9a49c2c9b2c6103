"""File names of faces: by their place in an order, or by frame again (`faces recover-names`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from understudy.io import atomic
from understudy.io.faceset.faceset import Faceset
from understudy.io.faceset.journal import Journal, Move, Step
from understudy.io.footage.fingerprint import FootageFingerprint
from understudy.options import Options
from understudy.printable import pluralize
from understudy.stages.curate.faceset_notes import faceset_notes, reading_events
from understudy.stages.curate.sorted_page import renew_page
from understudy.stages.events import Finished, Note, Stage
from understudy.stages.extract.clips import find_clips
from understudy.stages.extract.record import ExtractRecord
from understudy.stages.jobs import verb
from understudy.stages.project import Project
from understudy.types import Side

# As many digits as DeepFaceLab's sort gives.
_DIGITS = 5


class FacesRecoverNamesOptions(Options):
    """What `faces recover-names` asks: nothing besides its arguments."""


@verb
def faces_recover_names(show: Path, side: Side, *, options: FacesRecoverNamesOptions) -> Stage:
    """Name the face pictures of a side by their frames again: <frame>_<number>, as `extract` does.

    side: whose faces. What the frame is stands inside each picture, whatever it is called. `faces
    undo` takes the renames back.
    """
    project = Project.load(show)
    project.options("faces_recover_names", options)
    with project.lock(side) as notes:
        yield from notes
        faceset = Faceset(project.faces(side), tolerant=True)
        yield from reading_events(faceset)
        faceset.require_loose(np.ones(len(faceset), bool))
        yield from faceset_notes(faceset)
        renamed = name_by_frame(faceset, _prefixes(project, side, faceset))
        renew_page(faceset.folder)
    if renamed is None:
        yield Note(text=f"{faceset.folder}: every face has the name of its frame already.")
    yield Finished(
        stage="faces_recover_names",
        summary={"faces": len(faceset), "renamed": 0 if renamed is None else len(renamed.moves)},
    )


def name_by_place(faceset: Faceset, rows: NDArray[np.int64], by: str) -> Step | None:
    """Rename the pictures by their place in an order: 00001.jpg, …; None where all are so.

    rows: (N,) of the faceset, in that order.
    """
    digits = max(_DIGITS, len(str(len(rows))))
    stems = {row: f"{at:0{digits}d}" for at, row in enumerate(rows.tolist(), 1)}
    return _rename(faceset, [stems[row] for row in range(len(faceset))], f"renamed by {by}")


def name_by_frame(faceset: Faceset, prefixes: Sequence[str]) -> Step | None:
    """Rename the pictures by their frames, in the order of their names; None where all are so.

    prefixes: by number of the footage, what the names begin with.
    """
    counts: dict[str, int] = {}
    stems = []
    faces = faceset.faces
    for frame, footage in zip(faces.frame.tolist(), faces.footage.tolist(), strict=True):
        stem = f"{prefixes[footage] if footage >= 0 else ''}{frame:06d}"
        counts[stem] = counts.get(stem, -1) + 1
        stems.append(f"{stem}_{counts[stem]}")
    return _rename(faceset, stems, "renamed by frame")


def _prefixes(project: Project, side: Side, faceset: Faceset) -> list[str]:
    """What the names of each footage's pictures begin with, as `extract` gives them; "" = nothing.

    Raises BadProject where the show names no footage.
    """
    clips = find_clips(project, side)
    if not any(clip.prefix for clip in clips):
        return [""] * len(faceset.footages)
    prefix_of: dict[str, str] = {clip.footage.name: clip.prefix for clip in clips}
    for clip in clips:
        record = ExtractRecord.load(clip.state)
        if record is not None and isinstance(record.source, FootageFingerprint):
            prefix_of[record.source.key] = clip.prefix
    return [prefix_of.get(each.key, prefix_of.get(each.name, "")) for each in faceset.footages]


def _rename(faceset: Faceset, stems: list[str], what: str) -> Step | None:
    """Give each row's picture its stem, with a number behind where that is taken: so for copies."""
    folder, names, copies = faceset.folder, faceset.names, faceset.copies
    moves, goals = list[Move](), set[str]()
    moving = {name for name in names} | {each.name for more in copies.values() for each in more}
    for name, stem in zip(names, stems, strict=True):
        for old in (name, *(each.name for each in copies.get(folder / name, ()))):
            goal = _free_name(folder, f"{stem}{PurePosixPath(old).suffix}", goals, moving)
            goals.add(goal)
            if goal != old:
                moves.append((f"{folder.name}/{old}", f"{folder.name}/{goal}"))
    step = Journal(folder.parent).carry_out(f"{what}: {pluralize(len(moves), 'picture')}", moves)
    faceset.rescan()
    return step


def _free_name(folder: Path, name: str, taken: set[str], moving: Iterable[str]) -> str:
    """The name, or with the first number that no picture gets, and no file has that stays."""
    number, free = 1, name
    while free in taken or (free not in moving and atomic.is_there(folder / free)):
        number += 1
        free = atomic.numbered(Path(name), number).name
    return free
