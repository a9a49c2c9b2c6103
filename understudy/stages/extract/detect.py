"""Detects faces in a range of frames: the first part of `extract`, a task for one process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2

from understudy.core import affine
from understudy.core.image import as_bytes
from understudy.core.tracking import optical_flow, shots
from understudy.errors import BadMedia, DegeneratePoints
from understudy.io.faceset.manual_marks import Marks
from understudy.io.footage.base import BadFrame
from understudy.parts.identities import Embed
from understudy.stages.extract.detections import DetectedFace, Detections
from understudy.stages.extract.face_analyser import make_analyser, make_embedder
from understudy.stages.extract.options import ExtractOptions
from understudy.stages.parallel.footage_reader import FootageHandle, open_reader
from understudy.stages.parallel.prefetch import prefetch
from understudy.stages.parallel.tally import Steps
from understudy.types import Bytes, Floats, Marking

# Boxes of neighbouring frames that overlap by this much show one face; so far do two that stand
# close reach for each other.
_STAYED, _NEAR = 0.3, 0.02
# Frames decoded ahead of the one that is looked at.
_DEPTH = 4
# What a single bad frame may raise; anything else is about the whole run, and ends it.
FRAME_ERRORS = (BadMedia, DegeneratePoints, ArithmeticError, ValueError, cv2.error)


@dataclass(frozen=True, slots=True)
class DetectTask:
    """Frames of a footage to look at, ascending.

    The flow is followed on into frame `following`; -1 = into none.
    """

    film: FootageHandle
    frames: Sequence[int]
    options: ExtractOptions
    marks: Marks
    following: int = -1


def detect_faces(task: DetectTask) -> Steps[Detections]:
    """Detect the faces of the task's frames and of the next one; a frame that fails is listed.

    Yields after each frame.

    Raises:
        BadOption: No such part.
        MissingExtra: A part's package is not installed.
        WeightsMissing: A part's weights are not there.
    """
    options, reader = task.options, open_reader(task.film, rough=True)
    look, embed = make_analyser(options, task.marks), make_embedder(options)
    seen: list[DetectedFace] = []
    looked: list[int] = []
    signatures: list[Floats] = []
    failed: list[tuple[int, str]] = []
    # Neighbouring photographs may show different people in one place.
    are_pictures = task.film.any_size and not reader.footage.is_video
    before = _Frame(-2, None, [])
    wanted = [*task.frames, *([task.following] if task.following >= 0 else [])]
    with (
        _one_thread(),
        contextlib.closing(prefetch(reader.iter_frames_or_bad(wanted), _DEPTH)) as attempts,
    ):
        for attempt in attempts:
            try:
                if isinstance(attempt, BadFrame):
                    raise BadMedia(attempt.reason)
                image = as_bytes(attempt.image)
                now = _Frame(attempt.index, image, look(attempt.index, image))
            except FRAME_ERRORS as error:
                failed.append((attempt.index, str(error)))
                before = _Frame(-2, None, [])
                yield
                continue
            if options.follows_flow and before.index == now.index - 1:
                _follow_flow(before, now)
            signature = shots.frame_signature(image)
            if are_pictures and signatures and shots.looks_other(signature, signatures[-1]):
                before = _Frame(-2, None, [])
            if embed is not None and now.index != task.following:
                _sample_identities(embed, now, before, options)
            seen += now.faces
            looked.append(now.index)
            signatures.append(signature)
            before = now
            yield
    return Detections.of(seen, looked, signatures, failed)


@dataclass(frozen=True, slots=True)
class _Frame:
    """A frame that was looked at."""

    index: int
    image: Bytes | None
    faces: list[DetectedFace]


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """OpenCV on one thread, so that the result is the same everywhere.

    Into how many strips it cuts a picture for several threads changes the flow, and so the faceset.
    """
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _follow_flow(before: _Frame, now: _Frame) -> None:
    """Note where the points of each face lie in the other frame, as the picture moved."""
    assert before.image is not None and now.image is not None
    for face in before.faces:
        same = max(
            now.faces, key=lambda other: float(affine.iou(face.box, other.box)), default=None
        )
        if same is None or same.back is not None or affine.iou(face.box, same.box) < _STAYED:
            continue
        face.ahead, same.back = optical_flow.track_both_ways(
            before.image, now.image, face.landmarks, same.landmarks
        )


def _sample_identities(embed: Embed, now: _Frame, before: _Frame, options: ExtractOptions) -> None:
    """Sample identities: now and then, for a new face, and often while it touches another."""
    assert now.image is not None
    every, has_detector = options.sample, options.detector != "manual"
    for face in now.faces:
        if face.marked is Marking.LAID or (face.marked and has_detector):
            # Of what a detector missed little is to be seen.
            continue
        is_new = not any(affine.iou(face.box, other.box) > _STAYED for other in before.faces)
        is_close = any(
            affine.iou(face.box, other.box) > _NEAR for other in now.faces if other is not face
        )
        if is_new or now.index % every == 0 or (is_close and now.index % 2 == 0):
            face.identity = embed(now.image, face.landmarks)
