"""Crops faces out of a range of frames: the last part of `extract`, a task for one process."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np
from numpy.typing import NDArray

from understudy.core.drawing.overlay import draw_overlay
from understudy.core.face import align
from understudy.core.image import as_bytes, warp
from understudy.errors import BadMedia
from understudy.io.faceset import face_image
from understudy.io.footage import stills
from understudy.io.footage.base import BadFrame, Footage
from understudy.parts.iris import load_eye_network
from understudy.stages.extract.detect import FRAME_ERRORS
from understudy.stages.extract.options import ExtractOptions
from understudy.stages.extract.track import TrackedFaces
from understudy.stages.parallel.footage_reader import FootageHandle, open_reader
from understudy.stages.parallel.prefetch import prefetch
from understudy.stages.parallel.tally import Steps
from understudy.types import AlignedFace, Bytes, Doubles, Face, Faces, Marking

_DEPTH = 4
_DEBUG_QUALITY = 85


@dataclass(frozen=True, slots=True)
class CropTask:
    """The faces to crop out of these frames, ascending.

    numbers: (N,) the place of each face among its frame's; -1 = it gets no picture. prefix: of the
    names of the pictures.
    """

    film: FootageHandle
    frames: Sequence[int]
    faces: Faces
    numbers: NDArray[np.int64]
    options: ExtractOptions
    prefix: str = ""


class CropTasks(Sequence[CropTask]):
    """The tasks of a run, each made when it is asked for: the points of all faces are many.

    chosen: which faces of `solved` the frames show. numbers: of each, as in a task. frames: those
    of each task, ascending, none of them empty. prefix: of the names of the pictures.
    """

    def __init__(
        self,
        film: FootageHandle,
        solved: TrackedFaces,
        chosen: NDArray[np.int64],
        numbers: NDArray[np.int64],
        frames: Sequence[NDArray[np.int64]],
        options: ExtractOptions,
        prefix: str = "",
    ) -> None:
        self._film, self._solved, self._chosen, self._frames, self._options = (
            film,
            solved,
            chosen,
            frames,
            options,
        )
        self._prefix = prefix
        self._frame = solved.frame[chosen]
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._frames)

    @overload
    def __getitem__(self, number: int) -> CropTask: ...
    @overload
    def __getitem__(self, number: slice) -> list[CropTask]: ...
    def __getitem__(self, number: int | slice) -> CropTask | list[CropTask]:
        if isinstance(number, slice):
            return [self[each] for each in range(len(self))[number]]
        frames = self._frames[number]
        first, last = np.searchsorted(self._frame, frames[[0, -1]] + [0, 1])
        rows = first + np.flatnonzero(np.isin(self._frame[first:last], frames))
        faces = self._solved.faces(self._chosen[rows])
        return CropTask(
            self._film, frames.tolist(), faces, self._numbers[rows], self._options, self._prefix
        )


@dataclass(frozen=True, slots=True)
class CropResult:
    """Files to write, as (name, bytes).

    pictures: of faces. overlays: frames with what was found drawn onto them. failed: frame, reason.
    """

    pictures: list[tuple[str, bytes]]
    overlays: list[tuple[str, bytes]]
    failed: list[tuple[int, str]]


def crop_faces(task: CropTask) -> Steps[CropResult]:
    """Crop and encode the task's pictures, a step for each frame; one that fails is listed."""
    reader, result = open_reader(task.film, rough=False), CropResult([], [], [])
    with contextlib.closing(prefetch(reader.iter_frames_or_bad(task.frames), _DEPTH)) as attempts:
        for attempt in attempts:
            rows = np.flatnonzero(task.faces.frame == attempt.index).tolist()
            try:
                if isinstance(attempt, BadFrame):
                    raise BadMedia(attempt.reason)
                image = as_bytes(attempt.image)
                size = (image.shape[1], image.shape[0])
                points = [task.faces.landmarks[row] for row in rows]
                maps = [
                    align.face_from_frame(each, task.options.face_type, task.options.size, size)
                    for each in points
                ]
                for row, face_from_frame in zip(rows, maps, strict=True):
                    if task.numbers[row] < 0:
                        continue
                    seen = _look_at_eyes(image, task.faces.face(row), task.options)
                    face = _align(reader.footage, image, seen, face_from_frame, task)
                    number = f"{attempt.index:06d}_{task.numbers[row]}"
                    name = f"{task.prefix}{number}.{task.options.format}"
                    result.pictures.append(
                        (
                            name,
                            face_image.encode(
                                face, f".{task.options.format}", task.options.jpg_quality
                            ),
                        )
                    )
                if task.options.debug != "off":
                    drawn = draw_overlay(
                        image, task.faces[rows], np.stack(maps) if maps else None, task.options.size
                    )
                    result.overlays.append(
                        (
                            f"{attempt.index:06d}.jpg",
                            stills.encode_image(drawn, ".jpg", _DEBUG_QUALITY),
                        )
                    )
            except FRAME_ERRORS as error:
                result.failed.append((attempt.index, str(error)))
            yield
    return result


def _look_at_eyes(image: Bytes, face: Face, options: ExtractOptions) -> Face:
    """The face with its gaze and lids, where they are asked for and are to be seen."""
    if not options.eyes or face.filled or face.marked is Marking.LAID:
        return face
    gaze, lids = load_eye_network()(image, face.landmarks)
    is_seen = np.isfinite(gaze).all()
    return replace(face, gaze=gaze if is_seen else None, lids=lids)


def _align(
    footage: Footage, image: Bytes, face: Face, face_from_frame: Doubles, task: CropTask
) -> AlignedFace:
    # What lies outside the frame is as its edge: black would pull the colours of the face to it.
    side = task.options.size
    picture = warp(image, face_from_frame, (side, side), "replicate")
    pts = float(footage.seconds(face.frame)) if footage.is_video else None
    return AlignedFace(
        face,
        picture,
        face_from_frame,
        task.options.face_type,
        source=footage.path.name,
        pts=pts,
        footage=task.film.source.key,
    )
