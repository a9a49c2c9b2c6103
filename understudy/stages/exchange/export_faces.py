"""`faces export`: the faces of a side as files of DeepFaceLab or faceswap."""

from __future__ import annotations

import contextlib
import shutil
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final, Literal

import numpy as np
from numpy.typing import NDArray

from understudy.errors import BadMedia, BadOption, BadProject, NoFaces
from understudy.io import atomic
from understudy.io.dfl import face_picture, pak
from understudy.io.dfl.plain_pickle import Pickled
from understudy.io.faceset import face_image, image_metadata
from understudy.io.faceset.faceset import Faceset
from understudy.io.faceswap import alignments
from understudy.io.footage import stills
from understudy.io.image_segments import JPEG
from understudy.io.provenance.marked import MANIFEST
from understudy.options import Options, option
from understudy.stages import events
from understudy.stages.curate.faceset_notes import (
    faceset_notes,
    reading_events,
    unreadable_warnings,
)
from understudy.stages.curate.new_pictures import NewPicture, Signing
from understudy.stages.events import Event, Finished, Note, Saved, Stage, Started, Stop, Warned
from understudy.stages.exchange.foreign_pictures import FAULTS
from understudy.stages.exchange.frame_names import FramesOfFootage, numbered_frame, stem_of
from understudy.stages.extract.known_footage import match_footage
from understudy.stages.jobs import verb
from understudy.stages.parallel.workers import map_unordered
from understudy.stages.project import Project
from understudy.types import AlignedFace, Side

Format = Literal["dfl", "pak", "fsa"]
_BATCH: Final = 32


class FacesExportOptions(Options):
    """What `faces export` asks."""

    format: Format = option(
        "dfl",
        "What to write: dfl = JPG of DeepFaceLab into a folder, pak = its faceset.pak, fsa = the"
        " alignments of faceswap",
        usual=True,
    )
    person: int | None = option(None, "Only this person's faces; not set = all", low=0)
    clip: str | None = option(
        None, "Of several clips of src, only the faces of this one: its file name; not set = all"
    )
    jpg_quality: int = option(
        100, "Quality of JPG that are made of PNG; what is JPG stays as it is", low=1, high=100
    )
    workers: int | None = option(
        None, "Processes that share the work; not set = one a CPU core", low=1, high=1024
    )


@dataclass(frozen=True, slots=True)
class _Task:
    """A picture to export. name: of the new picture. frame_name: of its frame, as the tool has it.

    folder: for the pictures; None = of pictures there are none.
    """

    path: Path
    name: str
    frame_name: str
    format: Format
    quality: int
    folder: Path | None


@dataclass(frozen=True, slots=True)
class _Made:
    """What became of a picture.

    told: what a pack or alignments say of it. problem: "" = none. has_manifest: the face picture
    says how it was made.
    """

    task: _Task
    size: int = 0
    told: Pickled | None = None
    problem: str = ""
    has_manifest: bool = False


@verb
def faces_export(show: Path, side: Side, out: Path, *, options: FacesExportOptions) -> Stage:
    """Write the faces of a side for DeepFaceLab or faceswap; masks and polygons go along.

    side: whose faces. out: the folder, or with --format pak or fsa the file; it must be new. Raises
    NoFaces when there are none.
    """
    project = Project.load(show)
    options = project.options("faces_export", options)
    _require_free(out, options.format)
    faceset = Faceset(project.faces(side), tolerant=True)
    yield from reading_events(faceset)
    yield from unreadable_warnings(faceset)
    if not len(faceset):
        raise NoFaces(
            f"{faceset.folder}: no faces. Run: understudy extract {project.folder} {side}."
        )
    yield from faceset_notes(faceset)
    rows, names = yield from _frame_names(project, side, faceset, options)
    with atomic.sole_writer(out), atomic.partial_folder(out) as making:
        folder = None if options.format == "fsa" else making.path
        tasks = _tasks(faceset, rows, names, folder, options)
        made = yield from _make(tasks, options.workers)
        if made is None:
            yield Note(text="stopped; nothing was written.")
            return
        for each in made:
            if each.problem:
                yield Warned(text=f"left out: {each.problem}")
        whole = [each for each in made if not each.problem]
        if not whole:
            raise NoFaces(f"{faceset.folder}: none of its faces could be written.")
        _require_free(out, options.format)
        if options.format == "dfl":
            atomic.sync_disks()
            making.settle(out)
        else:
            _write_file(out, whole, options.format)
    yield Saved(what="faceset", path=out)
    summary = {
        "faces": len(whole),
        "left_out": len(made) - len(whole),
        "format": options.format,
        "out": str(out),
    }
    yield Finished(stage="faces_export", summary=summary)


