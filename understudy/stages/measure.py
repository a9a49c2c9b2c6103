"""`measure`: how good a finished swap is, in numbers and on one sheet of pictures."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from understudy.core.drawing.contact_sheet import crop_head, draw_contact_sheet
from understudy.core.image import as_bytes
from understudy.core.metrics import swap_metrics as measures
from understudy.core.metrics.quality import MIN_FOUND, describe_quality
from understudy.errors import BadProject, MissingExtra, NoFaces
from understudy.io import atomic
from understudy.io.faceset.faceset import Faceset
from understudy.io.footage.base import Footage
from understudy.io.open_footage import open_footage
from understudy.io.provenance.manifest import Claim
from understudy.options import option
from understudy.parts.identities import Embed, identities
from understudy.registry import NameIn, with_parts
from understudy.stages.curate.faceset_notes import faceset_notes
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
from understudy.stages.extract.face_analyser import make_analyser
from understudy.stages.extract.known_footage import (
    SameShotOptions,
    notes_on_gathered,
    require_known_footage,
    rows_of_clips,
)
from understudy.stages.extract.options import ExtractOptions
from understudy.stages.jobs import verb
from understudy.stages.project import Project
from understudy.stages.signer import find_signer
from understudy.types import Bytes, Faces, Floats, Side

# What is null where too few faces are found again.
_UNKNOWN = ("movement", "movement_correlation", "jitter_result", "jitter_dst", "identity_shift")


@with_parts(identities)
class MeasureOptions(SameShotOptions):
    """What `measure` asks."""

    identity: Annotated[str, NameIn("identities", ("none",))] = option(
        "dlib-resnet",
        "What tells whose face it is (extra 'dlib'); none = leave that out",
        formerly={"": "none"},
    )
    every: int = option(1, "Look at every n-th frame of the result; jitter needs 1", low=1)
    samples: int = option(
        24, "So many frames of each clip are asked whose face it is", low=3, high=1000
    )
    columns: int = option(6, "Columns of the contact sheet", low=1, high=20)
    side: int = option(
        240, "Side of a picture on the contact sheet", low=64, high=1024, unit="pixels"
    )


@dataclass(frozen=True)
class FaceTrack:
    """The main face of a clip: frame -> landmarks (68, 2), in the frame's pixels."""

    footage: Footage
    points: dict[int, Floats]


@verb
def measure(show: Path, options: MeasureOptions) -> Stage:
    """Compare the result of a show with its src and dst: identity, expression, jitter.

    Leaves measures.json and sheet.png (rows src, dst, result; marked as synthetic) in the show.
    """
    project = Project.load(show)
    options = project.options("measure", options)
    if not project.result.exists():
        raise BadProject(
            f"{project.folder}: there is no result to measure. Run: understudy merge {show}."
        )
    signer = yield from find_signer()
    with (
        contextlib.ExitStack() as opened,
        project.open_footage("dst") as dst_footage,
        open_footage(project.result) as result_footage,
        # With the colours that extraction looked at.
        open_footage(project.result, rough=True) as looked_at,
    ):
        clips = [
            opened.enter_context(project.open_footage("src", path))
            for path in project.footages("src")
        ]
        for clip in clips:
            yield from require_known_footage(project, "src", clip)
        yield from require_known_footage(project, "dst", dst_footage, same_shot=options.same_shot)
        src = yield from _main_faces(project, "src", clips)
        [dst] = yield from _main_faces(project, "dst", [dst_footage])
        found = yield from _find_again(
            looked_at, dst, project.options("extract", ExtractOptions()), options.every
        )
        if found is None:
            return
        expected = _expected(looked_at, dst, options.every)
        result = FaceTrack(result_footage, found)
        values: dict[str, Any] = {"faces_found": len(found), "faces_expected": len(expected)}
        if len(found) < MIN_FOUND * len(expected):
            yield Warned(text=_too_few(len(found), len(expected), project))
            values |= dict.fromkeys(_UNKNOWN)
            # To be looked at all the same, where dst's face was.
            result = FaceTrack(result_footage, {index: dst.points[index] for index in expected})
        else:
            values |= _measure_movement(result, dst, options)
            values |= yield from _measure_identity(src, dst, result, options)
        values["quality"] = _describe(values) or None
        sheet = _draw_sheet(src, dst, result, options)
    atomic.write_text(project.folder / "measures.json", json.dumps(values, indent=1) + "\n")
    went_in = [project.result, *project.footages("src"), project.footage("dst")]
    claim = Claim.edited(
        went_in,
        signer,
        "Pictures of a face that was replaced, on one sheet.",
        consent=project.file.consent,
    )
    claim.write_picture(project.folder / "sheet.png", sheet)
    yield Note(text=format_measures(values))
    yield Saved(what="measures", path=project.folder / "measures.json")
    yield Saved(what="sheet", path=project.folder / "sheet.png")
    yield Finished(stage="measure", summary=values)


