"""`extract`: the faces of the footage, upright and cropped, as pictures."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Literal

from understudy.errors import BadMedia, BadOption, NoFaces
from understudy.io.faceset.faceset import Faceset
from understudy.stages.events import Event, Finished, Note, Order, Stage, Warned
from understudy.stages.extract.clip import Clip
from understudy.stages.extract.clips import find_clips, notes_on_former
from understudy.stages.extract.options import ExtractOptions
from understudy.stages.extract.pipeline import Extraction, ask_for_marks, tell_of_faceset
from understudy.stages.jobs import verb
from understudy.stages.project import PROJECT_FILE, Project
from understudy.types import Side

__all__ = ["ExtractOptions", "extract"]

Extractions = Generator[Event, Order | None, list[Extraction] | None]


@verb
def extract(
    show: Path, side: Literal["src", "dst", "both"] = "both", *, options: ExtractOptions
) -> Stage:
    """Find the faces in the footage of a show, or go on with it, and write them as pictures.

    side: whose footage. Faces made with other options are moved aside, never mixed. Raises NoFaces
    when the whole footage shows none; with --fix or the detector manual, frames are listed to be
    marked by hand before.
    """
    project = Project.load(show)
    options = project.options("extract", options).preset()
    sides: tuple[Side, ...] = ("src", "dst") if side == "both" else (side,)
    waiting: list[Extraction] = []
    for each in sides:
        with project.lock(each) as notes:
            yield from notes
            done = yield from _extract_side(project, each, options)
        if done is None:
            return
        waiting += [extraction for extraction in done if extraction.waits_for_marks]
    if waiting:
        raise NoFaces(ask_for_marks(waiting))


def _extract_side(project: Project, side: Side, options: ExtractOptions) -> Extractions:
    """Extract the clips of a side, one after the other; None when stopped.

    Of several, one without a face, or without the person that is wanted, is told, and the others go
    on. Raises NoFaces, BadOption where none has any.
    """
    clips = find_clips(project, side)
    if len(clips) > 1:
        yield from _begin_several(project, side, clips, options)
    done, faceless = list[Extraction](), list[NoFaces | BadOption]()
    for clip in clips:
        with project.open_footage(side, clip.footage) as footage:
            extraction = Extraction(footage, clip, side, options)
            try:
                if not (yield from extraction.run()):
                    return None
            except (NoFaces, BadOption) as error:
                faceless.append(error)
                if len(faceless) == len(clips):
                    raise
                if not clip.is_only:
                    yield Warned(text=f"{clip.label}: {error}")
                continue
            done.append(extraction)
    if len(clips) > 1 and not all(each.waits_for_marks for each in done):
        faceset = Faceset(project.faces(side))
        yield from tell_of_faceset(side, faceset, options)
        yield Finished(
            stage=f"extract {side}",
            summary={
                "side": side,
                "clips": len(clips),
                "without_a_face": len(faceless),
                "faces": len(faceset),
                "folder": str(faceset.folder),
            },
        )
    return done


def _begin_several(
    project: Project, side: Side, clips: Sequence[Clip], options: ExtractOptions
) -> Iterator[Note]:
    """What is told of several clips before any is looked at. Raises BadMedia where one is gone."""
    for clip in clips:
        if not clip.footage.exists():
            raise BadMedia(
                f"{clip.footage}: no such file or folder, and it is one of {side}'s clips. Put it"
                f" back, or write where it lies now into {project.folder / PROJECT_FILE}."
            )
    yield from notes_on_former(project, side)
    yield Note(text=f"{side}: {len(clips)} clips, {', '.join(each.label for each in clips)}")
    if options.person is not None:
        yield Note(
            text=(
                f"{side}: person {options.person} is kept of each clip, and each numbers its people"
                " for itself. To keep the same one everywhere: --like PICTURE."
            )
        )
