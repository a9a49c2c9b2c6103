"""`extract`: the faces of the footage, upright and cropped, as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from understudy.errors import NoFaces
from understudy.stages.events import Stage
from understudy.stages.extract.options import ExtractOptions
from understudy.stages.extract.pipeline import Extraction, ask_for_marks
from understudy.stages.jobs import verb
from understudy.stages.project import Project
from understudy.types import Side

__all__ = ["ExtractOptions", "extract"]


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
        with project.lock(each), project.open_footage(each) as footage:
            extraction = Extraction(footage, project.faces(each), each, options)
            goes_on = yield from extraction.run()
        if not goes_on:
            return
        if extraction.waits_for_marks:
            waiting.append(extraction)
    if waiting:
        raise NoFaces(ask_for_marks(waiting))
