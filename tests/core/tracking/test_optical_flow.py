"""Flow carries the points of a face to where they lie in the next frame, and says when it
cannot.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from landmark_tools import eye_distance

from understudy.core.face.landmarks import INNER
from understudy.core.tracking import optical_flow
from understudy.errors import DegeneratePoints
from understudy.types import Bytes, Floats

Clip = list[tuple[Bytes, Floats]]


def shifted(image: Bytes, right: float, down: float) -> Bytes:
    move = np.array([[1.0, 0, right], [0, 1, down]])
    return np.asarray(
        cv2.warpAffine(image, move, image.shape[1::-1], flags=cv2.INTER_CUBIC), np.uint8
    )


@pytest.mark.parametrize("way", [(1.75, -0.5), (-6.0, 4.0)])
def test_a_shift_is_found_to_a_tenth_of_a_pixel(
    people: dict[str, Clip], way: tuple[float, float]
) -> None:
    image, points = people["a"][0]
    there = optical_flow.track_points(image, shifted(image, *way), points)
    assert np.median(np.linalg.norm(there.points - points - way, axis=1)[INNER]) < 0.15
    assert there.points.dtype == np.float32 and np.median(there.error) < 0.15


def test_both_ways_lead_to_the_points_of_the_other_frame(people: dict[str, Clip]) -> None:
    for (image, points), (later, later_points) in zip(people["b"], people["b"][1:], strict=False):
        forward, backward = optical_flow.track_both_ways(image, later, points, later_points)
        unit = eye_distance(points)
        for found, true in ((forward.points, later_points), (backward.points, points)):
            assert np.median(np.linalg.norm(found - true, axis=1)) < 0.005 * unit


def test_a_jump_of_half_a_face_is_followed_when_both_faces_are_known(
    people: dict[str, Clip],
) -> None:
    image, points = people["a"][0]
    far = np.array([0.0, 35.0], np.float32)
    forward, backward = optical_flow.track_both_ways(
        image, shifted(image, 0, 35), points, points + far + np.float32(1.5)
    )
    assert np.median(np.linalg.norm(forward.points - points - far, axis=1)) < 0.3
    assert np.median(np.linalg.norm(backward.points - points - np.float32(1.5), axis=1)) < 0.3


def test_what_is_hidden_in_the_other_frame_has_a_large_error(people: dict[str, Clip]) -> None:
    image, points = people["a"][0]
    hidden = image.copy()
    left, top = points[60:68].min(axis=0).astype(int) - 12
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    hidden[top : top + 40, left : left + 60] = cv2.resize(noise[::8, ::8], (60, 40))
    error = optical_flow.track_points(image, hidden, points).error
    assert np.median(error[60:68]) > 5 * np.median(error[36:48])


def test_a_chain_follows_the_face_through_the_clip(people: dict[str, Clip]) -> None:
    found = optical_flow.track_through([image for image, _ in people["a"]], people["a"][0][1])
    true = np.stack([points for _, points in people["a"][1:]])
    assert found.shape == true.shape
    assert np.median(np.linalg.norm(found - true, axis=-1)) < 0.02 * eye_distance(true[0])


@pytest.mark.parametrize("off", [(-150, 0), (0, 110), (900, 900)])
def test_a_face_beyond_the_frame_is_no_error(people: dict[str, Clip], off: tuple[int, int]) -> None:
    image, points = people["a"][0]
    assert np.isfinite(
        optical_flow.track_points(image, image, points + np.float32(off)).points
    ).all()


def test_points_that_are_not_finite_are_refused(people: dict[str, Clip]) -> None:
    image, points = people["a"][0]
    with pytest.raises(DegeneratePoints, match="finite"):
        optical_flow.track_points(image, image, points * np.float32("nan"))
