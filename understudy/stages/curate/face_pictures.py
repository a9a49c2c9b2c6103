"""`faces debug` and `faces cutout`: a picture made of each face, in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import reduce
from pathlib import Path
from typing import Literal

import numpy as np

from understudy.core.drawing.overlay import draw_face
from understudy.core.face.mask import hull_mask, polygon_mask
from understudy.core.image import as_bytes
from understudy.errors import BadMedia, BadOption, NoFaces
from understudy.io.faceset import face_image
from understudy.io.faceset.faceset import Faceset
from understudy.io.footage import stills
from understudy.options import option
from understudy.stages.curate.faces import FacesOptions
from understudy.stages.curate.faceset_notes import (
    faceset_notes,
    reading_events,
    unreadable_warnings,
)
from understudy.stages.curate.new_pictures import (
    NewPicture,
    PictureFolder,
    free_names,
    make_pictures,
    picture_key,
)
from understudy.stages.events import Event, FailedFrame, Finished, Order, Saved, Stage
from understudy.stages.jobs import verb
from understudy.stages.project import Project
from understudy.types import AlignedFace, Bytes, Floats, Side

AlphaKind = Literal["mask", "hull", "polygons"]
_DEBUG_QUALITY = 90


class FacesDebugOptions(FacesOptions):
    """What `faces debug` asks."""

    every: int = option(1, "Only every n-th of the faces", low=1, usual=True)


class CutoutOptions(FacesOptions):
    """What `faces cutout` asks."""

    alpha: tuple[AlphaKind, ...] = option(
        ("mask",),
        "What stays: mask = as the picture says, the hull where it says nothing; hull = within the"
        " landmarks; polygons = what was drawn by hand. Of several, where all agree",
        usual=True,
    )


@verb
def faces_debug(show: Path, side: Side, *, options: FacesDebugOptions) -> Stage:
    """Draw landmarks, hull, mask, box and polygons onto copies of the face pictures of a side.

    side: whose faces. They come into faces_debug beside the faces, which stay as they are.
    """
    project = Project.load(show)
    options = project.options("faces_debug", options)
    with project.lock(side) as notes:
        yield from notes
        folder = project.faces(side).with_name("faces_debug")
        faceset = yield from _chosen(project, side, options)
        faceset = faceset.select(np.arange(len(faceset)) % options.every == 0)
        yield from _make("debug", faceset, folder, ".jpg", draw_face, options.model_dump())


@verb
def faces_cutout(show: Path, side: Side, out: Path, *, options: CutoutOptions) -> Stage:
    """Cut the faces of a side out as PNG pictures with alpha, into a folder.

    side: whose faces. out: the folder; one that is not there is made. Colours are those of the
    pictures also where alpha is 0, so edges have no dark rim.
    """
    project = Project.load(show)
    options = project.options("faces_cutout", options)
    out = out.absolute()
    _require_outside(project, out)
    with project.lock(side) as notes:
        yield from notes
        faceset = yield from _chosen(project, side, options)
        if "polygons" in options.alpha and not any(faceset.polygons):
            raise BadOption(
                f"{faceset.folder}: no face has polygons. Draw some, or choose another alpha."
            )

        def cut(face: AlignedFace) -> Bytes:
            mattes = [_matte(face, kind) for kind in dict.fromkeys(options.alpha)]
            alpha = as_bytes(reduce(np.multiply, mattes))
            return np.dstack([face.image, alpha])

        yield from _make("cutout", faceset, out, ".png", cut, options.model_dump())


def _make(
    what: str,
    faceset: Faceset,
    folder: Path,
    suffix: str,
    draw: Callable[[AlignedFace], Bytes],
    settings: dict[str, object],
) -> Stage:
    """Write a picture of each face; those that cannot be read are told one by one."""
    yield from faceset_notes(faceset)
    yield from unreadable_warnings(faceset)
    paths = faceset.paths
    rows = list(range(len(paths)))
    names = free_names(paths, rows, suffix)
    pictures = PictureFolder(folder, picture_key(faceset.names, faceset.facts, what, settings))
    done = pictures.open(names.values())

    def make(row: int) -> list[NewPicture]:
        try:
            drawn = draw(face_image.read(paths[row]))
        except BadMedia as error:
            return [NewPicture(names[row], b"", paths[row], str(error))]
        data = stills.encode_image(drawn, suffix, _DEBUG_QUALITY)
        return [NewPicture(names[row], data, paths[row])]

    left = (row for row in rows if names[row] not in done)
    failed = yield from make_pictures(what, folder, left, make, total=len(rows), done=len(done))
    if failed is None:
        return
    frame_of = dict(zip(paths, faceset.faces.frame.tolist(), strict=True))
    yield from (FailedFrame(frame=frame_of[each.face], text=each.problem) for each in failed)
    yield Saved(what=what, path=folder)
    summary = {"pictures": len(rows) - len(failed), "folder": str(folder)}
    yield Finished(stage=f"faces_{what}", summary=summary)


def _chosen(
    project: Project, side: Side, options: FacesOptions
) -> Generator[Event, Order | None, Faceset]:
    """The faces of a side that are asked for. Raises NoFaces without any."""
    faceset = Faceset(project.faces(side), tolerant=True)
    yield from reading_events(faceset)
    faces = faceset.faces
    chosen = np.ones(len(faceset), bool)
    for column, value in ((faces.person, options.person), (faces.track, options.track)):
        chosen &= value is None or column == value
    if not chosen.any():
        raise NoFaces(
            f"{faceset.folder}: no faces{' of that person or track' if len(faceset) else ''}. Run:"
            f" understudy faces {project.folder} {side}, to see which there are."
        )
    return faceset.select(chosen)


def _matte(face: AlignedFace, kind: AlphaKind) -> Floats:
    size = (face.size, face.size)
    if kind == "polygons":
        return polygon_mask(face.polygons, size)
    if kind == "mask" and face.mask is not None:
        return face.mask
    return hull_mask(face.landmarks, size)


def _require_outside(project: Project, out: Path) -> None:
    """Raise BadOption for a folder that belongs to what runs make."""
    for side in ("src", "dst"):
        if out.resolve().is_relative_to((project.folder / side).resolve()):
            raise BadOption(
                f"{out}: within {project.folder.name}/{side}, where pictures without metadata are"
                " taken for damaged faces. Choose a folder elsewhere."
            )