def _require_free(out: Path, format: Format) -> None:
    """Raise BadOption where something is; an empty folder is room for a folder."""
    is_empty = format == "dfl" and out.is_dir() and not any(out.iterdir())
    if atomic.is_there(out) and not is_empty:
        # Of a run that died as it was done.
        atomic.remove_partials(out.parent)
        raise BadOption(f"{out}: is there already. Choose another name, or move it away.")


def _frame_names(
    project: Project, side: Side, faceset: Faceset, options: FacesExportOptions
) -> Generator[Note, None, tuple[NDArray[np.int64], list[str]]]:
    """Which rows are exported, and how the tool calls the frame of each."""
    person, names = faceset.faces.person, _names_by_number(faceset, options.format)
    chosen = np.ones(len(faceset), bool) if options.person is None else person == options.person
    if not chosen.any():
        raise NoFaces(f"{faceset.folder}: no face of person {options.person}. Leave --person out.")
    clips = _clips(project, side, options)
    of_clips = np.zeros(len(faceset), bool)
    for path in clips:
        try:
            with project.open_footage(side, path) as footage:
                known = FramesOfFootage(footage, any_stem=len(project.footages(side)) == 1)
                # Faces from elsewhere may be of frames that this footage has not.
                ours = match_footage(project, side, faceset, footage)
                ours &= faceset.faces.frame < len(footage)
        except BadMedia:
            yield Note(
                text=f"{path}: cannot be read, so its frames are named by their numbers alone."
            )
            continue
        of_clips |= ours
        name = known.faceswap_name if options.format == "fsa" else known.dfl_name
        for row in np.flatnonzero(ours).tolist():
            names[row] = name(int(faceset.faces.frame[row]))
    if (options.clip or options.format == "fsa") and of_clips.any():
        others = int((chosen & ~of_clips).sum())
        chosen &= of_clips
        if others:
            yield Note(text=f"{others} faces are of other footage, and stay behind.")
    rows = np.flatnonzero(chosen)
    return rows, [names[row] for row in rows.tolist()]


def _clips(project: Project, side: Side, options: FacesExportOptions) -> list[Path]:
    """The clips of a side whose faces are exported; none where no footage is set."""
    try:
        paths = project.footages(side)
    except BadProject:
        return []
    if options.clip is not None:
        paths, every = [each for each in paths if each.name == options.clip], paths
        if not paths:
            names = ", ".join(each.name for each in every)
            raise BadOption(f"clip: {side} has no clip {options.clip!r}. Choose one of: {names}.")
    if options.format == "fsa" and len(paths) > 1:
        names = ", ".join(each.name for each in paths)
        raise BadOption(
            f"clip: alignments are of one footage, and {side} has {names}. Say which: --clip"
            f" {paths[0].name}."
        )
    return paths


def _names_by_number(faceset: Faceset, format: Format) -> list[str]:
    """What the frames would be called by what the pictures say alone."""
    frames = faceset.faces.frame.tolist()
    if format != "fsa":
        return [numbered_frame(frame) for frame in frames]
    sources = [*(Path(each.name) for each in faceset.footages), Path()]
    named = [sources[number] for number in faceset.faces.footage.tolist()]
    return [
        f"{source.stem or 'frame'}_{frame + 1:06d}{source.suffix or '.png'}"
        for source, frame in zip(named, frames, strict=True)
    ]


