from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from landmark_tools import eye_distance, smooth_with_flow

from understudy.core import affine
from understudy.core.face.pose import HEAD_MODEL
from understudy.core.metrics import swap_metrics
from understudy.core.tracking import optical_flow, smooth
from understudy.core.tracking.optical_flow import TrackedPoints
from understudy.types import Doubles, Faces, Floats


def table(frames, boxes, tracks=None):
    count = len(frames)
    return Faces(
        np.array(frames, np.int64),
        np.array(boxes, np.float32),
        np.zeros((count, 68, 2), np.float32),
        np.ones(count, np.float32),
        np.array(tracks if tracks is not None else [-1] * count, np.int64),
        np.zeros((count, 3), np.float32),
        None,
        np.full(count, -1),
        np.zeros(count, bool),
        np.zeros((count, 68, 2), np.float32),
    )


def test_a_move_is_followed_without_lag():
    frame = np.arange(30.0)[:, None]
    assert smooth.savgol_filter(3 + 2 * frame - 0.1 * frame**2) == pytest.approx(
        3 + 2 * frame - 0.1 * frame**2, abs=1e-9
    )


def test_noise_is_reduced_and_the_track_stays_true():
    rng = np.random.default_rng(0)
    frames = range(60)
    true = [
        affine.square_crop(
            (100 + 2 * at, 80 + 10 * np.sin(at / 9)), 50 + at / 10, 3.1 + at / 300, 64
        )
        for at in frames
    ]
    noisy = [
        affine.square_crop(
            (100 + 2 * at + x, 80 + 10 * np.sin(at / 9) + y), 50 + at / 10, 3.1 + at / 300, 64
        )
        for at, (x, y) in zip(frames, rng.normal(0, 0.5, (60, 2)), strict=True)
    ]
    boxes = [[70 + 2 * at, 50, 130 + 2 * at, 110] for at in frames]
    steady = smooth.smooth_alignment(np.stack(noisy), table(frames, boxes), 64)
    assert np.abs(steady - true).mean() < 0.7 * np.abs(np.array(noisy) - true).mean()
    assert steady.shape == (60, 2, 3)


def test_runs_follow_each_face_and_end_at_gaps():
    left, right = [0, 0, 10, 10], [50, 0, 60, 10]
    faces = table([0, 0, 1, 1, 3], [left, right, right, left, left])
    assert sorted(smooth.find_runs(faces)) == [[0, 3], [1, 2], [4]]


def test_runs_trust_tracks():
    same = [0, 0, 10, 10]
    assert sorted(smooth.find_runs(table([0, 1, 2], [same] * 3, [5, 6, 6]))) == [[0], [1, 2]]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8])
def test_short_runs_are_fine(count):
    matrices = np.stack([affine.square_crop((50 + at, 50), 40, 0.0, 64) for at in range(count)])
    steady = smooth.smooth_alignment(matrices, table(range(count), [[30, 30, 70, 70]] * count), 64)
    assert steady == pytest.approx(matrices, abs=1e-9)


HEAD_POINTS = HEAD_MODEL[:, :2] * 1.1 + 200  # 100 pixels between the eyes


def moving(frames: int, seed: int = 0, noise: float = 0.7) -> tuple[Doubles, Doubles]:
    """A head that sways, as it is and as a trembling landmarker finds it, (T, 68, 2) each."""
    time = np.arange(frames)[:, None]
    true = (
        HEAD_POINTS + np.concatenate([20 * np.sin(time / 7), 5 * np.sin(time / 4)], axis=1)[:, None]
    )
    return true, true + np.random.default_rng(seed).normal(0, noise, true.shape)


def followed(
    points: Doubles, true: Doubles, seed: int = 0, noise: float = 0.1
) -> tuple[TrackedPoints, TrackedPoints]:
    """What flow makes of points when the face moves as `true`: forward and backward."""
    rng, moved = np.random.default_rng([seed, 1]), np.diff(true, axis=0)
    error = np.full(moved.shape[:2], noise, np.float32)
    there, back = (
        where + rng.normal(0, noise, moved.shape)
        for where in (points[:-1] + moved, points[1:] - moved)
    )
    return TrackedPoints(there.astype(np.float32), error), TrackedPoints(
        back.astype(np.float32), error
    )


def off(points: Floats | Doubles, true: Doubles) -> float:
    return float(np.linalg.norm(points - true, axis=-1).mean())


def turned(matrix: Doubles, carried: TrackedPoints) -> TrackedPoints:
    points = affine.apply(matrix, carried.points).astype(np.float32)
    return TrackedPoints(points, (carried.error * affine.scale_of(matrix)).astype(np.float32))


def test_flow_takes_the_trembling_out_and_leaves_the_movement_in() -> None:
    true, found = moving(60)
    steady = smooth_with_flow(found.astype(np.float32), *followed(found, true))
    assert steady.dtype == np.float32
    assert off(steady, true) < 0.45 * off(found, true)
    assert swap_metrics.jitter(steady, np.ones(58, bool)) < 0.25 * swap_metrics.jitter(
        found, np.ones(58, bool)
    )


