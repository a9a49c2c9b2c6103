"""`faces save-metadata` and `restore-metadata`: pictures edited by tools that drop metadata."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from understudy.core.image import as_bytes
from understudy.errors import BadMedia, BadOption, BadProject, NoFaces
from understudy.io.faceset import face_image, image_metadata
from understudy.io.faceset.faceset import Faceset, names_there
from understudy.io.faceset.saved_metadata import (
    SavedMetadata,
    metadata_writer,
    small_picture,
)
from understudy.io.footage import stills
from understudy.io.system import cpu_count
from understudy.options import Options, option
from understudy.printable import name_some
from understudy.stages.curate.faceset_notes import faceset_notes, reading_events
from understudy.stages.curate.new_pictures import (
    NewFaces,
    NewPicture,
    events_after_change,
    free_name,
    make_pictures,
    name_failed,
    picture_key,
)
from understudy.stages.events import Finished, Note, Progress, Saved, Stage, Started, Stop, Warned
from understudy.stages.jobs import verb
from understudy.stages.parallel.prefetch import map_on_threads
from understudy.stages.project import Project
from understudy.types import Bytes, Side

_FILE: Final = "faces_metadata.jsonl"
# A picture is not the one of that name where it is less like it than this, or so much more like
# another one.
_UNLIKE, _MORE = 0.5, 0.03
# Seconds between two words of how far it is.
_TICK: Final = 0.2


class SaveMetadataOptions(Options):
    """What `faces save-metadata` asks."""

    file: Path | None = option(
        None, f"Where it is written; not set = {_FILE} beside the faces", usual=True
    )


class RestoreMetadataOptions(Options):
    """What `faces restore-metadata` asks."""

    file: Path | None = option(
        None, f"What save-metadata wrote; not set = {_FILE} beside the faces", usual=True
    )
    pictures: Path | None = option(
        None,
        "Folder of the edited pictures; not set = they lie in the place of the faces",
        usual=True,
    )
    check: bool = option(
        True, "Leave out pictures that do not look like the face of that name", usual=True
    )


@verb
def faces_save_metadata(show: Path, side: Side, *, options: SaveMetadataOptions) -> Stage:
    """Save what the face pictures of a side say of themselves, before they are edited elsewhere.

    side: whose faces. restore-metadata puts it back into what another tool made of them.
    """
    project = Project.load(show)
    options = project.options("faces_save_metadata", options)
    with project.lock(side) as notes:
        yield from notes
        faceset = Faceset(project.faces(side))
        yield from reading_events(faceset)
        yield from faceset_notes(faceset)
        if not len(faceset):
            raise NoFaces(f"{faceset.folder}: no faces, so there is nothing to save.")
        path = (options.file or faceset.folder.with_name(_FILE)).absolute()
        paths = faceset.paths
        if odd := [each.name for each in paths if not _is_text(each.name)]:
            raise BadProject(
                f"{faceset.folder}: {len(odd)} names are no text ({name_some(odd)}), and cannot be"
                " written down. Rename those pictures."
            )
        try:
            yield from _save(path, paths)
        except _Stopped:
            yield Note(text=f"{path}: stopped before the end, so nothing was saved.")
            return
        yield Saved(what="metadata", path=path)
    yield Finished(stage="faces_save_metadata", summary={"faces": len(paths), "file": str(path)})


@verb
def faces_restore_metadata(show: Path, side: Side, *, options: RestoreMetadataOptions) -> Stage:
    """Put saved metadata back into face pictures that another tool has written.

    side: whose faces. Their size and kind of file may have changed. What they replace goes to
    faces_trash; `faces undo` takes it back.
    """
    project = Project.load(show)
    options = project.options("faces_restore_metadata", options)
    with project.lock(side) as notes:
        yield from notes
        faces = project.faces(side)
        faceset = Faceset(faces, tolerant=True)
        yield from reading_events(faceset)
        saved = SavedMetadata((options.file or faces.with_name(_FILE)).absolute())
        edited = (options.pictures or faces).absolute()
        plan = _match(faceset, saved, edited)
        yield from _notes_on_match(plan, saved, edited)
        if not plan.found:
            yield Finished(stage="faces_restore_metadata", summary={"faces": 0})
            return
        faceset.require_loose(np.isin(faceset.names, [saved.names[n] for _, n in plan.found]))
        paths = [path for path, _ in plan.found]
        made_from = [saved.path, *paths]
        facts = np.array([(f.st_size, f.st_mtime_ns) for f in (each.stat() for each in made_from)])
        key = picture_key([str(each) for each in made_from], facts, "restore", options.check)
        new = NewFaces(faces, paths, key)
        made = new.open()
        failed = yield from make_pictures(
            "restore",
            new.folder,
            (at for at in range(len(paths)) if at not in made),
            _Restorer(plan.found, saved, new, check=options.check),
            total=len(paths),
            done=len(made),
        )
        if failed is None:
            return
        yield from _warnings(failed)
        done = new.open()
        goals, replaced = _goals(faces, plan.found, saved, done)
        new.put_in_place(f"restore metadata: {len(done)} faces", goals, replaced)
        # Others may still be none of ours: those were told.
        yield from events_after_change(faceset)
    summary = {"faces": len(done), "left_out": len(failed) + len(plan.unknown)}
    yield Finished(stage="faces_restore_metadata", summary=summary)


class _Stopped(Exception):
    """Told to stop while the file is not whole."""


def _save(path: Path, pictures: list[Path]) -> Stage:
    """Write what the pictures say, with progress. Raises _Stopped, with nothing written."""

    def look(picture: Path) -> tuple[str, Bytes, bytes]:
        data = face_image.read_bytes(picture)
        block = image_metadata.inspect(data, str(picture)).block
        # The table of the set was read: it says something.
        assert block is not None
        return picture.name, small_picture(face_image.parse(data, picture).image), block

    total, told, threads = len(pictures), time.monotonic(), cpu_count()
    yield Started(stage="save", total=total, unit="face")
    looked = map_on_threads((each for each in pictures), look, threads, 3 * threads)
    with metadata_writer(path) as write, contextlib.closing(looked):
        for done, line in enumerate(looked, 1):
            write(*line)
            if time.monotonic() - told > _TICK:
                told = time.monotonic()
                if isinstance((yield Progress(stage="save", done=done, total=total)), Stop):
                    raise _Stopped


class _Match(NamedTuple):
    """Which pictures are put right.

    found: path, and its place in what was saved. kept: how many have metadata of their own.
    unknown: names that were not saved. doubled: names of pictures that claim one face.
    gone: names that were saved, and of which there is no picture any more.
    """

    found: list[tuple[Path, int]]
    kept: int
    unknown: list[str]
    doubled: list[str]
    gone: list[str]


def _match(faceset: Faceset, saved: SavedMetadata, edited: Path) -> _Match:
    """Find the picture of each saved name: of that name, or else of that stem. Raises BadOption."""
    try:
        with os.scandir(edited) as entries:
            names = sorted(
                each.name
                for each in entries
                if not each.name.startswith(".")
                and Path(each.name).suffix.lower() in stills.SUFFIXES
                and each.is_file()
            )
    except OSError as error:
        raise BadOption(
            f"{edited}: cannot be read as a folder of pictures: {error.strerror}."
        ) from None
    own = set(faceset.names) | {each.name for some in faceset.copies.values() for each in some}
    mine = own if edited == faceset.folder else set()
    by_name = {name: number for number, name in enumerate(saved.names)}
    by_stem: dict[str, list[int]] = {}
    for name, number in by_name.items():
        by_stem.setdefault(Path(name).stem, []).append(number)
    claims: dict[int, list[str]] = {}
    unknown = list[str]()
    for name in names:
        if name in mine:
            continue
        numbers = [by_name[name]] if name in by_name else by_stem.get(Path(name).stem, [])
        if len(numbers) == 1:
            claims.setdefault(numbers[0], []).append(name)
        else:
            unknown.append(name)
    found = [(edited / of[0], number) for number, of in claims.items() if len(of) == 1]
    doubled = [name for of in claims.values() if len(of) > 1 for name in of]
    stems = {Path(name).stem for name in own}
    gone = [
        name for name, at in by_name.items() if at not in claims and Path(name).stem not in stems
    ]
    return _Match(sorted(found), len(mine.intersection(names)), unknown, doubled, gone)


def _notes_on_match(plan: _Match, saved: SavedMetadata, edited: Path) -> Iterator[Note | Warned]:
    """What is not put right."""
    if plan.unknown:
        yield Warned(
            text=(
                f"{edited}: {len(plan.unknown)} pictures have names that were not saved"
                f" ({name_some(plan.unknown)}) and are left as they are. Give them the names that"
                " they had; the suffix may differ."
            )
        )
    if plan.doubled:
        yield Warned(
            text=(
                f"{edited}: {len(plan.doubled)} pictures are of the same names but for their"
                f" suffix ({name_some(plan.doubled)}) and are left as they are. Keep one of each."
            )
        )
    if plan.gone:
        yield Note(
            text=(
                f"{len(plan.gone)} faces were saved and have no picture any more"
                f" ({name_some(plan.gone)}): they stay away."
            )
        )
    if not plan.found:
        yield Note(
            text=(
                f"{edited}: no picture to put right; {plan.kept} of {len(saved.names)} have their"
                " metadata."
            )
        )


class _Restorer:
    """Puts metadata into one of the pictures that were found."""

    def __init__(
        self, found: list[tuple[Path, int]], saved: SavedMetadata, new: NewFaces, *, check: bool
    ) -> None:
        self._found, self._saved, self._new, self._check = found, saved, new, check

    def __call__(self, at: int) -> list[NewPicture]:
        path, number = self._found[at]
        try:
            data, suffix = self._restored(path, number)
        except (BadMedia, BadProject) as error:
            return [NewPicture("", b"", path, str(error))]
        return [NewPicture(self._new.name(at, suffix=suffix), data, path)]

    def _restored(self, path: Path, number: int) -> tuple[bytes, str]:
        """The picture with its metadata, and its suffix; pixels of JPG and PNG stay as they are."""
        data, suffix = stills.read_bytes(path), path.suffix.lower()
        is_ours = suffix in face_image.SUFFIXES
        block = self._saved.metadata(number).model_dump_json().encode("ascii")
        if not is_ours:
            image = as_bytes(stills.decode_image(data, path))
            data, suffix = stills.encode_image(image, ".png"), ".png"
        whole = image_metadata.replace(data, block, str(path))
        # Read as it will be read: square, and whole.
        self._require_alike(path, face_image.parse(whole, path).image, number)
        return whole, suffix

    def _require_alike(self, path: Path, image: Bytes, number: int) -> None:
        if not self._check:
            return
        alike = self._saved.likeness(small_picture(image))
        best = int(alike.argmax())
        if alike[number] < _UNLIKE:
            what = "does not look like the face of that name"
        elif alike[best] > alike[number] + _MORE:
            what = f"looks more like {self._saved.names[best]} than like the face of that name"
        else:
            return
        raise BadMedia(f"{path}: {what}. Give it its own name, or take it as it is: --no-check.")


def _warnings(failed: list[NewPicture]) -> Iterator[Warned]:
    if failed:
        yield Warned(text=f"{len(failed)} pictures are left as they are: {name_failed(failed)}")


def _goals(
    faces: Path,
    found: list[tuple[Path, int]],
    saved: SavedMetadata,
    made: dict[int, str],
) -> tuple[dict[int, str], list[Path]]:
    """What the new pictures are called in the set, and which pictures they replace there."""
    replaced = dict[Path, None]()
    for at in sorted(made):
        path, number = found[at]
        former = faces / saved.names[number]
        replaced.update(dict.fromkeys(each for each in (path, former) if each.parent == faces))
    there = [each for each in replaced if each.is_file()]
    taken = names_there(faces) - {each.name for each in there}
    goals = dict[int, str]()
    for at in sorted(made):
        wanted = (faces / saved.names[found[at][1]]).with_suffix(Path(made[at]).suffix)
        goals[at] = free_name(wanted, taken)
        taken.add(goals[at])
    return goals, there


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
