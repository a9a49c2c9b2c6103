import numpy as np
import pytest

from understudy.core import affine
from understudy.core.face import align, mask, pose


@pytest.fixture
def landmarks():
    """The model head, upright in a 256 px full face."""
    flat = affine.fit_similarity(pose.HEAD_MODEL[17:, :2], align.template_points("full", 256))
    return affine.apply(flat, pose.HEAD_MODEL[:, :2]).astype(np.float32)


def test_a_polygon_covers_its_area_softly():
    square = np.array([[9.5, 9.5], [29.75, 9.5], [29.75, 29.5], [9.5, 29.5]], np.float32)
    matte = mask.fill_polygons([square], (50, 40))
    assert matte.shape == (40, 50) and matte.dtype == np.float32
    assert matte.sum() == pytest.approx(20.25 * 20, rel=0.015)
    assert (matte[12:28, 12:28] == 1).all() and not matte[:, 32:].any()
    assert 0.1 < matte[20, 30] < 0.5


def test_the_hull_holds_the_face_and_not_the_corners(landmarks):
    matte = mask.hull_mask(landmarks, (256, 256))
    inside = landmarks[[27, 30, 33, 36, 45, 48, 54, 57, 62]].astype(int)
    assert (matte[inside[:, 1], inside[:, 0]] == 1).all()
    assert not matte[[0, 0, -1, -1], [0, -1, 0, -1]].any()
    assert ((matte > 0) & (matte < 1)).any()


def test_brows_lift_the_upper_edge(landmarks):
    plain, lifted = (mask.hull_mask(landmarks, (256, 256), brow) for brow in (0.0, 1.0))
    assert lifted.sum() > plain.sum() and (lifted >= plain).all()
    assert np.array_equal(lifted[200:], plain[200:])


def test_the_hull_follows_by_less_than_a_pixel(landmarks):
    right = np.array([0.25, 0], np.float32)
    still, moved = (mask.hull_mask(points, (256, 256)) for points in (landmarks, landmarks + right))
    middles = [(matte * np.arange(256)).sum() / matte.sum() for matte in (still, moved)]
    assert middles[1] - middles[0] == pytest.approx(0.25, abs=0.03)


def test_a_face_beyond_the_picture_leaves_an_empty_or_cut_mask(landmarks):
    assert not mask.hull_mask(landmarks + 900, (256, 256)).any()
    half = mask.hull_mask(landmarks - (128, 0), (256, 256))
    assert half[:, 0].any() and not half[:, 130:].any()


def test_the_mouth_covers_the_lips_and_little_else():
    points = np.concatenate([np.zeros((17, 2), np.float32), align.template_points("full", 128)])
    mouth = mask.mouth_mask(points, (128, 128))
    across, down = points[48:68].mean(0).round().astype(int)
    assert mouth[down, across] == 1 and 0.01 < mouth.mean() < 0.06
    assert all(mouth[round(y), round(x)] > 0.9 for x, y in points[60:68])
    assert mouth[points[33].round().astype(int)[1], across] == 0


def test_the_eyes_are_covered_open_or_shut(landmarks):
    shut = landmarks.copy()
    for upper, lower in (((37, 38), (41, 40)), ((43, 44), (47, 46))):
        shut[list(upper)] = shut[list(lower)]
    for points in (landmarks, shut):
        eyes = mask.eyes_mask(points, (256, 256))
        assert all(eyes[round(y), round(x)] == 1 for x, y in points[36:48])
        assert 0.01 < eyes.mean() < 0.05
        assert not any(eyes[round(y), round(x)] for x, y in points[[19, 24, 27, 33, 51]])