def _main_faces(
    project: Project, side: Side, clips: Sequence[Footage]
) -> Generator[Event, Order | None, list[FaceTrack]]:
    """The faces of each clip of a side that has any, with notes on its faceset."""
    faceset = Faceset(project.faces(side))
    yield from faceset_notes(faceset)
    ours = rows_of_clips(project, side, faceset, clips)
    yield from notes_on_gathered(faceset, np.any(ours, axis=0), "they are not measured")
    tracks = [
        FaceTrack(clip, select_main_faces(faceset.faces[rows]))
        for clip, rows in zip(clips, ours, strict=True)
    ]
    return [track for track in tracks if track.points] or tracks[:1]


def select_main_faces(faces: Faces) -> dict[int, Floats]:
    """The largest face of each frame, by frame: landmarks (68, 2), not smoothed."""
    area = np.prod(faces.box[:, 2:] - faces.box[:, :2], axis=1)
    return {int(faces.frame[row]): faces.raw[row] for row in np.argsort(area, kind="stable")}


def format_measures(values: dict[str, Any]) -> str:
    """The measures in one line for people."""
    parts = [said] if (said := values.get("quality")) else []
    if values.get("identity_shift") is not None:
        parts.append(f"identity shift {values['identity_shift']:.2f} (0 = dst, 1 = src)")
    if values.get("movement") is not None:
        parts.append(
            f"movement of the expression {values['movement']:.2f} of dst's, in step"
            f" {values['movement_correlation']:.2f}"
        )
    if values.get("jitter_result") is not None:
        parts.append(
            f"jitter {values['jitter_result']:.2f} % of the eye distance (dst"
            f" {values['jitter_dst']:.2f} %)"
        )
    return "; ".join(
        [*parts, f"{values['faces_found']} of {values['faces_expected']} faces found again"]
    )


def _find_again(
    footage: Footage, dst: FaceTrack, settings: ExtractOptions, every: int
) -> Generator[Event, Order | None, dict[int, Floats] | None]:
    """The face of each frame of the result that lies where dst's was; None when stopped."""
    look = make_analyser(settings)
    indices = _expected(footage, dst, every)
    found: dict[int, Floats] = {}
    yield Started(stage="measure", total=len(indices))
    for done, frame in enumerate(footage.iter_frames(indices), start=1):
        there = dst.points[frame.index]
        seen = [each.landmarks for each in look(frame.index, as_bytes(frame.image))]
        near = [(float(np.abs(points.mean(0) - there.mean(0)).max()), points) for points in seen]
        near = [
            (distance, points)
            for distance, points in near
            if distance < float(np.ptp(there[:, 0])) / 2
        ]
        if near:
            found[frame.index] = min(near, key=lambda one: one[0])[1]
        if isinstance((yield Progress(stage="measure", done=done, total=len(indices))), Stop):
            return None
    return found


def _expected(footage: Footage, dst: FaceTrack, every: int) -> list[int]:
    """The frames of the result in which a face is looked for. Raises NoFaces."""
    indices = [index for index in range(0, len(footage), every) if index in dst.points]
    if not indices:
        raise NoFaces(
            f"{footage.path}: dst has no face in any of these frames. Look at the video: is it the"
            " result of this show?"
        )
    return indices


