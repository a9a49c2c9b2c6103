"""The report's numbers, on a table whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from understudy.core.metrics.summary import FootageInfo, Report, summarize
from understudy.core.synthetic.clip import PORTRAIT_LANDMARKS
from understudy.types import Face, Faces

FACE = PORTRAIT_LANDMARKS[:68].astype(np.float32)
FACE = (FACE - FACE.mean(axis=0)) / np.ptp(FACE[:, 0]) * 100 + 200
RNG = np.random.default_rng(0)


def face(
    frame: int, track: int = 0, person: int = 0, tremble: float = 0.5, yaw: float = 0.1
) -> Face:
    raw = (FACE + RNG.normal(0, tremble, FACE.shape)).astype(np.float32)
    pose = np.array([0, yaw, 0], np.float32)
    return Face(
        frame,
        np.array([0, 0, 9, 9], np.float32),
        FACE,
        0.8,
        track,
        pose,
        person=person,
        filled=frame == 5,
        raw=raw,
    )


# Frames 0-9 and 14-19 show person 0, frames 8-12 person 1; nobody is in 13.
FACES = Faces.of(
    [
        *(face(n) for n in range(10)),
        *(face(n, 1, 1) for n in range(8, 13)),
        *(face(n, 2) for n in range(14, 20)),
    ]
)
FACTS = FootageInfo("clip.mp4", np.arange(23), failed=[(21, "damaged")])


def made(faces: Faces = FACES, facts: FootageInfo = FACTS) -> Report:
    return summarize(faces, facts, np.full(len(faces), np.nan, np.float32))


def test_frames_faces_people_and_tracks_are_counted():
    told = made()
    assert (told.frames, told.frames_with_a_face, told.faces, told.filled) == (23, 19, 21, 1)
    assert [
        (each.person, each.faces, each.tracks, each.first, each.last) for each in told.people
    ] == [
        (0, 16, 2, 0, 19),
        (1, 5, 1, 8, 12),
    ]
    assert [
        (each.track, each.person, each.first, each.last, each.faces, each.filled)
        for each in told.tracks
    ] == [
        (0, 0, 0, 9, 10, 1),
        (1, 1, 8, 12, 5, 0),
        (2, 0, 14, 19, 6, 0),
    ]


def test_a_gap_is_where_nothing_was_found_and_nothing_failed():
    assert made().gaps == [(13, 13), (20, 20), (22, 22)]
    every_other = FootageInfo("clip.mp4", np.arange(0, 30, 2))
    assert made(FACES[FACES.frame % 2 == 0], every_other).gaps == [(20, 28)]


def test_steadied_points_tremble_less_than_raw_ones():
    told = made()
    assert told.jitter == 0 and told.jitter_raw is not None and told.jitter_raw > 0.5
    assert made(FACES[[0, 1]]).jitter is None


def test_a_long_track_is_measured_in_pieces_with_the_same_result(monkeypatch: pytest.MonkeyPatch):
    long = Faces.of([face(n) for n in range(90)])
    whole = made(long).jitter_raw
    monkeypatch.setattr("understudy.core.metrics.summary._PIECE", 30)
    assert made(long).jitter_raw == pytest.approx(whole, rel=0.1)


def test_histograms_hold_every_face_and_spreads_only_what_is_known():
    far = replace(FACES, pose=np.full((len(FACES), 3), 2.0, np.float32))
    assert sum(made(far).yaw.counts) == made(far).yaw.counts[-1] == len(FACES)
    assert made().detail is None and made().size is not None
    detail = np.full(len(FACES), np.nan, np.float32)
    detail[:3] = 10, 20, 30
    spread = summarize(FACES, FACTS, detail).detail
    assert spread is not None and (spread.lowest, spread.median, spread.highest) == (10, 20, 30)


def test_footage_without_a_face_has_a_report_too():
    told = made(Faces.empty())
    assert told.gaps == [(0, 20), (22, 22)] and told.people == [] and told.score is None
    assert Report.model_validate_json(told.model_dump_json()) == told


def test_the_size_of_a_frame_that_was_not_looked_at_is_not_known():
    every_other = FootageInfo("clip.mp4", np.arange(0, 8, 2), frame_size=(64, 48))
    sizes = every_other.size_of(np.array([0, 3, 6, 7]))
    assert sizes[[0, 2]].tolist() == [[64, 48]] * 2 and np.isnan(sizes[[1, 3]]).all()
