import numpy as np
import pytest

from understudy.core import geometry, temporal
from understudy.types import Faces


def table(frames, boxes, tracks=None):
    count = len(frames)
    return Faces(
        np.array(frames, np.int64),
        np.array(boxes, np.float32),
        np.zeros((count, 68, 2), np.float32),
        np.ones(count, np.float32),
        np.array(tracks if tracks is not None else [-1] * count, np.int64),
        np.zeros((count, 3), np.float32),
    )


def test_a_move_is_followed_without_lag():
    frame = np.arange(30.0)[:, None]
    assert temporal.savgol(3 + 2 * frame - 0.1 * frame**2) == pytest.approx(3 + 2 * frame - 0.1 * frame**2, abs=1e-9)


def test_noise_is_reduced_and_the_track_stays_true():
    rng = np.random.default_rng(0)
    frames = range(60)
    true = [geometry.square((100 + 2 * at, 80 + 10 * np.sin(at / 9)), 50 + at / 10, 3.1 + at / 300, 64) for at in frames]
    noisy = [
        geometry.square((100 + 2 * at + x, 80 + 10 * np.sin(at / 9) + y), 50 + at / 10, 3.1 + at / 300, 64)
        for at, (x, y) in zip(frames, rng.normal(0, 0.5, (60, 2)), strict=True)
    ]
    boxes = [[70 + 2 * at, 50, 130 + 2 * at, 110] for at in frames]
    steady = temporal.smoothed(np.stack(noisy), table(frames, boxes), 64)
    assert np.abs(steady - true).mean() < 0.7 * np.abs(np.array(noisy) - true).mean()
    assert steady.shape == (60, 2, 3)


def test_runs_follow_each_face_and_end_at_gaps():
    left, right = [0, 0, 10, 10], [50, 0, 60, 10]
    faces = table([0, 0, 1, 1, 3], [left, right, right, left, left])
    assert sorted(temporal.runs(faces)) == [[0, 3], [1, 2], [4]]


def test_runs_trust_tracks():
    same = [0, 0, 10, 10]
    assert sorted(temporal.runs(table([0, 1, 2], [same] * 3, [5, 6, 6]))) == [[0], [1, 2]]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8])
def test_short_runs_are_fine(count):
    matrices = np.stack([geometry.square((50 + at, 50), 40, 0.0, 64) for at in range(count)])
    steady = temporal.smoothed(matrices, table(range(count), [[30, 30, 70, 70]] * count), 64)
    assert steady == pytest.approx(matrices, abs=1e-9)
