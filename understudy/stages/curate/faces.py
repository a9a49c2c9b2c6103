"""`faces` reads out the table of a faceset; `faces check` tells which faces deserve a look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.core.face.mirrored import TOLD as MIRRORED_FROM
from understudy.core.face.mirrored import compare_evenness, takes_to_compare
from understudy.core.face.pixel_measures import PixelMeasures
from understudy.core.metrics.outliers import OutlierBounds, find_outliers
from understudy.errors import NoFaces
from understudy.io.faceset.faceset import Faceset
from understudy.options import Options, option
from understudy.printable import name_some
from understudy.stages.curate.faceset_notes import faceset_notes
from understudy.stages.curate.measuring import measure_pixels
from understudy.stages.events import (
    FaceRow,
    Finished,
    Note,
    Stage,
    Stop,
    Suspicious,
    Warned,
)
from understudy.stages.extract.known_footage import known_frame_sizes
from understudy.stages.jobs import verb
from understudy.stages.project import Project
from understudy.types import Face, Faces, FaceType, Floats, Side


class FacesOptions(Options):
    """What `faces` asks."""

    person: int | None = option(None, "Only this person's faces; not set = all", low=0, formerly=-1)
    track: int | None = option(
        None, "Only the faces of this track; not set = all", low=0, formerly=-1
    )


class FacesCheckOptions(OutlierBounds):
    """What `faces check` asks."""

    pixels: bool = option(
        True,
        "Also read every picture, to find blurred ones; without it the check takes a moment",
    )


@verb
def faces(show: Path, side: Side, *, options: FacesOptions) -> Stage:
    """Read out every face of a side: place, points, person, pose, file; --json for programs.

    side: whose faces. Raises NoFaces when there are none.
    """
    project = Project.load(show)
    options = project.options("faces", options)
    faceset, table = _load(project, side)
    yield from faceset_notes(faceset)
    shown = 0
    pts, face_types, paths = faceset.pts, faceset.face_types, faceset.paths
    sources = [*(footage.name for footage in faceset.footages), ""]
    for row, face in enumerate(table):
        if options.person in (None, face.person) and options.track in (None, face.track):
            shown += 1
            told = _row(face, pts[row], face_types[row], paths[row].name, sources[face.footage])
            if isinstance((yield told), Stop):
                return
    yield Finished(
        stage="faces", summary={"faces": shown, "of": len(table), "folder": str(faceset.folder)}
    )


@verb
def faces_check(show: Path, side: Side, *, options: FacesCheckOptions) -> Stage:
    """Tell which faces of a side deserve a look, each with a reason; nothing is changed.

    side: whose faces. Raises NoFaces when there are none.
    """
    project = Project.load(show)
    options = project.options("faces_check", options)
    faceset, table = _load(project, side)
    yield from faceset_notes(faceset)
    frame_size = known_frame_sizes(project, side, faceset)
    yield from _notes_on_footages(faceset, table)
    yield from _notes_on_edges(project, side, faceset, np.isfinite(frame_size[:, 0]))
    detail = None
    if options.pixels:
        pixels = yield from measure_pixels(faceset)
        if pixels is None:
            return
        detail = pixels.detail
        yield from _warn_of_unreadable(faceset, pixels)
        yield from _warn_of_mirrored(project, side, faceset, pixels)
    found = find_outliers(table, options, frame_size=frame_size, detail=detail)
    paths = faceset.paths
    for each in found:
        face = table.face(each.row)
        yield Suspicious(
            frame=face.frame,
            track=face.track,
            person=face.person,
            file=paths[each.row].name,
            reason=each.reason,
            value=round(each.value, 4),
            bound=each.bound,
        )
    reasons = dict(Counter(each.reason for each in found).most_common())
    rows = len({each.row for each in found})
    yield Finished(
        stage="faces_check", summary={"faces": len(table), "suspicious": rows, "reasons": reasons}
    )


def _warn_of_unreadable(faceset: Faceset, pixels: PixelMeasures) -> Iterator[Warned]:
    """Which pictures cannot be decoded, so that nobody can tell whether they are blurred."""
    if pixels.reasons:
        names = faceset.names
        told = [f"{names[row]}: {reason}" for row, reason in pixels.reasons.items()]
        yield Warned(
            text=f"{faceset.folder}: {len(told)} pictures cannot be read. {name_some(told)}"
        )


def _warn_of_mirrored(
    project: Project, side: Side, faceset: Faceset, pixels: PixelMeasures
) -> Iterator[Warned]:
    """Which takes look mirrored against most of the others."""
    faces = faceset.faces
    value = compare_evenness(pixels.thumbnail, faces.pose[:, 1], takes_to_compare(faces))
    mirrored = value <= -MIRRORED_FROM
    for number in np.unique(faces.footage[mirrored]):
        rows = mirrored & (faces.footage == number)
        tracks = ", ".join(str(track) for track in np.unique(faces.track[rows]).tolist())
        yield Warned(
            text=(
                f"{faceset.footages[number].name}: {int(rows.sum())} faces (tracks {tracks}) look"
                " mirrored against most of the others. Hard light from the other side may look like"
                f" that, so see them: understudy sort {project.folder} {side} mirrored"
            )
        )


def _notes_on_footages(faceset: Faceset, table: Faces) -> Iterator[Note]:
    """What is not compared: faces without a track, and those of different footage."""
    if (table.track < 0).all() and (table.footage >= 0).any():
        yield Note(
            text=(
                f"{faceset.folder}: these faces have no tracks, so jumps and wrong sizes are not"
                " found. Extract again."
            )
        )
    if len(faceset.footages) > 1:
        yield Note(
            text=(
                f"{faceset.folder}: faces of {len(faceset.footages)} clips"
                f" ({name_some([each.name for each in faceset.footages])}); each is compared with"
                " those of its own."
            )
        )
    if unknown := int((table.footage < 0).sum()):
        yield Note(
            text=(
                f"{faceset.folder}: {unknown} faces do not say which footage they are of, so jumps,"
                " wrong sizes and the same person twice are not looked for among them."
            )
        )


def _notes_on_edges(
    project: Project, side: Side, faceset: Faceset, framed: NDArray[np.bool_]
) -> Iterator[Note]:
    """Of which faces nobody knows whether the frame's edge cuts them."""
    if framed.all():
        return
    names = name_some([path.name for path in project.footages(side)])
    if not framed.any():
        yield Note(
            text=(
                f"{names}: cannot be read, or is not what these faces were found in, so faces that"
                " the frame's edge cuts are not reported."
            )
        )
    else:
        yield Note(
            text=(
                f"{faceset.folder}: of {int((~framed).sum())} faces that are of other footage than"
                f" {names} the size of the frame is not known, so it is not reported whether its"
                " edge cuts them."
            )
        )


def _load(project: Project, side: Side) -> tuple[Faceset, Faces]:
    faceset = Faceset(project.faces(side))
    table = faceset.faces
    if not len(table):
        raise NoFaces(
            f"{faceset.folder}: no faces. Run: understudy extract {project.folder} {side}."
        )
    return faceset, table


def _row(face: Face, pts: float | None, face_type: FaceType, file: str, source: str) -> FaceRow:
    return FaceRow(
        frame=face.frame,
        pts=pts,
        box=_plain(face.box),
        landmarks=_plain(face.landmarks),
        raw=_plain(face.landmarks if face.raw is None else face.raw),
        score=round(face.score, 6),
        track=face.track,
        person=face.person,
        pose=_plain(face.pose, 6),
        face_type=face_type,
        filled=face.filled,
        file=file,
        source=source,
        marked=face.marked.text,
        gaze=None if face.gaze is None else _plain(face.gaze),
        lids=None if face.lids is None else _plain(face.lids),
    )


def _plain(values: Floats, digits: int = 4) -> Any:
    """Numbers as they lie in the picture's metadata, without the tail that float32 gives them."""
    return np.asarray(values, np.float64).round(digits).tolist()
