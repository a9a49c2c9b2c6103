"""Tracks faces through the footage and smooths their points: the middle part of `extract`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from understudy.core.face.landmarks import face_size
from understudy.core.face.pose import estimate_pose
from understudy.core.image import as_bytes
from understudy.core.row_blocks import iter_row_blocks
from understudy.core.tracking import (
    identity_clusters,
    link,
    optical_flow,
    shots,
    smooth_long,
)
from understudy.core.tracking.gaps import fill_gap
from understudy.errors import BadOption, NoFaces
from understudy.io.faceset.manual_marks import Marks
from understudy.io.footage.base import BadFrame, Footage
from understudy.io.installation import install_extra
from understudy.parts.detectors import Detection
from understudy.parts.landmarkers import Locate
from understudy.stages.extract.detection_store import DetectionStore
from understudy.stages.extract.detections import DetectedFace
from understudy.stages.extract.face_analyser import identify_picture, make_landmarker
from understudy.stages.extract.marked_faces import is_marked_place, shape_after_tracks
from understudy.stages.extract.options import ExtractOptions
from understudy.types import Bytes, Faces, FloatRows, Floats

# A landmarker that looks where a face should be found it when its points lie this near to there, in
# face sizes.
_NEAR = 0.1


@dataclass(frozen=True, slots=True)
class TrackedFaces:
    """All faces of the footage by frame, the largest first: the columns of `Faces`, points on disk.

    frame_size: (N, 2) width and height of the frame of each. rows: (N,) where a face stands in
    `landmarks` and `raw`. identities: of some of them.
    """

    frame: NDArray[np.int64]
    box: Floats
    score: Floats
    track: NDArray[np.int64]
    pose: Floats
    person: NDArray[np.int64]
    frame_size: NDArray[np.int64]
    rows: NDArray[np.int64]
    landmarks: FloatRows
    raw: FloatRows
    identities: link.IdentitySamples
    marked: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.frame)

    def select(self, options: ExtractOptions) -> NDArray[np.int64]:
        """Select the faces that become pictures: of the wanted person, the largest of each frame.

        Returns:
            (M,) rows.

        Raises:
            BadOption: There is no such person.
            NoFaces: Nobody looks like the picture.
        """
        wanted = self._wanted(options)
        chosen = np.arange(len(self)) if wanted is None else np.flatnonzero(self.person == wanted)
        return (
            chosen[rank_in_frame(self.frame[chosen]) < options.max_faces]
            if options.max_faces
            else chosen
        )

    def faces(self, chosen: NDArray[np.int64]) -> Faces:
        """Those faces, in memory; chosen: (M,) rows."""
        rows = self.rows[chosen]
        return Faces(
            frame=self.frame[chosen],
            box=self.box[chosen],
            landmarks=self.landmarks[rows],
            score=self.score[chosen],
            track=self.track[chosen],
            pose=self.pose[chosen],
            identity=self._identities(self.track[chosen]),
            person=self.person[chosen],
            filled=self.filled[chosen],
            raw=self.raw[rows],
            marked=self.marked[chosen],
        )

    def _identities(self, track: NDArray[np.int64]) -> Floats | None:
        """The mean identity of each of (M,) tracks, (M, D) of length 1; NaN where none was asked.

        Steadier than one look, and of a head in profile the only one that tells.
        """
        if not len(self.identities.rows):
            return None
        vectors = self.identities.vectors.astype(np.float64)
        known, place = np.unique(self.track[self.identities.rows], return_inverse=True)
        means = np.zeros((len(known) + 1, vectors.shape[1]))
        np.add.at(means, place, vectors)
        means[:-1] /= np.maximum(np.linalg.norm(means[:-1], axis=1, keepdims=True), 1e-9)
        means[-1] = np.nan
        at = np.minimum(np.searchsorted(known, track), len(known) - 1)
        return means[np.where(known[at] == track, at, -1)].astype(np.float32)

    @property
    def filled(self) -> NDArray[np.bool_]:
        """Which faces no detector saw."""
        return np.asarray(self.score == 0)

    def _wanted(self, options: ExtractOptions) -> int | None:
        """The number of the person to keep; None = everyone."""
        if options.person is None and options.like is None:
            return None
        known = np.unique(self.person[self.person >= 0])
        if not len(known):
            raise BadOption(
                "extract: people are not told apart here, so --person and --like choose nothing."
                f" Leave --identity at auto, and run: {install_extra('dlib')}."
            )
        if options.like is not None:
            return self._like(Path(options.like), options)
        if options.person not in known:
            raise BadOption(
                f"extract: there is no person {options.person}, only 0 to {known[-1]}; the report"
                " shows them."
            )
        return options.person

    def _like(self, path: Path, options: ExtractOptions) -> int:
        """Who looks most like the one face on a picture. Raises NoFaces."""
        person: int | None = identity_clusters.match_identity(
            self.person[self.identities.rows],
            self.identities.vectors,
            identify_picture(path, options),
        )
        if person is None:
            raise NoFaces(
                f"{path}: nobody in the footage looks like this. Choose by number (--person); the"
                " report shows them."
            )
        return person


def track_faces(
    found: DetectionStore,
    footage: Footage,
    options: ExtractOptions,
    marks: Marks,
    *,
    any_size: bool = False,
) -> TrackedFaces:
    """Tell tracks and people of all detections, smooth their points and fill short gaps.

    Deterministic. What is marked as no face is not filled.

    Args:
        found: Of the whole footage; it is used up.
        footage: Where gaps are filled from.
        options: How to smooth and fill.
        marks: What was marked by hand.
        any_size: Whether the pictures of a folder may be photographs, each of them a shot.
    """
    track = _link_tracks(found, footage, any_size and not footage.is_video)
    shape_after_tracks(found, track, marks)
    filled = [] if options.every > 1 else _fill_gaps(found, track, footage, options, marks)
    found = found.append_faces([face for _, face in filled])
    track = np.concatenate([track, [number for number, _ in filled]]).astype(np.int64)
    steady = _smooth(found, track, options)
    # The lesser of two finds of one face has no track.
    kept = np.flatnonzero(track >= 0)
    area = (found.box[:, 2:] - found.box[:, :2]).prod(axis=1)
    rows = kept[np.lexsort((-area[kept], found.frame[kept]))]
    place = np.full(len(found), -1, np.int64)
    place[rows] = np.arange(len(rows))
    known = place[found.identities.rows] >= 0
    return TrackedFaces(
        frame=found.frame[rows],
        box=found.box[rows],
        score=found.score[rows],
        track=track[rows],
        pose=_estimate_poses(steady, rows, found.frame_size),
        person=identity_clusters.cluster_identities(track, found.frame, found.identities)[rows],
        frame_size=found.frame_size[rows],
        rows=rows,
        landmarks=steady,
        raw=found.landmarks,
        identities=link.IdentitySamples(
            place[found.identities.rows[known]], found.identities.vectors[known]
        ),
        marked=found.marked[rows],
    )


def rank_in_frame(frame: NDArray[np.int64]) -> NDArray[np.int64]:
    """The place of each face among those of its frame, (N,), from 0. frame: (N,) ascending."""
    return np.arange(len(frame)) - np.searchsorted(frame, frame)


def _link_tracks(found: DetectionStore, footage: Footage, are_pictures: bool) -> NDArray[np.int64]:
    """The track of each face, (N,), -1 = none."""
    if found.signature is None:
        return np.zeros(0, np.int64)
    shot = shots.part_photographs(found.signature) if are_pictures else None
    if shot is None:
        shot = shots.detect_shots(found.signature)
    # A picture of another size is no frame of that film.
    is_other = (np.diff(found.frame_size, axis=0) != 0).any(axis=1)
    shot = shot + np.searchsorted(found.frame[1:][is_other], found.frames, "right")
    by_frame = shot[
        np.maximum(np.searchsorted(found.frames, np.arange(len(footage)), "right") - 1, 0)
    ]
    return link.link_tracks(found, by_frame, float(footage.fps), found.identities)


def _estimate_poses(
    landmarks: FloatRows, rows: NDArray[np.int64], frame_size: NDArray[np.int64]
) -> Floats:
    """The pose of each face, (N, 3). frame_size: (M, 2), as `landmarks` (M, 68, 2)."""
    result = np.zeros((len(rows), 3), np.float32)
    for some in iter_row_blocks(len(rows)):
        for at, points, (width, height) in zip(
            some, landmarks[rows[some]], frame_size[rows[some]].tolist(), strict=True
        ):
            result[at] = estimate_pose(points, (width, height))
    return result


def _fill_gaps(
    found: DetectionStore,
    track: NDArray[np.int64],
    footage: Footage,
    options: ExtractOptions,
    marks: Marks,
) -> list[tuple[int, DetectedFace]]:
    """Faces for the frames that short gaps in tracks leave out, each with its track.

    Their score is 0 where only flow knows of them. No face is in a frame that shows nothing, and
    none can be followed through it.
    """
    locate = make_landmarker(options)
    result: list[tuple[int, DetectedFace]] = []
    for gap in link.find_gaps(found, track, round(options.fill * float(footage.fps))):
        rows = np.array([gap.first_row, gap.last_row])
        frames = range(*(found.frame[rows] + (0, 1)).tolist())
        attempts = list(footage.iter_frames_or_bad(frames))
        images = [
            as_bytes(attempt.image) for attempt in attempts if not isinstance(attempt, BadFrame)
        ]
        if len(images) < len(frames) or shots.any_shows_nothing(images):
            continue
        first, last = found.landmarks[rows]
        forward, backward = (
            optical_flow.track_through(images, first)[:-1],
            optical_flow.track_through(images[::-1], last)[-2::-1],
        )
        points = fill_gap(forward, backward)
        for step, frame in enumerate(frames[1:-1] if points is not None else ()):
            assert points is not None
            share = (step + 1) / len(frames[1:])
            box = (1 - share) * found.box[gap.first_row] + share * found.box[gap.last_row]
            marked = marks.at(frame)
            if marked is None or (marked and not is_marked_place(points[step], marked)):
                result.append(
                    (
                        gap.track,
                        _confirm(
                            locate,
                            images[step + 1],
                            DetectedFace(frame, box, points[step], 0.0, footage.size),
                        ),
                    )
                )
    return result


def _confirm(locate: Locate, image: Bytes, face: DetectedFace) -> DetectedFace:
    """The face as the landmarker sees it after all, where it finds it just there; else as it is."""
    found = locate(image, Detection(face.box, 1.0, 0.0, np.zeros((0, 2), np.float32)))
    if found is None:
        return face
    apart = float(np.linalg.norm(found.landmarks - face.landmarks, axis=-1).mean())
    near = apart < _NEAR * float(face_size(face.landmarks))
    return replace(face, landmarks=found.landmarks, score=found.score) if near else face


def _smooth(found: DetectionStore, track: NDArray[np.int64], options: ExtractOptions) -> FloatRows:
    """The smoothed points of all faces, (N, 68, 2); each unbroken run of a track by itself."""
    if options.steady == "off" or options.every > 1:
        return found.landmarks
    result = found.landmarks.blank()
    for run in _find_runs(found.frame, track):
        done = (
            smooth_long.smooth_savgol_in_parts(found.landmarks, run)
            if options.steady == "filter"
            else smooth_long.smooth_with_flow(found, run)
        )
        for rows, points in done:
            result[rows] = points
    return result


def _find_runs(frame: NDArray[np.int64], track: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Rows of one track in frames next to each other, run by run."""
    order = np.lexsort((frame, track))
    order = order[track[order] >= 0]
    breaks = np.flatnonzero((np.diff(track[order]) != 0) | (np.diff(frame[order]) != 1)) + 1
    return [run for run in np.split(order, breaks) if len(run)]