def test_the_filter_takes_half_of_it_without_flow() -> None:
    true, found = moving(60)
    assert off(smooth.smooth_savgol(found.astype(np.float32)), true) < 0.75 * off(found, true)


@pytest.mark.parametrize("how", ["steady", "filtered"])
def test_a_blink_that_flow_does_not_see_stays_a_blink(how: str) -> None:
    true, found = moving(40, noise=0.2)
    blink = np.zeros_like(true)
    blink[20:22, 37:39, 1] = 9
    points, known = (found + blink).astype(np.float32), followed(found + blink, true)
    steady = smooth_with_flow(points, *known) if how == "steady" else smooth.smooth_savgol(points)
    assert (steady - true)[20:22, 37:39, 1].min() > 7


def test_what_flow_does_not_know_is_never_smoothed_over() -> None:
    true, found = moving(20)
    points = found.astype(np.float32)
    points[10:] += 300  # as over a cut
    forward, backward = followed(points.astype(np.float64), true)
    for carried in (forward, backward):
        carried.points[9] = np.nan
        carried.error[9] = np.inf
    whole = smooth_with_flow(points, forward, backward)
    parts = [
        smooth_with_flow(
            points[part],
            *(TrackedPoints(each.points[flows], each.error[flows]) for each in (forward, backward)),
        )
        for part, flows in ((slice(0, 10), slice(0, 9)), (slice(10, 20), slice(10, 19)))
    ]
    assert whole == pytest.approx(np.concatenate(parts), abs=1e-3)


@given(st.integers(1, 25), st.floats(0.2, 5), st.floats(-3.1, 3.1), st.integers(0, 9))
@settings(max_examples=25, deadline=None)
def test_a_scene_seen_turned_and_larger_is_steadied_the_same(
    frames: int, scale: float, angle: float, seed: int
) -> None:
    matrix = affine.square_crop((40, 70), 100 / scale, angle, 100)
    true, found = moving(frames, seed)
    known = followed(found, true, seed)
    steady = smooth_with_flow(found.astype(np.float32), *known)
    seen = smooth_with_flow(
        affine.apply(matrix, found).astype(np.float32), *(turned(matrix, each) for each in known)
    )
    assert seen == pytest.approx(affine.apply(matrix, steady), abs=2e-3 * (1 + scale))
    filtered = smooth.smooth_savgol(affine.apply(matrix, found).astype(np.float32))
    assert filtered == pytest.approx(
        affine.apply(matrix, smooth.smooth_savgol(found.astype(np.float32))), abs=5e-3 * (1 + scale)
    )


@given(st.integers(1, 25), st.integers(0, 9))
@settings(max_examples=25, deadline=None)
def test_a_clip_played_backwards_is_steadied_the_same(frames: int, seed: int) -> None:
    true, found = moving(frames, seed)
    points, (forward, backward) = found.astype(np.float32), followed(found, true, seed)
    back, there = (
        TrackedPoints(each.points[::-1], each.error[::-1]) for each in (backward, forward)
    )
    assert smooth_with_flow(points[::-1], back, there)[::-1] == pytest.approx(
        smooth_with_flow(points, forward, backward), abs=1e-3
    )
    assert smooth.smooth_savgol(points[::-1])[::-1] == pytest.approx(
        smooth.smooth_savgol(points), abs=1e-3
    )


@pytest.mark.footage
def test_real_faces_move_as_the_picture_does(footage_folder: Path) -> None:
    from understudy.core.image import as_bytes
    from understudy.io.open_footage import open_footage
    from understudy.parts.detectors.blazeface import BlazeFace
    from understudy.parts.landmarkers.facemesh import FaceMesh

    detect, locate = BlazeFace(rotations="none").build(), FaceMesh(passes=2, crops=1).build()
    with open_footage(footage_folder / "talker-c.mp4") as footage:
        images = [as_bytes(frame.image) for frame in footage.iter_frames(range(40))]
    found = [locate(image, detect(image)[0]) for image in images]
    points = np.stack([each.landmarks for each in found if each is not None])
    ends = zip(images, images[1:], points, points[1:], strict=False)
    pairs = [optical_flow.track_both_ways(*each) for each in ends]
    forward, backward = (
        TrackedPoints(
            *(
                np.stack([getattr(pair[way], name) for pair in pairs])
                for name in ("points", "error")
            )
        )
        for way in (0, 1)
    )
    # How the picture itself bends: the points of a frame, carried into both its neighbours.
    bend = np.linalg.norm(forward.points[1:] + backward.points[:-1] - 2 * points[1:-1], axis=-1)[
        :, swap_metrics.INNER
    ].mean()
    floor, everywhere = 100 * bend / eye_distance(points[0]), np.ones(38, bool)
    steady = swap_metrics.jitter(smooth_with_flow(points, forward, backward), everywhere)
    assert steady < 1.2 * floor and steady < 0.7 * swap_metrics.jitter(points, everywhere)
