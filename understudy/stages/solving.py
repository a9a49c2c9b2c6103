"""From what single frames showed to tracks of people with steady points: the middle part of `extract`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from understudy.core import flow, people, shots, temporal, tracks
from understudy.core.flow import Carried
from understudy.core.image import as_bytes
from understudy.core.landmarks import face_size
from understudy.core.pose import pose
from understudy.errors import BadOption, NoFaces
from understudy.io.footage import BadFrame, Footage
from understudy.io.marks import Marks
from understudy.io.stills import read_image
from understudy.parts.detectors import Detection
from understudy.parts.landmarkers import Locate
from understudy.stages.extract_options import ExtractOptions
from understudy.stages.finds import Finds, Sighting
from understudy.stages.looking import embedder, locator, looker
from understudy.types import Bytes, Faces, Floats

# A landmarker that looks where a face should be found it when its points lie this near to there, in face sizes.
_NEAR = 0.1


@dataclass(frozen=True, slots=True)
class Solved:
    """All faces of the footage. faces: (N,), by frame, the largest first. seen: who some of them are, by rows of `faces`."""

    faces: Faces
    seen: tracks.Seen
    shots: int

    def chosen(self, options: ExtractOptions) -> Faces:
        """The faces that become pictures: of the person asked for, the largest of each frame. Raises BadOption, NoFaces."""
        faces, wanted = self.faces, self._wanted(options)
        if wanted is not None:
            faces = faces[faces.person == wanted]
        return faces[places(faces) < options.max_faces] if options.max_faces else faces

    def _wanted(self, options: ExtractOptions) -> int | None:
        """The number of the person to keep; None = everyone."""
        if options.person < 0 and not options.like:
            return None
        known = np.unique(self.faces.person[self.faces.person >= 0])
        if not len(known):
            raise BadOption(
                "extract: nobody can be told apart here, so --person and --like choose nothing. "
                "Install the extra: pip install 'understudy[dlib]', and leave --identity at auto."
            )
        if options.like:
            return self._like(options)
        if options.person not in known:
            raise BadOption(f"extract: there is no person {options.person}, only 0 to {known[-1]}; the report shows them.")
        return options.person

    def _like(self, options: ExtractOptions) -> int:
        """Who looks most like the one face on a picture. Raises NoFaces."""
        path = Path(options.like)
        image = as_bytes(read_image(path))
        shown = looker(options)(0, image)
        embed = embedder(options.identity)
        if not shown or embed is None:
            raise NoFaces(f"{path}: no face found on it. Give a picture that shows the person's face clearly.")
        person: int | None = people.like(self.faces.person[self.seen.rows], self.seen.vectors, embed(image, shown[0].landmarks))
        if person is None:
            raise NoFaces(f"{path}: nobody in the footage looks like this. Choose by number (--person); the report shows them.")
        return person


def solve(finds: Finds, footage: Footage, options: ExtractOptions, marks: Marks) -> Solved:
    """Tracks, people and steady points of everything that was found; short gaps in a track are filled.

    finds: of the whole footage, in the order of frames. What is marked as no face is not filled. Deterministic.
    """
    if not len(finds.frame):
        return Solved(Faces.empty(), tracks.Seen.nothing(), 1)
    shot = shots.shots(finds.signature)
    by_frame = shot[np.maximum(np.searchsorted(finds.frames, np.arange(len(footage)), "right") - 1, 0)]
    seen = tracks.Seen(finds.known, finds.identity)
    track = tracks.tracks(_faces(finds), by_frame, float(footage.fps), seen)
    filled = [] if options.every > 1 else _filled(replace(_faces(finds), track=track), footage, options, marks)
    finds = finds.with_more([face for _, face in filled])
    track = np.concatenate([track, [number for number, _ in filled]]).astype(np.int64)
    steady = _steady(finds, track, options)
    faces = replace(
        _faces(finds),
        landmarks=steady,
        raw=finds.landmarks,
        track=track,
        person=people.people(track, finds.frame, seen),
        filled=finds.score == 0,
        pose=np.stack([pose(points, (w, h)) for points, (w, h) in zip(steady, finds.frame_size.tolist(), strict=True)]),
    )
    # The lesser of two finds of one face has no track.
    kept = np.flatnonzero(track >= 0)
    area = (faces.box[:, 2:] - faces.box[:, :2]).prod(axis=1)
    order = kept[np.lexsort((-area[kept], faces.frame[kept]))]
    place = np.full(len(faces), -1, np.int64)
    place[order] = np.arange(len(order))
    known = place[seen.rows] >= 0
    return Solved(faces[order], tracks.Seen(place[seen.rows[known]], seen.vectors[known]), int(shot[-1]) + 1)


def places(faces: Faces) -> NDArray[np.int64]:
    """The place of each face among those of its frame, (N,), the largest first from 0."""
    return np.arange(len(faces)) - np.searchsorted(faces.frame, faces.frame)


def _faces(finds: Finds) -> Faces:
    """What was found as a table of faces that knows of no track, person or pose yet."""
    nobody = np.full(len(finds.frame), -1, np.int64)
    return Faces(
        frame=finds.frame,
        box=finds.box,
        landmarks=finds.landmarks,
        score=finds.score,
        track=nobody,
        pose=np.zeros((len(nobody), 3), np.float32),
        identity=None,
        person=nobody,
        filled=np.zeros(len(nobody), bool),
        raw=finds.landmarks,
    )


def _filled(faces: Faces, footage: Footage, options: ExtractOptions, marks: Marks) -> list[tuple[int, Sighting]]:
    """Faces for the frames that short gaps in tracks leave out, each with its track; score 0 where only flow tells of it."""
    locate = locator(options)
    result: list[tuple[int, Sighting]] = []
    for gap in tracks.gaps(faces, faces.track, round(options.fill * float(footage.fps))):
        frames = range(int(faces.frame[gap.first_row]), int(faces.frame[gap.last_row]) + 1)
        attempts = list(footage.attempts(frames))
        images = [as_bytes(attempt.image) for attempt in attempts if not isinstance(attempt, BadFrame)]
        if len(images) < len(frames):
            continue
        forward = flow.chained(images, faces.landmarks[gap.first_row])[:-1]
        backward = flow.chained(images[::-1], faces.landmarks[gap.last_row])[-2::-1]
        points = temporal.bridged(forward, backward)
        for step, frame in enumerate(frames[1:-1] if points is not None else ()):
            assert points is not None
            share = (step + 1) / len(frames[1:])
            box = (1 - share) * faces.box[gap.first_row] + share * faces.box[gap.last_row]
            if marks.at(frame) is None:
                result.append(
                    (gap.track, _confirmed(locate, images[step + 1], Sighting(frame, box, points[step], 0.0, footage.size)))
                )
    return result


def _confirmed(locate: Locate, image: Bytes, face: Sighting) -> Sighting:
    """The face as the landmarker sees it after all, where it finds it just there; else as it is."""
    found = locate(image, Detection(face.box, 1.0, 0.0, np.zeros((0, 2), np.float32)))
    if found is None:
        return face
    apart = float(np.linalg.norm(found.landmarks - face.landmarks, axis=-1).mean())
    near = apart < _NEAR * float(face_size(face.landmarks))
    return replace(face, landmarks=found.landmarks, score=found.score) if near else face


def _steady(finds: Finds, track: NDArray[np.int64], options: ExtractOptions) -> Floats:
    """The points of all faces without what trembles, (N, 68, 2); each unbroken run of a track by itself."""
    result = finds.landmarks.copy()
    if options.steady == "off" or options.every > 1:
        return result
    for rows in _runs(finds.frame, track):
        if options.steady == "filter":
            result[rows] = temporal.filtered(finds.landmarks[rows])
        else:
            there = Carried(finds.ahead[rows[:-1]], finds.ahead_error[rows[:-1]])
            back = Carried(finds.back[rows[1:]], finds.back_error[rows[1:]])
            result[rows] = temporal.steady(finds.landmarks[rows], there, back)
    return result


def _runs(frame: NDArray[np.int64], track: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Rows of one track in frames next to each other, run by run."""
    order = np.lexsort((frame, track))
    order = order[track[order] >= 0]
    breaks = np.flatnonzero((np.diff(track[order]) != 0) | (np.diff(frame[order]) != 1)) + 1
    return [run for run in np.split(order, breaks) if len(run)]
