"""`faces pack` puts the pictures of a side into one file; `faces unpack` takes them out again."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from understudy.errors import BadMedia, BadProject, CannotWrite, NoFaces
from understudy.io import atomic
from understudy.io.faceset import picture_files
from understudy.io.faceset.faceset import Faceset, free_path
from understudy.io.faceset.pack import (
    Pack,
    PackedPicture,
    PackWriter,
    may_be_packed,
    pack_path,
    time_stamp,
)
from understudy.options import Options, option
from understudy.printable import name_some
from understudy.stages.curate.faceset_notes import faceset_notes, reading_events
from understudy.stages.events import (
    Event,
    Finished,
    Note,
    Order,
    Progress,
    Saved,
    Stage,
    Started,
    Stop,
    Warned,
)
from understudy.stages.jobs import verb
from understudy.stages.project import Project
from understudy.types import Side

# Threads that remove files: more than cores, what is waited for is the disk.
_REMOVERS: Final = 8


class PackOptions(Options):
    """What `faces pack` asks."""

    keep: bool = option(False, "Leave the pictures in the folder, too")


class UnpackOptions(Options):
    """What `faces unpack` asks."""

    keep: bool = option(False, "Leave the pack there, too")


@verb
def faces_pack(show: Path, side: Side, *, options: PackOptions) -> Stage:
    """Put the face pictures of a side into one file, faces.zip, byte for byte.

    All that reads faces reads it as it is. A picture goes from the folder when it was read back
    from the pack. Where there is a pack, what is new is added to it. side: whose faces. Raises
    NoFaces when there are none.
    """
    project = Project.load(show)
    options = project.options("faces_pack", options)
    with project.lock(side) as notes:
        yield from notes
        faceset = Faceset(project.faces(side), tolerant=True)
        yield from reading_events(faceset)
        yield from faceset_notes(faceset)
        path = pack_path(faceset.folder)
        if path.name in faceset.unreadable:
            raise BadMedia(faceset.unreadable[path.name])
        if not len(faceset):
            raise NoFaces(
                f"{faceset.folder}: no faces. Run: understudy extract {project.folder} {side}."
            )
        loose = _to_pack(faceset)
        yield from _notes_on_rest(faceset, loose)
        if loose and not (yield from _write(faceset, path, loose)):
            return
        left = [] if options.keep else (yield from _remove_packed(faceset.folder, loose))
        if left is None:
            return
        if left:
            yield Warned(
                text=f"{len(left)} pictures were changed meanwhile and stay in the folder, where"
                f" they count before those in the pack: {name_some(left)}."
            )
    yield Saved(what="pack", path=path)
    packed = len(Pack(path).pictures) if path.exists() else 0
    yield Finished(stage="faces_pack", summary={"packed": packed, "new": len(loose)})


@verb
def faces_unpack(show: Path, side: Side, *, options: UnpackOptions) -> Stage:
    """Take the face pictures of a side out of their pack, into the folder again.

    Of a pack that was cut short what is whole is taken out. side: whose faces. Where the folder has
    another picture of a name, it stays, and the one of the pack goes to faces_trash.
    """
    project = Project.load(show)
    options = project.options("faces_unpack", options)
    with project.lock(side) as notes:
        yield from notes
        folder = project.faces(side)
        path = pack_path(folder)
        if not path.exists():
            raise BadProject(f"{path}: there is no such pack, so nothing to take out.")
        pack, damage = _open(path)
        if damage:
            yield Warned(text=f"{damage} {len(pack.pictures)} pictures in it are whole.")
        faults = yield from _take_out(pack, folder)
        if faults is None:
            return
        if faults:
            yield Warned(text=" ".join(faults[:3]) + f" {len(faults)} of its pictures are damaged.")
        pack.close()
        picture_files.let_go_of_packs()
        if faults or damage:
            aside = free_path(path.with_stem(f"{path.stem}-damaged"))
            path.rename(aside)
            yield Warned(text=f"the pack is {aside.name} now, and no longer read.")
        elif not options.keep:
            path.unlink()
        faceset = Faceset(folder, tolerant=True)
        yield from reading_events(faceset)
        yield from faceset_notes(faceset)
    yield Finished(
        stage="faces_unpack",
        summary={"pictures": len(pack.pictures) - len(faults), "faces": len(faceset)},
    )


def _to_pack(faceset: Faceset) -> list[PackedPicture]:
    """The pictures in the folder that are faces, copies among them, as they were listed."""
    listed = picture_files.list_pictures(faceset.folder)
    faces = {*faceset.names, *(other.name for each in faceset.copies.values() for other in each)}
    return [
        PackedPicture(name, size, stamp, 0, 0)
        for name, (size, stamp) in zip(listed.names, listed.facts.tolist(), strict=True)
        if name in faces and name not in listed.packed and may_be_packed(name)
    ]


def _notes_on_rest(faceset: Faceset, loose: list[PackedPicture]) -> Generator[Event, None, None]:
    """What is not packed."""
    if not loose:
        yield Note(
            text=f"{pack_path(faceset.folder)}: all faces are in this pack already; nothing to do."
        )
    odd = [name for name in faceset.names if not may_be_packed(name)]
    for names, why in (
        (list(faceset.unreadable), "no face pictures of ours"),
        (odd, "their names cannot be in a zip file"),
    ):
        if names:
            yield Warned(text=f"{len(names)} stay in the folder, {why}: {name_some(names)}.")


def _write(
    faceset: Faceset, path: Path, loose: list[PackedPicture]
) -> Generator[Event, Order | None, bool]:
    """Write the pack anew with these pictures too, and read it back; whether it is through."""
    new, old = {each.name for each in loose}, picture_files.open_pack(faceset.folder)
    kept = [] if old is None else [each for each in old.pictures.values() if each.name not in new]
    total = len(kept) + len(loose)
    with atomic.partial_folder(path) as partial:
        file = partial.path / path.name
        yield Started(stage="pack", total=total, unit="face")
        with PackWriter(file) as writer:
            for done, each in enumerate(sorted([*kept, *loose]), 1):
                data = (
                    picture_files.read_bytes(faceset.folder / each.name)
                    if each.name in new or old is None
                    else old.read(each.name)
                )
                writer.add(each.name, data, each.stamp)
                if isinstance((yield _progress("pack", done, total)), Stop):
                    return False
        yield Finished(stage="pack")
        yield Started(stage="check", total=total, unit="face")
        written = Pack(file)
        for done, name in enumerate(written.pictures, 1):
            try:
                written.read(name)
            except BadMedia:
                raise CannotWrite(
                    f"{path}: '{name}' came back otherwise than it was written, so nothing was"
                    " changed. Check the disk, or choose another one."
                ) from None
            if isinstance((yield _progress("check", done, total)), Stop):
                return False
        yield Finished(stage="check")
        written.close()
        old = None
        picture_files.let_go_of_packs()
        file.replace(path)
    return True


def _remove_packed(
    folder: Path, loose: Sequence[PackedPicture]
) -> Generator[Event, Order | None, list[str] | None]:
    """Remove the pictures that are packed; the names of those that were changed meanwhile.

    None when told to stop.
    """

    def remove(picture: PackedPicture) -> bool:
        path = folder / picture.name
        if not _is_there_already(path, picture):
            return not path.exists()
        path.unlink(missing_ok=True)
        return True

    left, total = list[str](), len(loose)
    yield Started(stage="remove", total=total, unit="face")
    # A disk that is told of each room that gets free takes its time over every file.
    with atomic.explain_os_errors(folder), ThreadPoolExecutor(_REMOVERS) as pool:
        removed = pool.map(remove, loose)
        for done, (picture, is_gone) in enumerate(zip(loose, removed, strict=True), 1):
            if not is_gone:
                left.append(picture.name)
            if isinstance((yield _progress("remove", done, total)), Stop):
                pool.shutdown(cancel_futures=True)
                return None
    yield Finished(stage="remove")
    return left


def _open(path: Path) -> tuple[Pack, str]:
    """The pack; of one that cannot be read what is whole in it, and what is wrong with it."""
    try:
        return Pack(path), ""
    except BadMedia as error:
        found = Pack(path, rescue=True)
        if not found.pictures:
            raise
        return found, str(error).partition(". ")[0] + "."


def _take_out(pack: Pack, folder: Path) -> Generator[Event, Order | None, list[str] | None]:
    """Write the pictures into the folder; what is wrong with some, None when told to stop."""
    faults, done, total = list[str](), 0, len(pack.pictures)
    yield Started(stage="unpack", total=total, unit="face")
    with atomic.partial_folder(folder) as partial:
        for name, picture in pack.pictures.items():
            done += 1
            if not _is_there_already(folder / name, picture):
                try:
                    data = pack.read(name)
                except BadMedia as error:
                    faults.append(str(error))
                    continue
                file = partial.path / name
                with atomic.explain_os_errors(folder / name):
                    file.write_bytes(data)
                    if picture.stamp >= 0:
                        os.utime(file, ns=(picture.stamp, picture.stamp))
            if isinstance((yield _progress("unpack", done, total)), Stop):
                return None
        atomic.sync_disks()
        folder.mkdir(exist_ok=True)
        for name in pack.pictures:
            if (file := partial.path / name).is_file():
                _settle(file, folder)
    yield Finished(stage="unpack")
    return faults


def _is_there_already(path: Path, picture: PackedPicture) -> bool:
    try:
        found = path.stat()
    except OSError:
        return False
    return (found.st_size, time_stamp(found.st_mtime_ns)) == (picture.bytes, picture.stamp)


def _settle(file: Path, folder: Path) -> None:
    """Move a picture into the folder, or where another has its name into the trash."""
    goal = folder / file.name
    if atomic.is_there(goal):
        if goal.is_file() and goal.read_bytes() == file.read_bytes():
            return
        trash = folder.with_name(f"{folder.name}_trash")
        trash.mkdir(exist_ok=True)
        goal = free_path(trash / file.name)
    file.rename(goal)


def _progress(stage: str, done: int, total: int) -> Progress:
    return Progress(stage=stage, done=done, total=total)
