"""The clips of a side, each with the folder of what is known of it."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from understudy.errors import BadMedia, BadProject
from understudy.io.faceset.faceset import Faceset
from understudy.io.footage.base import explain_unreadable
from understudy.io.footage.fingerprint import FootageFingerprint, digest_files
from understudy.stages.events import Note
from understudy.stages.extract.clip import CLIPS, Clip, plain_name
from understudy.stages.extract.record import ExtractRecord
from understudy.stages.project import Project
from understudy.types import Side


def find_clips(project: Project, side: Side) -> list[Clip]:
    """The clips of a side, in the order of the project file.

    What is known of a clip is found again by its content, so a clip may be renamed or moved. A
    footage that is the only one has it in the side's own folder, each of several in a folder of its
    own, `clips/NAME`; there it stays when clips come and go.

    Raises BadProject where no footage is set, or two clips are the same.
    """
    paths, home = project.footages(side), project.faces(side).parent
    states = _states(home)
    if len(states) == len(paths) == 1:
        return [Clip(paths[0], project.faces(side), home)]
    records = {state: ExtractRecord.load(state) for state in states}
    known = {
        (record.source.bytes, getattr(record.source, "sha256", "")): state
        for state, record in reversed(records.items())
        if record is not None
    }
    found: dict[Path, Path] = {}
    digests: dict[tuple[int, str], Path] = {}
    for path in paths:
        if (digest := _digest(project, side, path)) is None:
            continue
        if digest in digests:
            raise BadProject(
                f"{path}: the same as {digests[digest]}. Take one of them out of {side}'s clips."
            )
        digests[digest] = path
        # What former versions wrote down of a footage tells no more than how large it is.
        if (state := known.get(digest) or known.get((digest[0], ""))) is not None:
            found[path] = state
    for path in paths:
        if path not in found:
            found[path] = home if len(paths) == 1 else _free_state(home, path, found)
    return [Clip(path, project.faces(side), found[path], len(paths) == 1) for path in paths]


def clip_of(project: Project, side: Side, footage: Path) -> Clip:
    """The clip of a side that lies at that path. Raises BadProject as `find_clips`."""
    return next(each for each in find_clips(project, side) if each.footage == footage)


def former_clips(project: Project, side: Side, listed: Collection[Clip]) -> list[Clip]:
    """The clips that were taken out: something is known of each, but it is not listed any more.

    Where none of their faces is left, nobody knows the names of their files.
    """
    faceset, found = Faceset(project.faces(side), tolerant=True), list[Clip]()
    names = {each.key: each.name for each in faceset.footages} if faceset.is_there else {}
    taken = {clip.state for clip in listed}
    for state in _states(project.faces(side).parent):
        record = None if state in taken else ExtractRecord.load(state)
        if record is not None and isinstance(record.source, FootageFingerprint):
            name = names.get(record.source.key, state.name)
            found.append(Clip(Path(name), faceset.folder, state, is_only=False))
    return found


def rows_of_clip(clip: Clip, faceset: Faceset) -> NDArray[np.bool_]:
    """(N,) which of the side's faces were extracted from a clip, by its record."""
    source = getattr(ExtractRecord.load(clip.state), "source", None)
    return clip.own_rows(faceset, *([source] if isinstance(source, FootageFingerprint) else []))


def notes_on_former(project: Project, side: Side) -> Iterator[Note]:
    """Which faces are of clips that were taken out of the list by hand."""
    faceset, listed = Faceset(project.faces(side), tolerant=True), find_clips(project, side)
    for clip in former_clips(project, side, listed):
        if count := int(rows_of_clip(clip, faceset).sum()):
            yield Note(
                text=(
                    f"{side}: {count} faces are of {clip.footage.name}, which is none of the clips"
                    f" any more. To take them away: understudy clips remove {project.folder}"
                    f" {clip.footage.name}"
                )
            )


def _states(home: Path) -> list[Path]:
    """The folders in which something may be known of a clip: the side's own, and one a clip."""
    return [home, *sorted(each for each in (home / CLIPS).glob("*") if each.is_dir())]


def _digest(project: Project, side: Side, path: Path) -> tuple[int, str] | None:
    """What the files of a footage hold; None where it cannot be read."""
    try:
        with explain_unreadable(path):
            return digest_files(project.footage_files(side, path))
    except BadMedia:
        return None


def _free_state(home: Path, footage: Path, taken: Mapping[Path, Path]) -> Path:
    """The folder for a clip by the name of its file; taken: those of the others."""
    used = {(plain_name(path) if state == home else state.name) for path, state in taken.items()}
    used = {name.casefold() for name in used}
    stem = plain_name(footage)
    names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
    return home / CLIPS / next(name for name in names if name.casefold() not in used)
