"""Gaps in a track: bridged where both sides agree."""

from __future__ import annotations

import numpy as np

from understudy.core.face.pose import HEAD_MODEL
from understudy.core.tracking.gaps import fill_gap
from understudy.types import Doubles

HEAD_POINTS = HEAD_MODEL[:, :2] * 1.1 + 200


def swaying(frames: int) -> Doubles:
    """A head that sways, (T, 68, 2)."""
    time = np.arange(frames)[:, None]
    shift = np.concatenate([20 * np.sin(time / 7), 5 * np.sin(time / 4)], axis=1)[:, None]
    return HEAD_POINTS + shift


def test_a_gap_is_bridged_from_both_sides() -> None:
    true = swaying(7)
    drift = np.arange(1, 6)[:, None, None] * 0.5
    forward, backward = true[1:6] + drift, true[1:6] - drift[::-1]
    points = fill_gap(forward.astype(np.float32), backward.astype(np.float32))
    assert points is not None
    assert np.linalg.norm(points - true[1:6], axis=-1).max() < 1.3
    assert np.linalg.norm(points[2] - true[3], axis=-1).mean() < 1e-3, (
        "in the middle both count the same"
    )


def test_a_gap_whose_sides_disagree_is_left_open() -> None:
    true = swaying(7)
    gone = true[1:6].copy()
    gone[3] += (15, 0)
    assert fill_gap(true[1:6].astype(np.float32), gone.astype(np.float32)) is None
