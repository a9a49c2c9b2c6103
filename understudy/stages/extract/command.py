"""`extract`: the faces of the footage, upright and cropped, as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from understudy.stages.events import Stage
from understudy.stages.extract.options import ExtractOptions
from understudy.stages.extract.pipeline import Extraction
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
    when the whole footage shows none.
    """
    project = Project.load(show)
    options = project.options("extract", options).preset()
    sides: tuple[Side, ...] = ("src", "dst") if side == "both" else (side,)
    for each in sides:
        with project.lock(each), project.open_footage(each) as footage:
            goes_on = yield from Extraction(footage, project.faces(each), each, options).run()
        if not goes_on:
            return
