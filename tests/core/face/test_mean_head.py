"""A head laid onto little: where the marked places are it must be, and turned as they say."""

import cv2
import numpy as np
import pytest

from understudy.core.face import mean_head
from understudy.core.face.pose import HEAD_MODEL

from ...landmark_tools import eye_distance


def turned(*degrees: float) -> np.ndarray:
    """The points (68, 2) of a head turned by pitch and yaw, rolled by 10 degrees."""
    pitch, yaw = np.radians(degrees)
    turn = np.eye(3)
    for axis in ((0, 0, np.radians(10)), (0, yaw, 0), (pitch, 0, 0)):
        turn = turn @ cv2.Rodrigues(np.array(axis, np.float64))[0]
    return (HEAD_MODEL @ turn.T)[:, :2] * 2 + (400, 300)


@pytest.mark.parametrize("degrees", [(0, 0), (-20, 30), (15, -50), (0, 70)])
def test_five_places_tell_how_a_head_is_turned(degrees):
    true = turned(*degrees)
    laid = mean_head.lay_onto_places(mean_head.find_places(true, 5))
    assert np.linalg.norm(laid - true, axis=1).mean() < 0.05 * eye_distance(turned(0, 0))


def test_two_eyes_are_hit_exactly():
    eyes = np.array([[100, 80], [140, 95]])
    laid = mean_head.lay_onto_places(eyes)
    assert mean_head.find_places(laid, 2) == pytest.approx(eyes, abs=1e-3)
    # The chin is below them.
    assert laid[8, 1] > 150


def test_left_and_right_are_mended_but_not_up_and_down():
    true = turned(0, 20)
    five, eyes = mean_head.find_places(true, 5), mean_head.find_places(true, 2)
    assert (mean_head.order_places(five[[1, 0, 2, 4, 3]]) == five).all()
    assert (mean_head.order_places(eyes[::-1]) == eyes).all()
    upside_down = 1000 - five
    assert (mean_head.order_places(upside_down) == upside_down).all()
    laid = mean_head.lay_onto_places(upside_down)
    assert laid[8, 1] < laid[27, 1]


@pytest.mark.parametrize("above", [0, 40, 100])
def test_a_box_is_filled_from_ear_to_ear_with_the_chin_below(above):
    laid = mean_head.lay_into_box((100, 200 - above, 250, 350))
    (left, top), (right, low) = laid.min(axis=0), laid.max(axis=0)
    assert low == pytest.approx(350, abs=1)
    assert left - 100 == pytest.approx(250 - right, abs=0.1) and left >= 100
    assert top >= 200 - above and right - left > 130


def test_another_face_is_moved_onto_places():
    other, true = turned(5, 10), turned(5, 10) * 1.3 + (20, 40)
    for count in (2, 5):
        moved = mean_head.move_onto_places(other, mean_head.find_places(true, count))
        assert np.abs(moved - true).max() < 0.01
