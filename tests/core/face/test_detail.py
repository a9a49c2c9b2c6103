"""Detail: what blur takes away, and what neither enlarging nor noise can add."""

import cv2
import numpy as np
import pytest

from understudy.core.face.detail import measure_detail


@pytest.fixture(scope="module")
def face():
    """A picture of two crisp squares, 256 pixels wide, and 68 points that span its middle 200."""
    picture = np.full((256, 256), 90, np.uint8)
    picture[60:190, 70:180], picture[100:150, 110:140] = 180, 60
    points = np.stack(np.meshgrid(np.linspace(28, 227, 4), np.linspace(28, 227, 17)), -1).reshape(
        68, 2
    )
    return np.repeat(picture[..., None], 3, 2), points[::-1].astype(np.float32)


def blurred(picture, sigma):
    return cv2.GaussianBlur(picture, (0, 0), sigma)


def test_a_sharp_picture_shows_its_own_width(face):
    assert 150 < measure_detail(*face) <= 200


@pytest.mark.parametrize("sigma", [2, 3, 5])
def test_blur_takes_away_what_it_should(face, sigma):
    picture, points = face
    assert measure_detail(blurred(picture, sigma), points) == pytest.approx(
        100 / np.hypot(sigma, 0.5), rel=0.3
    )


def test_motion_in_one_direction_counts(face):
    picture, points = face
    moved = cv2.blur(picture, (15, 1))
    assert measure_detail(moved, points) < 0.3 * measure_detail(picture, points)


def test_enlarging_adds_nothing(face):
    picture, points = face
    large = cv2.resize(picture, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    assert measure_detail(large, points * 3 + 1, scale=3) == pytest.approx(
        measure_detail(picture, points), rel=0.15
    )


def test_noise_hardly_passes_for_detail(face):
    picture, points = face
    soft = blurred(picture, 3)
    noisy = np.clip(soft + np.random.default_rng(1).normal(0, 4, soft.shape), 0, 255).astype(
        np.uint8
    )
    assert measure_detail(noisy, points) < 1.3 * measure_detail(soft, points)


def test_a_flat_picture_and_a_face_outside_show_nothing(face):
    picture, points = face
    assert measure_detail(np.full_like(picture, 90), points) < 20
    assert measure_detail(picture, points + 1000) == 0
