import numpy as np
import pytest

from understudy.core import matte


def ball(side, radius):
    """An anti-aliased disc; radius in shares of the side."""
    across = (np.arange(side) + 0.5) / side - 0.5
    return np.clip((radius - np.hypot(across[:, None], across)) * side + 0.5, 0, 1).astype(np.float32)


def radius_at(soft, level):
    """Distance from the middle at which the matte falls through `level`, in shares of the side."""
    side = soft.shape[0]
    row = soft[side // 2, side // 2 :]
    return np.interp(-level, -row, (np.arange(len(row)) + 0.5) / side)


@pytest.mark.parametrize("side", [64, 96, 256, 400])
def test_erode_and_blur_mean_the_same_at_every_resolution(side):
    soft = matte.shaped(ball(side, 0.35), erode=5, blur=10)
    assert radius_at(soft, 0.5) == pytest.approx(0.30, abs=0.006)
    # 95 % of the step within the width that was asked for.
    assert radius_at(soft, 0.025) - radius_at(soft, 0.975) == pytest.approx(0.10, abs=0.015)


def test_negative_erode_grows():
    assert radius_at(matte.shaped(ball(128, 0.3), erode=-4, blur=0), 0.5) == pytest.approx(0.34, abs=0.006)


def test_small_steps_of_erode_are_felt():
    radii = [radius_at(matte.shaped(ball(96, 0.35), erode=percent, blur=0), 0.5) for percent in np.arange(0, 2, 0.25)]
    assert (np.diff(radii) < 0).all()


@pytest.mark.parametrize("blur", [0, 10, 40])
@pytest.mark.parametrize("erode", [-20, 0, 20])
def test_the_matte_ends_at_the_edge_of_the_square(erode, blur):
    soft = matte.shaped(np.ones((64, 64), np.float32), erode, blur)
    assert max(soft[0].max(), soft[-1].max(), soft[:, 0].max(), soft[:, -1].max()) == 0
    assert soft.max() <= 1
    if erode <= 0:
        assert soft[soft.shape[0] // 2, soft.shape[0] // 2] > 0.9
