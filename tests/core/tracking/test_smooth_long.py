"""A run that is steadied stretch by stretch is steadied as a whole."""

from dataclasses import dataclass

import numpy as np
import pytest
from landmark_tools import smooth_with_flow

from understudy.core.face.pose import HEAD_MODEL
from understudy.core.tracking import smooth, smooth_long
from understudy.core.tracking.optical_flow import TrackedPoints
from understudy.types import Floats


@dataclass
class Table:
    landmarks: Floats
    ahead: Floats
    ahead_error: Floats
    back: Floats
    back_error: Floats


def table(count: int) -> Table:
    """A face that wanders and trembles, with another one's rows in between; now and then flow knows
    nothing.
    """
    chance = np.random.default_rng(count)
    where = 400 + 80 * np.stack([np.sin(np.arange(count) / 9), np.cos(np.arange(count) / 7)], 1)
    points = (HEAD_MODEL[:, :2] + where[:, None] + chance.normal(0, 0.5, (count, 68, 2))).astype(
        np.float32
    )
    flow = chance.normal(0, 0.3, (2, count, 68, 2)).astype(np.float32)
    errors = chance.uniform(0, 2, (2, count, 68)).astype(np.float32)
    errors[:, ::13] = np.inf
    return Table(
        points,
        np.roll(points, -2, 0) + flow[0],
        errors[0],
        np.roll(points, 2, 0) + flow[1],
        errors[1],
    )


def gathered(pieces, count):
    result = np.full((count, 68, 2), np.nan, np.float32)
    for rows, points in pieces:
        result[rows] = points
    return result


@pytest.mark.parametrize("count", [1, 2, 16, 17, 18, 33, 100])
def test_flow_gives_the_very_same_points(count, monkeypatch):
    monkeypatch.setattr(smooth_long, "_STRETCH", 16)
    found, run = table(2 * count), np.arange(0, 2 * count, 2)
    ahead, back = (
        TrackedPoints(found.ahead[run[:-1]], found.ahead_error[run[:-1]]),
        TrackedPoints(found.back[run[1:]], found.back_error[run[1:]]),
    )
    whole = smooth_with_flow(found.landmarks[run], ahead, back)
    assert np.array_equal(gathered(smooth_long.smooth_with_flow(found, run), 2 * count)[run], whole)


@pytest.mark.parametrize("count", [1, 3, 16, 17, 19, 22, 33, 100])
def test_the_filter_gives_the_same_points(count, monkeypatch):
    monkeypatch.setattr(smooth_long, "_STRETCH", 16)
    found, run = table(2 * count), np.arange(0, 2 * count, 2)
    steady = gathered(smooth_long.smooth_savgol_in_parts(found.landmarks, run), 2 * count)[run]
    assert steady == pytest.approx(smooth.smooth_savgol(found.landmarks[run]), abs=1e-4)