def _tasks(
    faceset: Faceset,
    rows: NDArray[np.int64],
    names: list[str],
    folder: Path | None,
    options: FacesExportOptions,
) -> list[_Task]:
    """The pictures to export, each under the name of its frame and its place there."""
    paths, tasks, count = faceset.paths, [], Counter[str]()
    for row, frame_name in zip(rows.tolist(), names, strict=True):
        stem = stem_of(frame_name)
        name = f"{stem}_{count[stem]}.jpg"
        count[stem] += 1
        task = _Task(paths[row], name, frame_name, options.format, options.jpg_quality, folder)
        tasks.append(task)
    return tasks


def _make(
    tasks: list[_Task], workers: int | None
) -> Generator[Event, events.Order | None, list[_Made] | None]:
    """What became of each picture, in their order; None when stopped."""
    batches = [tasks[at : at + _BATCH] for at in range(0, len(tasks), _BATCH)]
    made, done, signing = dict[str, _Made](), 0, Signing()
    yield Started(stage="export", total=len(tasks), unit="face")
    with contextlib.closing(map_unordered(_export, batches, workers)) as work:
        for _, result in work:
            for each in result:
                made[each.task.name] = yield from _marked(each, signing)
            done += len(result)
            progress = events.Progress(stage="export", done=done, total=len(tasks))
            if isinstance((yield progress), Stop):
                return None
    yield Finished(stage="export")
    return [made[task.name] for task in tasks]


def _marked(made: _Made, signing: Signing) -> Generator[Event, events.Order | None, _Made]:
    """The picture, signed where that of the face says that its face was replaced."""
    task = made.task
    if not made.has_manifest or task.folder is None:
        return made
    path = task.folder / task.name
    data = yield from signing.signed(NewPicture(task.name, path.read_bytes(), task.path))
    path.write_bytes(data)
    return replace(made, size=len(data))


def _export(tasks: list[_Task]) -> list[_Made]:
    """Write some pictures: a task for one process."""
    return [_export_one(task) for task in tasks]


def _export_one(task: _Task) -> _Made:
    try:
        data = face_image.read_bytes(task.path)
        face = face_image.parse(data, task.path)
        if task.folder is None:
            return _Made(task, 0, alignments.pickled_face(face))
        picture = face_picture.write_face(_jpg(data, face, task), face, task.frame_name)
    except FAULTS as error:
        return _Made(task, problem=f"{task.path}: {error}")
    (task.folder / task.name).write_bytes(picture)
    told = None
    if task.format == "pak":
        told = Pickled.of(pak.contents(face, task.name, task.frame_name))
    return _Made(task, len(picture), told, has_manifest=MANIFEST in data)


def _jpg(data: bytes, face: AlignedFace, task: _Task) -> bytes:
    """The picture as a JPG without metadata; of one that is a JPG the pixels are not touched."""
    if data.startswith(JPEG):
        return image_metadata.remove(data, str(task.path))
    return stills.encode_image(face.image, ".jpg", task.quality)


def _write_file(out: Path, made: Sequence[_Made], format: Format) -> None:
    """Write a pack or alignments, all or nothing."""
    with atomic.partial_file(out) as partial, partial.open("wb") as file:
        if format == "pak":
            _write_pak(made, file)
        else:
            frames: dict[str, list[Pickled]] = {}
            for each in made:
                assert each.told is not None
                frames.setdefault(each.task.frame_name, []).append(each.told)
            file.write(alignments.write_alignments(frames))


def _write_pak(made: Sequence[_Made], file: BinaryIO) -> None:
    pak.write_head([each.told for each in made], [each.size for each in made], file)
    for each in made:
        assert each.task.folder is not None
        with (each.task.folder / each.task.name).open("rb") as picture:
            shutil.copyfileobj(picture, file)
