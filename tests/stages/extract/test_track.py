"""A long film is solved bit by bit, and the result is that of solving it all at once."""

import tracemalloc
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from landmark_tools import smooth_with_flow

from understudy.core import row_blocks
from understudy.core.face.pose import HEAD_MODEL, estimate_pose
from understudy.core.tracking import identity_clusters, link, shots, smooth, smooth_long
from understudy.core.tracking.optical_flow import TrackedPoints
from understudy.io.faceset.manual_marks import Marks
from understudy.stages.extract import track as extract_track
from understudy.stages.extract.crop import CropTasks
from understudy.stages.extract.detection_store import DetectionStore
from understudy.stages.extract.detections import Detections, concat_detections, drop_shared_frames
from understudy.stages.extract.options import ExtractOptions

FRAMES, SHOT, SIZE = 240, 100, (640, 480)
PICTURES = np.random.default_rng(5).uniform(0, 255, (9, 144)).astype(np.float32)
TREMBLE = np.random.default_rng(1).normal(0, 0.4, (3, FRAMES, 68, 2))
NOISE = np.random.default_rng(6).integers(0, 255, (480, 640, 3)).astype(np.uint8)


class Film:
    """As much of a footage as solving looks at: a still picture of noise."""

    size, fps = SIZE, Fraction(24)

    def __init__(self, frames=FRAMES):
        self.frames = frames

    def __len__(self):
        return self.frames

    def iter_frames_or_bad(self, frames):
        return [SimpleNamespace(index=frame, image=NOISE) for frame in frames]


