"""What another tool says of a face is believed only where all of it fits together."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.core import affine
from understudy.core.face.align import face_from_frame
from understudy.core.face.foreign_fit import check_fit, pose_without_frame, shown_type
from understudy.core.face.pose import estimate_pose
from understudy.core.synthetic.clip import PORTRAIT_LANDMARKS
from understudy.types import FaceType

POINTS = PORTRAIT_LANDMARKS[:68].astype(np.float32)
SIZE = 256
MATRIX = face_from_frame(POINTS, "whole", SIZE)
IN_FACE = affine.apply(MATRIX, POINTS)
MIDDLE = np.full(2, SIZE / 2 - 0.5)


@pytest.mark.parametrize("face_type", ["half", "mid-full", "full", "whole", "head", "no-align"])
def test_what_fits_is_believed(face_type: FaceType) -> None:
    matrix = face_from_frame(POINTS, face_type, SIZE)
    in_face = affine.apply(matrix, POINTS)
    assert not check_fit(matrix, POINTS, in_face, face_type, SIZE)
    assert shown_type(matrix, POINTS, face_type, SIZE) == face_type


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (affine.scaling(0.5), "times as large"),
        (affine.scaling(2), "outside"),
        (np.array([[1, 0, 0.28 * SIZE], [0, 1, 0]]), "off the middle"),
        (affine.square_crop(MIDDLE, SIZE, np.pi / 2, SIZE), "turned by 90"),
    ],
)
def test_points_that_do_not_fit_their_picture_are_told(change: np.ndarray, reason: str) -> None:
    """Resized, cut off or turned by a tool that left what the picture says as it was."""
    matrix = affine.compose(change, MATRIX)
    assert reason in check_fit(matrix, POINTS, affine.apply(matrix, POINTS), "whole", SIZE)


def test_a_matrix_of_another_face_is_told() -> None:
    assert "away" in check_fit(MATRIX, POINTS, IN_FACE + np.array([9, 0]), "whole", SIZE)
    assert not check_fit(MATRIX, POINTS, IN_FACE + np.array([1, 0]), "whole", SIZE)


def test_a_head_of_deepfacelab_1_counts_as_what_it_shows() -> None:
    """It is 2.04 times as wide as half a face, today's is 2.98 times."""
    half = face_from_frame(POINTS, "half", SIZE)
    matrix = affine.compose(affine.square_crop(MIDDLE, SIZE * 2.044, 0, SIZE), half)
    assert not check_fit(matrix, POINTS, affine.apply(matrix, POINTS), "head", SIZE)
    assert shown_type(matrix, POINTS, "head", SIZE) == "full"


def test_the_pose_needs_no_frame() -> None:
    known = estimate_pose(POINTS - POINTS.mean(0) + np.float32([960, 540]), (1920, 1080))
    assert np.abs(pose_without_frame(POINTS) - known).max() < 0.1
