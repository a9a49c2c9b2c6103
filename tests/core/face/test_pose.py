import math

import numpy as np
import pytest

from understudy.core.face import pose
from understudy.errors import DegeneratePoints


def seen(pitch, yaw, roll, where=(30.0, -20.0, 900.0), focal=1280.0):
    """The model head, turned and looked at by a 1280 x 720 camera: (68, 2) frame pixels."""
    turn = rotation(2, roll) @ rotation(1, yaw) @ rotation(0, -pitch)
    points = pose.HEAD_MODEL @ turn.T + where
    return (points[:, :2] / points[:, 2:] * focal + (639.5, 359.5)).astype(np.float32)


def rotation(axis, angle):
    matrix = np.eye(3)
    one, other = [(1, 2), (2, 0), (0, 1)][axis]
    matrix[one, one] = matrix[other, other] = math.cos(angle)
    matrix[one, other], matrix[other, one] = -math.sin(angle), math.sin(angle)
    return matrix


@pytest.mark.parametrize("true", [(0, 0, 0), (0.3, -0.6, 1.2), (-0.4, 0.9, 3.0), (0.1, 1.2, -2.0)])
def test_a_pose_is_read_back_from_its_picture(true):
    assert np.allclose(pose.estimate_pose(seen(*true), (1280, 720)), true, atol=1e-3)


def test_signs_are_as_told():
    ahead = seen(0, 0, 0)
    assert seen(0.4, 0, 0)[30, 1] < ahead[30, 1]
    assert seen(0, 0.4, 0)[30, 0] < ahead[30, 0]
    assert seen(0, 0, 0.4)[45, 1] > ahead[45, 1]


def test_an_expression_hardly_changes_the_pose():
    laughing = seen(0.1, 0.2, 0)
    laughing[48:] += np.random.default_rng(0).normal(0, 20, (20, 2)).astype(np.float32)
    assert np.allclose(pose.estimate_pose(laughing, (1280, 720)), (0.1, 0.2, 0), atol=1e-3)


def test_a_point_for_a_face_is_refused():
    with pytest.raises(DegeneratePoints):
        pose.estimate_pose(np.zeros((68, 2), np.float32), (1280, 720))