def _too_few(found: int, expected: int, project: Project) -> str:
    return (
        f"A face is found again in {found} of {expected} frames of the result, so neither whose it"
        f" is nor how it moves is measured. Look at {project.folder / 'sheet.png'}: a model that"
        " learnt too little gives no face; train on, and merge again."
    )


def _describe(values: dict[str, Any]) -> str:
    """How good the swap is, in the words that training has for it."""
    figures = {
        "found": values["faces_found"] / values["faces_expected"],
        "identity": values.get("identity_shift"),
        "expression": values.get("movement_correlation"),
        "expression scale": values.get("movement"),
    }
    return describe_quality({name: one for name, one in figures.items() if one is not None})


def _measure_movement(result: FaceTrack, dst: FaceTrack, options: MeasureOptions) -> dict[str, Any]:
    shared = sorted(set(result.points) & set(dst.points))
    ours, theirs = (
        measures.expression_features(np.stack([side.points[index] for index in shared]))
        for side in (result, dst)
    )
    ratio, correlation = measures.expression_movement(ours, theirs)
    values: dict[str, Any] = {
        "movement": _known(ratio),
        "movement_correlation": _known(correlation),
    }
    if options.every == 1:
        ours, theirs = (_rows(side.points, len(dst.footage)) for side in (result, dst))
        slow = measures.slow_frames(theirs)
        values |= {
            "jitter_result": _known(measures.jitter(ours, slow)),
            "jitter_dst": _known(measures.jitter(theirs, slow)),
        }
    return values


def _measure_identity(
    src: Sequence[FaceTrack], dst: FaceTrack, result: FaceTrack, options: MeasureOptions
) -> Generator[Event, Order | None, dict[str, Any]]:
    if options.identity == "none":
        return {}
    try:
        embed = identities.configured(options.identity, options).build()
    except MissingExtra as error:
        yield Warned(text=f"Whose face it is was not measured. {error}")
        return {}
    rows = [_embed(tracks, embed, options.samples) for tracks in ([result], src, [dst])]
    try:
        shift = measures.identity_shift(*rows)
    except ValueError as error:
        yield Warned(text=f"Whose face it is was not measured: {error}")
        return {}
    return {f"identity_{name}": round(value, 4) for name, value in asdict(shift).items()}


def _embed(tracks: Sequence[FaceTrack], embed: Embed, count: int) -> Floats:
    return np.stack(
        [
            embed(as_bytes(frame.image), track.points[frame.index])
            for track, frames in _sample(tracks, count)
            for frame in track.footage.iter_frames(frames)
        ]
    )


def _sample(tracks: Sequence[FaceTrack], count: int) -> list[tuple[FaceTrack, list[int]]]:
    """At most `count` frames, evenly over all tracks by how many frames each has."""
    every = [
        (number, frame) for number, track in enumerate(tracks) for frame in sorted(track.points)
    ]
    places = np.unique(np.linspace(0, len(every) - 1, count).round().astype(int))
    chosen = [every[place] for place in places]
    return [
        (track, [frame for at, frame in chosen if at == number])
        for number, track in enumerate(tracks)
    ]


def _draw_sheet(
    src: Sequence[FaceTrack], dst: FaceTrack, result: FaceTrack, options: MeasureOptions
) -> Bytes:
    [(_, chosen)] = _sample([result], options.columns)
    shown = {
        "src": _sample(src, options.columns),
        "dst": [(dst, chosen)],
        "result": [(result, chosen)],
    }
    rows = {
        name: [
            crop_head(as_bytes(frame.image), track.points[frame.index], options.side)
            for track, frames in tracks
            for frame in track.footage.iter_frames(frames)
        ]
        for name, tracks in shown.items()
    }
    return draw_contact_sheet(rows, [f"frame {index}" for index in chosen])


def _rows(points: dict[int, Floats], count: int) -> NDArray[np.float64]:
    rows = np.full((count, 68, 2), np.nan)
    for index, each in points.items():
        rows[index] = each
    return rows


def _known(value: float) -> float | None:
    """JSON has no NaN: what could not be measured is null."""
    return round(value, 4) if math.isfinite(value) else None