def seen(frames, following=-1) -> Detections:
    """Two people, one of whom is missed for a moment every fifty frames; a face that is found twice
    now and then; cuts.
    """
    wanted = [*frames, *([following] if following >= 0 else [])]
    rows = [
        (frame, who)
        for frame in wanted
        for who in ((0, 1, 1) if frame % 60 == 7 else (0, 1))
        if who == 0 or not 22 <= frame % 50 < 26
    ]
    frame, who = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    middle = np.stack(
        [150 + 300 * who + 8 * np.sin(frame / 9), 240 + 20 * ((frame // SHOT) % 2)], 1
    )
    points, ahead, back = (
        (0.9 * HEAD_MODEL[:, :2] + middle[:, None] + each).astype(np.float32)
        for each in TREMBLE[:, frame % FRAMES]
    )
    known = np.flatnonzero((frame % 12 == 0) & (frame != following))
    return Detections(
        frame=frame,
        box=np.concatenate([points.min(1), points.max(1)], 1),
        landmarks=points,
        marked=np.zeros(len(points), np.int64),
        score=np.linspace(0.9, 0.8, len(frame)).astype(np.float32),
        frame_size=np.tile(SIZE, (len(frame), 1)),
        ahead=ahead,
        ahead_error=np.full((len(frame), 68), 0.5, np.float32),
        back=back,
        back_error=np.where(
            frame[:, None] == wanted[0], np.inf, np.full((len(frame), 68), 0.5)
        ).astype(np.float32),
        known=known,
        identity=(0.6 * np.eye(128)[who[known]]).astype(np.float32),
        frames=np.array(wanted, np.int64),
        signature=PICTURES[np.array(wanted) // SHOT % 9],
    )


def parts():
    """Tables of 24 frames, each with the first frame of the next."""
    starts = range(0, FRAMES, 24)
    return [seen(range(at, at + 24), at + 24 if at + 24 < FRAMES else -1) for at in starts]


def all_at_once(finds, filled, steady):
    """The columns of the result, from tables that are held as a whole. filled: (track,
    sighting).
    """
    shot, known = (
        shots.detect_shots(finds.signature),
        link.IdentitySamples(finds.known, finds.identity),
    )
    track = link.link_tracks(finds, shot, 24.0, known)
    more = Detections.of([face for _, face in filled], [], [], [])
    column = {
        name: np.concatenate([getattr(finds, name), getattr(more, name)])
        for name in ("frame", "box", "score", "frame_size")
    }
    ahead, ahead_error, back, back_error, raw = (
        np.concatenate([getattr(finds, name), getattr(more, name)])
        for name in ("ahead", "ahead_error", "back", "back_error", "landmarks")
    )
    track = np.concatenate([track, [number for number, _ in filled]]).astype(np.int64)
    points = raw.copy()
    for run in extract_track._find_runs(column["frame"], track):
        there, return_ = (
            TrackedPoints(ahead[run[:-1]], ahead_error[run[:-1]]),
            TrackedPoints(back[run[1:]], back_error[run[1:]]),
        )
        points[run] = (
            smooth.smooth_savgol(raw[run])
            if steady == "filter"
            else smooth_with_flow(raw[run], there, return_)
        )
    kept = np.flatnonzero(track >= 0)
    area = (column["box"][:, 2:] - column["box"][:, :2]).prod(axis=1)
    order = kept[np.lexsort((-area[kept], column["frame"][kept]))]
    return {
        "frame": column["frame"][order],
        "box": column["box"][order],
        "score": column["score"][order],
        "track": track[order],
        "person": identity_clusters.cluster_identities(track, column["frame"], known)[order],
        "landmarks": points[order],
        "raw": raw[order],
        "pose": np.stack([estimate_pose(each, SIZE) for each in points[order]]),
        "filled": column["score"][order] == 0,
    }


@pytest.mark.parametrize("steady", ["flow", "filter"])
@pytest.mark.parametrize("marked", [{}, {123: ()}])
def test_faces_solved_bit_by_bit_are_those_solved_at_once(steady, marked, tmp_path, monkeypatch):
    filled = []

    def noted(*given):
        filled.extend(fill(*given))
        return filled

    fill = extract_track._fill_gaps
    monkeypatch.setattr(extract_track, "_fill_gaps", noted)
    monkeypatch.setattr(extract_track, "_confirm", lambda locate, image, face: face)
    monkeypatch.setattr(smooth_long, "_STRETCH", 10)
    monkeypatch.setattr(row_blocks, "_CHUNK", 7)
    found = DetectionStore.collect(drop_shared_frames(parts()), tmp_path)
    solved = extract_track.track_faces(found, Film(), ExtractOptions(steady=steady), Marks(marked))
    assert len(filled) == 20 - len(marked)
    assert (len(np.unique(solved.track)), len(np.unique(solved.person))) == (6, 2)
    assert (123 in [gap.frame for _, gap in filled]) == (not marked)
    expected, faces = (
        all_at_once(concat_detections(parts()), filled, steady),
        solved.faces(np.arange(len(solved))),
    )
    for name, values in expected.items():
        same = np.allclose(getattr(faces, name), values, atol=1e-4) if steady == "filter" else None
        assert same or np.array_equal(getattr(faces, name), values), name


def test_cut_tasks_show_each_face_once_in_its_place(tmp_path):
    solved = extract_track.track_faces(
        DetectionStore.collect(drop_shared_frames(parts()), tmp_path),
        Film(),
        ExtractOptions(fill=0),
        Marks.empty(),
    )
    chosen = solved.select(ExtractOptions(max_faces=1))
    frames = [np.arange(at, at + 24) for at in range(0, FRAMES, 24)]
    numbers = extract_track.rank_in_frame(solved.frame[chosen])
    tasks = CropTasks(None, solved, chosen, numbers, frames, ExtractOptions())
    whole = solved.faces(chosen)
    assert (
        len(tasks) == 10
        and np.concatenate([task.faces.frame for task in tasks]).tolist() == whole.frame.tolist()
    )
    assert np.array_equal(np.concatenate([task.faces.landmarks for task in tasks]), whole.landmarks)
    assert {number for task in tasks for number in task.numbers.tolist()} == {0}


def test_memory_hardly_grows_with_the_film(tmp_path, monkeypatch):
    monkeypatch.setattr(smooth_long, "_STRETCH", 64)
    monkeypatch.setattr(row_blocks, "_CHUNK", 64)
    monkeypatch.setattr(row_blocks.iter_row_blocks, "__defaults__", (64,))
    # One shot, and so one run that is as long as the film.
    monkeypatch.setitem(globals(), "SHOT", 10_000)
    monkeypatch.setattr(
        extract_track, "estimate_pose", lambda points, size: np.zeros(3, np.float32)
    )
    peaks = []
    # The first finds out what a run takes whatever the length: networks, for one.
    for frames in (96, 288, 1152):
        chunks = [range(at, at + 96) for at in range(0, frames, 96)]
        tracemalloc.start()
        found = DetectionStore.collect((seen(chunk) for chunk in chunks), tmp_path)
        solved = extract_track.track_faces(
            found, Film(frames), ExtractOptions(fill=0), Marks.empty()
        )
        for _ in CropTasks(
            None,
            solved,
            np.arange(len(solved)),
            extract_track.rank_in_frame(solved.frame),
            [np.array(chunk) for chunk in chunks],
            ExtractOptions(),
        ):
            pass
        peaks.append((len(solved), tracemalloc.get_traced_memory()[1]))
        tracemalloc.stop()
    _, (few, low), (many, high) = peaks
    # One column of points alone takes 544 bytes a face.
    assert (high - low) / (many - few) < 250
