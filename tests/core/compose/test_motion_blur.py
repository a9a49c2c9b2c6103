from itertools import pairwise

import cv2
import numpy as np
import pytest

from understudy.core import affine, image
from understudy.core.compose.motion_blur import (
    average_exposures,
    exposure_matrices,
    exposure_matrices_dfl,
)

SIZE = 64


def placed(x, y=0.0, angle=0.0, scale=1.0):
    """frame_from_face of a face square whose middle lies at (x, y) plus its own half."""
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.full(2, SIZE / 2 - 0.5)
    return np.hstack([turn, (middle - turn @ middle + np.array([x, y]))[:, None]])


def warp(picture, matrix, size):
    return image.warp(picture, matrix, size, filter="linear")


def spread(picture):
    """Standard deviation of a picture's brightness in x and y."""
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    weight = picture / picture.sum()
    return [np.sqrt((weight * (axis - (weight * axis).sum()) ** 2).sum()) for axis in (x, y)]


@pytest.fixture
def dot():
    picture = np.zeros((SIZE, SIZE), np.float32)
    picture[30:34, 30:34] = 1
    return picture


@pytest.mark.parametrize("shutter", [0, 180])
def test_a_face_that_stands_still_is_warped_once(dot, shutter):
    places = exposure_matrices(placed(0), placed(0), placed(0), shutter, SIZE)
    assert len(places) == 1
    np.testing.assert_array_equal(
        average_exposures(dot, places, (70, 70), warp), warp(dot, placed(0), (70, 70))
    )


def test_no_shutter_no_blur():
    assert len(exposure_matrices(placed(-9), placed(0), placed(9), 0, SIZE)) == 1


def test_half_a_frame_of_movement_is_smeared_along_the_frames_axis():
    places = exposure_matrices(placed(-8), placed(0), placed(8), 180, SIZE)
    shifts = np.array([place[0, 2] for place in places])
    assert shifts.mean() == pytest.approx(0, abs=1e-9)
    # Four pixels, in even steps of at most half a pixel.
    assert np.ptp(shifts) + np.diff(shifts)[0] == pytest.approx(4)
    assert np.diff(shifts).max() <= 0.5


def test_the_smear_has_the_right_length_and_direction_even_when_the_face_is_tilted_and_small(dot):
    before, now, after = (placed(x, angle=0.7, scale=0.5) for x in (-12, 0, 12))
    sharp = spread(warp(dot, now, (SIZE, SIZE)))
    blurred = spread(
        average_exposures(dot, exposure_matrices(before, now, after, 360, SIZE), (SIZE, SIZE), warp)
    )
    # An even smear of 12 pixels has the variance 12^2 / 12.
    assert blurred[0] ** 2 - sharp[0] ** 2 == pytest.approx(12, rel=0.02)
    assert blurred[1] == pytest.approx(sharp[1], rel=0.01)


def test_one_side_alone_tells_the_movement_and_none_tells_nothing():
    both, one = (
        exposure_matrices(before, placed(0), placed(4), 180, SIZE) for before in (placed(-4), None)
    )
    np.testing.assert_allclose(one, both, atol=1e-12)
    assert len(exposure_matrices(None, placed(0), None, 180, SIZE)) == 1


def test_a_bend_is_followed():
    places = exposure_matrices(placed(-4), placed(0), placed(4, 6), 720, SIZE)
    middle = np.full(2, SIZE / 2 - 0.5)
    points = np.array([affine.apply(place, middle) - middle for place in places])
    assert np.abs(points[0] - (-4, 0)).max() < 0.5
    assert np.abs(points[-1] - (4, 6)).max() < 0.6
    np.testing.assert_allclose(points[len(points) // 2], (0, 0), atol=0.4)


def test_a_wild_move_costs_no_more_than_sixty_four_warps():
    assert len(exposure_matrices(placed(-900), placed(0), placed(900), 720, SIZE)) == 64


def test_the_blur_grows_without_a_jump(dot):
    """Not even where it takes one exposure more: no pixel steps by half a level of 8 bits."""
    soft = cv2.GaussianBlur(dot, (0, 0), 1.5)

    def seen(way):
        return average_exposures(
            soft,
            exposure_matrices(placed(-way), placed(0), placed(way), 180, SIZE),
            (SIZE, SIZE),
            image.warp,
        )

    pictures = [seen(way) for way in np.arange(0, 6, 0.05)]
    assert max(np.abs(one - other).max() for one, other in pairwise(pictures)) < 0.5 / 255


def test_deepfacelabs_power_is_its_line_kernel():
    """k = |way over two frames| * power / 100, and a line of k + 1 pixels: one more than ours,
    which counts in fractions.
    """
    face = cv2.GaussianBlur(np.random.default_rng(0).random((SIZE, SIZE)), (0, 0), 2).astype(
        np.float32
    )
    line = np.full((1, 9), 1 / 9, np.float32)
    places = exposure_matrices_dfl(placed(-8), placed(0), placed(8), 50, SIZE)
    ours = average_exposures(face, places, (SIZE, SIZE), warp)
    inner = np.s_[:, 8:-8]
    theirs = cv2.filter2D(face, -1, line)
    assert np.abs(ours - theirs)[inner].mean() < 0.15 * np.abs(face - theirs)[inner].mean()
    assert len(exposure_matrices_dfl(None, placed(0), placed(8), 50, SIZE)) == 1
