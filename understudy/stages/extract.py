"""`extract`: the faces of the footage, upright and cropped, as pictures that say where they came from."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, Literal

import cv2

from understudy.core import align, geometry
from understudy.core.image import as_bytes, warp
from understudy.core.pose import pose
from understudy.errors import BadMedia, DegeneratePoints, NoFaces
from understudy.io.faceset import Faceset
from understudy.io.footage import Footage, open_footage
from understudy.options import Options, option
from understudy.parts.detectors import Detection, detectors
from understudy.parts.detectors.blazeface import BlazeFace
from understudy.parts.landmarkers import Found, landmarkers
from understudy.parts.landmarkers.facemesh import FaceMesh
from understudy.stages import extracted
from understudy.stages.events import (
    Change,
    Event,
    FailedFrame,
    Finished,
    Note,
    Order,
    Progress,
    Save,
    Saved,
    Stage,
    Started,
    Stop,
    Warned,
)
from understudy.stages.extracted import Extracted, Source
from understudy.stages.jobs import verb
from understudy.stages.ordered import cores, in_order
from understudy.stages.project import Project
from understudy.types import AlignedFace, Bytes, Face, FaceType, Frame, Side

FindFaces = Callable[[Frame], list[AlignedFace]]
Decoded = tuple[int, Frame | BadMedia]
Attempt = Callable[[Decoded], tuple[int, list[AlignedFace], str | None]]

# Points that overlap by this much lie on one face: two people cheek to cheek stand side by side.
_SAME_FACE = 0.5
# The record is written this often: so much work a killed run loses at most.
_SAVE_SECONDS = 2.0
# What a single bad frame may raise; anything else is about the whole run, and ends it.
_FRAME_ERRORS = (BadMedia, DegeneratePoints, ArithmeticError, ValueError, cv2.error)


class ExtractOptions(Options):
    """What `extract` asks. The settings of a part stand under its name."""

    detector: str = option("blazeface", "What finds faces")
    landmarker: str = option("facemesh", "What finds the 68 points of a face")
    blazeface: BlazeFace = option(BlazeFace(), "Settings of the detector blazeface")
    facemesh: FaceMesh = option(FaceMesh(), "Settings of the landmarker facemesh")
    face_type: FaceType = option("full", "How much of the head the pictures show; a model needs its own type or a wider one")
    size: int = option(512, "Side of the pictures", low=256, high=2048, unit="pixels")
    format: Literal["jpg", "png"] = option("jpg", "Kind of picture; png loses nothing and is 4 to 5 times as large")
    quality: int = option(95, "Quality of jpg", low=1, high=100)
    max_faces: int = option(0, "Keep only so many faces of a frame, the largest; 0 = all", low=0)
    every: int = option(1, "Take every n-th frame only", low=1)
    workers: int = option(0, "Threads that look for faces; 0 = one a CPU core, at most 8", low=0, high=64)
    redo: bool = option(False, "Start anew; the old faces are moved to faces_old_N beside, not deleted")

    def shaping(self) -> dict[str, Any]:
        """The options that the pictures depend on, as plain values: settings of parts that are not in use are left out."""
        unused = {"blazeface", "facemesh"} - {self.detector, self.landmarker}
        return self.model_dump(mode="json", exclude={"redo", "workers", *unused})


@verb
def extract(show: Path, side: Literal["src", "dst", "both"] = "both", *, options: ExtractOptions) -> Stage:
    """Find the faces in the footage of a show and write them as face pictures; a run that was stopped goes on.

    side: whose footage. Raises BadProject when faces made with other options are there (see `redo`), NoFaces when the whole
    footage shows none.
    """
    project = Project.load(show)
    options = project.options("extract", options)
    sides: tuple[Side, ...] = ("src", "dst") if side == "both" else (side,)
    for each in sides:
        with project.held(each), open_footage(project.footage(each)) as footage:
            goes_on = yield from _extract_side(footage, Faceset(project.faces(each)), each, options)
        if not goes_on:
            return


def find_faces(footage: Footage, options: ExtractOptions) -> Callable[[Frame], list[AlignedFace]]:
    """A function from a frame of `footage` to its faces, aligned, largest first. Raises BadOption, WeightsMissing."""
    detect = (options.blazeface if options.detector == "blazeface" else detectors[options.detector]()).build()
    locate = (options.facemesh if options.landmarker == "facemesh" else landmarkers[options.landmarker]()).build()

    def aligned(frame: Frame, image: Bytes, detection: Detection) -> AlignedFace | None:
        found = locate(image, detection)
        if found is None:
            return None
        if not _fits(found, detection):
            return None
        matrix = align.face_from_frame(found.landmarks, options.face_type, options.size)
        score = min(detection.score, found.score)
        face = Face(frame.index, detection.box, found.landmarks, score, -1, pose(found.landmarks, footage.size))
        picture = warp(image, matrix, (options.size, options.size))
        pts = float(footage.seconds(frame.index)) if footage.is_video else None
        return AlignedFace(face, picture, matrix, options.face_type, source=footage.path.name, pts=pts)

    def faces(frame: Frame) -> list[AlignedFace]:
        image = as_bytes(frame.image)
        each = (aligned(frame, image, detection) for detection in sorted(detect(image), key=_area, reverse=True))
        return _distinct([face for face in each if face is not None])[: options.max_faces or None]

    return faces


def _extract_side(footage: Footage, faceset: Faceset, side: Side, options: ExtractOptions) -> Generator[Event, Order | None, bool]:
    """Extract what is left to do of one side; True when it ended by itself, False when it was told to stop."""
    if not len(footage):
        raise BadMedia(f"{footage.path}: no frames. Give footage with at least one.")
    workers = [_attempt(find_faces(footage, options)) for _ in range(options.workers or min(cores(), 8))]
    source = Source.of(footage.path, len(footage))
    record = extracted.prepared(faceset.folder, source, options.shaping(), options.redo)
    name, total = f"extract {side}", len(range(0, len(footage), options.every))
    yield Started(stage=name, total=total)
    if record.done:
        state = "all frames are done already; nothing to do" if record.is_complete else f"going on at frame {record.done}"
        yield Note(text=f"{side}: {state} ({record.faces} faces so far). To start anew: --redo.")
    # What failed before has not been mended since: it is told again, so that no run looks better than its faces.
    for frame, problem in record.failed:
        yield FailedFrame(frame=frame, text=problem)
    if not record.is_complete:
        goes_on = yield from _work(footage, faceset, workers, record, name, options)
        if not goes_on:
            yield Note(text=f"{side}: stopped before frame {record.done}. The same command goes on from there.")
            return False
    if record.faces == 0:
        raise NoFaces(_no_faces(footage, record, options))
    yield Saved(what="faceset", path=faceset.folder)
    yield Finished(stage=name, summary=_summary(record, faceset, side, total))
    return True


def _work(
    footage: Footage, faceset: Faceset, workers: list[Attempt], record: Extracted, name: str, options: ExtractOptions
) -> Generator[Event, Order | None, bool]:
    """Do the frames from record.done on, and keep the record; False when told to stop."""
    path, every = extracted.record_path(faceset.folder), options.every
    total = len(range(0, len(footage), every))
    before, began, saved = record.done, time.monotonic(), time.monotonic()
    frames = _decoded(footage, range(record.done, len(footage), every))
    record.save(path)
    try:
        with contextlib.closing(in_order(frames, workers)) as tried:
            for index, found, problem in tried:
                for number, face in enumerate(found):
                    faceset.add(face, number=number, suffix=f".{options.format}", quality=options.quality)
                record.advance(index, every, len(found), problem)
                order: Order | None = None
                if problem is not None:
                    order = yield FailedFrame(frame=index, text=problem)
                rate = (record.done - before) / every / max(time.monotonic() - began, 1e-9)
                values = {"faces": float(record.faces), "frames_per_second": rate}
                order = (yield Progress(stage=name, done=index // every + 1, total=total, values=values)) or order
                if isinstance(order, Stop):
                    return record.is_complete
                if isinstance(order, Change):
                    yield Warned(text="extract has no option that can change while it runs. Stop it, then run it with --redo.")
                if isinstance(order, Save) or time.monotonic() - saved > _SAVE_SECONDS:
                    record.save(path)
                    saved = time.monotonic()
    finally:
        record.save(path)
    return True


def _decoded(footage: Footage, indices: range) -> Iterator[Decoded]:
    """Each index with its frame, or with the reason why that one frame cannot be read."""
    while indices:
        try:
            for frame in footage.pick(indices):
                yield frame.index, frame
                indices = indices[1:]
            return
        except BadMedia as error:
            yield indices[0], error
            indices = indices[1:]


def _attempt(faces: FindFaces) -> Attempt:
    """A function from an index and its frame to the index, the faces, and why the frame failed, if it did."""

    def attempt(decoded: Decoded) -> tuple[int, list[AlignedFace], str | None]:
        index, frame = decoded
        if isinstance(frame, BadMedia):
            return index, [], str(frame)
        try:
            return index, faces(frame), None
        except _FRAME_ERRORS as error:
            return index, [], str(error)

    return attempt


def _distinct(faces: list[AlignedFace]) -> list[AlignedFace]:
    """The faces in their order, each person's once: of two whose points cover the same place the surer one stays.

    Two detections of one face are common; the landmarks then settle on the same features.
    """
    kept: list[AlignedFace] = []
    for face in sorted(faces, key=lambda each: each.face.score, reverse=True):
        box = geometry.box(face.face.landmarks)
        if all(geometry.overlap(box, geometry.box(other.face.landmarks)) < _SAME_FACE for other in kept):
            kept.append(face)
    return [face for face in faces if any(face is other for other in kept)]


def _fits(found: Found, detection: Detection) -> bool:
    """Whether the points span about what was detected: otherwise they have slipped onto something else.

    The half-face square covers 0.4 to 1.0 of a BlazeFace box on real faces; the bounds leave room for other detectors.
    """
    half = 1 / geometry.scale_of(align.face_from_frame(found.landmarks, "half", 1)) ** 2
    return 0.15 * _area(detection) < half < 2 * _area(detection)


def _area(detection: Detection) -> float:
    return float((detection.box[2] - detection.box[0]) * (detection.box[3] - detection.box[1]))


def _summary(record: Extracted, faceset: Faceset, side: Side, total: int) -> dict[str, Any]:
    return {
        "side": side,
        "frames": total,
        "faces": record.faces,
        "frames_without_a_face": record.empty_ranges(),
        "failed_frames": len(record.failed),
        "folder": str(faceset.folder),
    }


def _no_faces(footage: Footage, record: Extracted, options: ExtractOptions) -> str:
    if record.failed:
        return f"{footage.path}: no face found, and {len(record.failed)} frames failed, the first: {record.failed[0][1]}"
    advice = (
        "Lower blazeface.score, set blazeface.tiles to 1 for small faces"
        if options.detector == "blazeface"
        else "Try another detector"
    )
    return f"{footage.path}: no face found in any frame. {advice}, or give other footage."
