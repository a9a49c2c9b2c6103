"""The clips of a side, each with the folder of what is known of it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection
from pathlib import Path

from understudy.errors import BadMedia, BadProject
from understudy.io.footage.base import explain_unreadable
from understudy.io.footage.fingerprint import digest_files
from understudy.stages.extract.clip import CLIPS, Clip
from understudy.stages.extract.record import ExtractRecord
from understudy.stages.project import Project
from understudy.types import Side

# Of a clip's folder, in bytes: names of pictures begin with it, and so do lines of progress.
_LONGEST = 24


def find_clips(project: Project, side: Side) -> list[Clip]:
    """The clips of a side, in the order of the project file.

    What is known of a clip is found again by its content, so a clip may be renamed or moved. A
    footage that is the only one has it in the side's own folder, each of several in a folder of its
    own, `clips/NAME`; there it stays when clips come and go.

    Raises BadProject where no footage is set, or two clips are the same.
    """
    paths, home = project.footages(side), project.faces(side).parent
    states = [home, *sorted(each for each in (home / CLIPS).glob("*") if each.is_dir())]
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
            found[path] = home if len(paths) == 1 else _free_state(home, path, found.values())
    return [Clip(path, project.faces(side), found[path], len(paths) == 1) for path in paths]


def clip_of(project: Project, side: Side, footage: Path) -> Clip:
    """The clip of a side that lies at that path. Raises BadProject as `find_clips`."""
    return next(each for each in find_clips(project, side) if each.footage == footage)


def _digest(project: Project, side: Side, path: Path) -> tuple[int, str] | None:
    """What the files of a footage hold; None where it cannot be read."""
    try:
        with explain_unreadable(path):
            return digest_files(project.footage_files(side, path))
    except BadMedia:
        return None


def _free_state(home: Path, footage: Path, taken: Collection[Path]) -> Path:
    """The folder for a clip by the name of its file, none of those that are taken."""
    used = {each.name.casefold() for each in taken if each.parent.name == CLIPS}
    stem = _plain_name(footage)
    names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
    return home / CLIPS / next(name for name in names if name.casefold() not in used)


def _plain_name(footage: Path) -> str:
    """The name of a footage as one that any file system takes, and no longer than is handy."""
    name = footage.name if footage.is_dir() else footage.stem
    plain = re.sub(r"(?:[^\w.]|_)+", "-", name).strip("-.")
    return plain.encode()[:_LONGEST].decode(errors="ignore").rstrip("-.") or "clip"
