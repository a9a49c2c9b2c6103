"""What deserves a look: each fault is told with its reason, and a good track is left in peace."""

import math
from dataclasses import replace

import numpy as np
import pytest

from understudy.core.metrics import outliers as module
from understudy.core.metrics.outliers import OutlierBounds, find_outliers
from understudy.core.synthetic.clip import PORTRAIT_LANDMARKS
from understudy.types import Faces

FACE = PORTRAIT_LANDMARKS[:68].astype(np.float32)
FACE = (FACE - FACE.mean(axis=0)) / np.ptp(FACE[:, 0]) * 100
SIZE = (1280, 720)


def walk(count: int = 40, step: float = 6.0) -> Faces:
    """A face that walks through the frame and comes nearer."""
    places = np.array([300, 300]) + np.arange(count)[:, None] * np.array([step, 0.5])
    sizes = 1 + 0.01 * np.arange(count)
    points = (FACE * sizes[:, None, None] + places[:, None]).astype(np.float32)
    return replace(
        Faces.empty(),
        frame=np.arange(count),
        box=np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1),
        landmarks=points,
        raw=points,
        score=np.full(count, 0.9, np.float32),
        track=np.zeros(count, np.int64),
        person=np.zeros(count, np.int64),
        filled=np.zeros(count, bool),
        pose=np.zeros((count, 3), np.float32),
    )


def changed(faces: Faces, row: int, **columns: object) -> Faces:
    """The table with other values in one row."""
    result = {}
    for name, value in columns.items():
        values = getattr(faces, name).copy()
        values[row] = value
        result[name] = values
    return replace(faces, **result)


def told(faces: Faces, **others: object) -> list[tuple[int, str]]:
    options = {"frame_size": SIZE, **others}
    return [(each.row, each.reason) for each in find_outliers(faces, **options)]


def test_a_steady_walk_is_not_suspicious():
    assert told(walk()) == []
    assert told(walk()[[0]]) == told(Faces.empty()) == []


@pytest.mark.parametrize("row", [0, 1, 20, 38, 39])
def test_a_jump_is_told_of_the_face_that_jumps_and_of_no_other(row):
    faces = walk()
    assert told(changed(faces, row, landmarks=faces.landmarks[row] + (25, 0))) == [(row, "jump")]


def test_a_slipped_mouth_is_a_jump():
    faces = walk()
    slipped = faces.landmarks[20].copy()
    slipped[48:] += (0, 30)
    assert told(changed(faces, 20, landmarks=slipped)) == [(20, "jump")]


def test_faces_of_other_footage_are_not_compared():
    one, other = walk(), walk(step=2.0)
    both = Faces.of([*one, *(replace(each, footage=1) for each in other)])
    assert told(both) == []
    wrong = changed(both, 55, landmarks=both.landmarks[55] + (25, 0))
    assert told(wrong) == [(55, "jump")]
    twice = changed(wrong, 41, frame=0)
    assert (41, "same person twice") in told(twice) and (0, "same person twice") not in told(twice)
    # Of the other footage nobody knows how large its frame is.
    assert told(
        changed(both, 41, landmarks=both.landmarks[41] - (300, 0)),
        frame_size=np.where(both.footage[:, None] == 0, SIZE, np.nan),
    ) == [(41, "jump")]


def test_faces_of_unknown_footage_are_compared_with_none():
    both = Faces.of([replace(each, footage=-1) for each in (*walk(), *walk(step=2.0))])
    assert told(both) == []


def test_a_gap_is_no_jump():
    faces = walk(60)
    kept = np.r_[0:20, 40:60]
    moved = faces[kept]
    landmarks = moved.landmarks.copy()
    landmarks[20:] -= (200, 0)
    assert told(replace(moved, landmarks=landmarks)) == []


def test_of_every_fourth_frame_a_head_that_turns_does_not_jump():
    faces = walk(60)
    turning = np.float32([[[40 * math.sin(n / 4), 0]] for n in range(60)])
    assert told(replace(faces, landmarks=faces.landmarks + turning)[::4]) == []


def test_a_wrong_size_is_told_even_over_several_frames():
    faces = walk(60)
    middle = faces.landmarks.mean(axis=1, keepdims=True)
    landmarks = faces.landmarks.copy()
    landmarks[20:28] = ((landmarks - middle) * 0.5 + middle)[20:28]
    reasons = told(replace(faces, landmarks=landmarks))
    assert [row for row, reason in reasons if reason == "wrong size"] == list(range(20, 28))


def test_points_that_are_no_face_are_an_odd_shape():
    faces = walk()
    scattered = np.random.default_rng(0).permutation(faces.landmarks[5])
    assert (5, "odd shape") in told(changed(faces, 5, landmarks=scattered))
    squashed = (faces.landmarks[5] - faces.landmarks[5].mean(0)) * (0.5, 1) + faces.landmarks[
        5
    ].mean(0)
    assert (5, "odd shape") in told(changed(faces, 5, landmarks=squashed))


def test_a_turned_head_is_no_odd_shape():
    for yaw in (-1.0, -0.5, 0.5, 1.0):
        turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0]])
        assert module.shape_errors((module.HEAD_MODEL @ turn.T)[None].astype(np.float32))[0] < 1e-3


def test_low_score_filled_and_blurred_each_have_their_reason():
    faces = changed(changed(walk(), 3, score=0.2), 7, filled=True, score=0.0)
    detail = np.full(len(faces), 200, np.float32)
    detail[9], detail[11] = 40, np.nan
    assert told(faces, detail=detail) == [(3, "low score"), (7, "filled"), (9, "blurred")]


def test_a_soft_person_is_not_blurred_beside_a_sharp_one():
    faces = walk()
    faces = replace(faces, person=(faces.frame % 2))
    assert told(faces, detail=np.where(faces.person == 0, 200, 30).astype(np.float32)) == []


def test_one_person_twice_in_a_frame():
    faces = walk(5)
    second = replace(
        faces[[2]], track=np.array([1]), landmarks=faces.landmarks[[2]] + np.float32(200)
    )
    both = Faces.of([*faces, *second])
    assert told(both) == [(2, "same person twice"), (5, "same person twice")]
    assert told(replace(both, person=np.full(6, -1))) == []


def test_a_face_cut_by_the_edge():
    faces = walk(5)
    moved = replace(faces, landmarks=faces.landmarks - np.float32([300, 0]))
    assert (0, "cut by the edge") in told(moved)
    assert [each for each in find_outliers(moved) if each.reason == "cut by the edge"] == []


def test_bounds_move_what_is_told():
    faces = walk()
    jumped = changed(faces, 20, landmarks=faces.landmarks[20] + (25, 0))
    found = find_outliers(jumped, OutlierBounds(jump=0.01))
    assert found[0].bound == 0.01 and found[0].value > 0.1
    assert find_outliers(jumped, OutlierBounds(jump=5)) == []
