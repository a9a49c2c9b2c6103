"""The measures: known cases with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.core.metrics import swap_metrics
from understudy.core.synthetic.clip import PORTRAIT_LANDMARKS, Performance

REST = PORTRAIT_LANDMARKS[:68].astype(np.float64)


def people(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    src, dst = rng.normal(size=(2, 1, 128))
    return src + 0.1 * rng.normal(size=(20, 128)), dst + 0.1 * rng.normal(size=(20, 128))


def test_identity_shift_is_0_for_dst_1_for_src_and_half_between() -> None:
    src, dst = people(0)
    assert swap_metrics.identity_shift(dst, src, dst).shift == pytest.approx(0, abs=0.05)
    assert swap_metrics.identity_shift(src, src, dst).shift == pytest.approx(1, abs=0.05)
    half = swap_metrics.identity_shift((src + dst) / 2, src, dst)
    assert half.shift == pytest.approx(0.5, abs=0.05)
    assert half.spread < half.to_src and half.to_src == pytest.approx(half.to_dst, rel=0.1)


def test_identity_shift_between_one_person_and_itself_is_refused() -> None:
    src, _ = people(1)
    with pytest.raises(ValueError, match="same"):
        swap_metrics.identity_shift(src, src, src)


def test_steady_motion_has_no_jitter_and_noise_has_its_own() -> None:
    drift = REST + np.arange(30)[:, None, None] * 0.2
    assert swap_metrics.jitter(drift) == pytest.approx(0, abs=1e-9)
    noise = np.random.default_rng(0).normal(0, 0.1, drift.shape)
    # Second difference of noise of deviation s: a 2-D vector of deviation s * sqrt(6) a side, mean
    # length s * sqrt(6 * pi / 2).
    expected = 100 * 0.1 * np.sqrt(6 * np.pi / 2) / np.linalg.norm(REST[45] - REST[36])
    assert swap_metrics.jitter(drift + noise, np.ones(28, bool)) == pytest.approx(
        expected, rel=0.05
    )


def test_fast_frames_and_frames_without_a_face_do_not_count() -> None:
    points = np.repeat(REST[None], 20, axis=0)
    points[10] += 30
    points[4] = np.nan
    assert swap_metrics.jitter(points) == pytest.approx(0, abs=1e-9)
    assert np.isnan(swap_metrics.jitter(points[:2]))


def test_movement_counts_how_much_and_whether_in_step() -> None:
    acting = Performance(1)
    points = np.stack(
        [acting.points(PORTRAIT_LANDMARKS, number / 25)[:68] for number in range(100)]
    )
    full = swap_metrics.expression_features(points)
    mean = full.mean(axis=0)
    assert swap_metrics.expression_movement(full, full) == pytest.approx((1, 1))
    assert swap_metrics.expression_movement(mean + 0.4 * (full - mean), full) == pytest.approx(
        (0.4, 1)
    )
    assert swap_metrics.expression_movement(mean - (full - mean), full) == pytest.approx((1, -1))
    assert swap_metrics.expression_movement(
        np.repeat(mean[None], 100, axis=0), full
    ) == pytest.approx((0, 0))


def test_expression_does_not_see_where_the_head_is() -> None:
    turn = np.array([[0.8, -0.6], [0.6, 0.8]]) * 3
    moved = REST @ turn.T + (50, -20)
    assert swap_metrics.expression_features(moved[None]) == pytest.approx(
        swap_metrics.expression_features(REST[None])
    )


def test_landmark_error_forgives_a_constant_offset_but_not_noise() -> None:
    true = np.repeat(REST[None], 10, axis=0)
    offset = true + np.random.default_rng(0).normal(size=(1, 68, 2))
    assert swap_metrics.landmark_error(offset, true) == pytest.approx(0, abs=1e-9)
    assert (
        swap_metrics.landmark_error(true + np.random.default_rng(0).normal(size=true.shape), true)
        > 1
    )
