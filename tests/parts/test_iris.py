"""Where drawn eyes look, and lids that close: what the network says of what is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from understudy.core.face.eyes import CORNERS
from understudy.core.face.landmarks import LEFT_EYE, MIRROR, RIGHT_EYE
from understudy.core.synthetic.clip import make_rig
from understudy.io.weights.fetch import weight_status
from understudy.parts.iris import LookAtEyes, load_eye_network
from understudy.types import Bytes, Floats

SCALE = 3


@pytest.fixture(scope="module")
def look() -> LookAtEyes:
    if weight_status("iris") == "missing":
        pytest.skip("the weights are not on this machine")
    return load_eye_network()


@pytest.fixture(scope="module")
def rig():
    return make_rig(pytest.importorskip("skimage.data").astronaut(), "a")


def draw(rig, opening: float = 1.0) -> tuple[Bytes, Floats]:
    """The portrait with its lids as far apart as at rest, times `opening`."""
    points = rig.rest.copy()
    for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46)):
        points[upper] = points[lower] + (points[upper] - points[lower]) * opening
    frame = np.array([[SCALE, 0, -150.0 * SCALE], [0, SCALE, -60.0 * SCALE]])
    picture = rig.render(points, frame, (150 * SCALE, 140 * SCALE))
    return picture, (points[:68] @ frame[:, :2].T + frame[:, 2]).astype(np.float32)


def paint_eyes(picture: Bytes, landmarks: Floats, gaze: tuple[float, float]) -> Bytes:
    """The same with eyeballs that look there, in eye widths from the middle."""
    result = picture.astype(np.float32)
    for corners, outline in zip(CORNERS, (LEFT_EYE, RIGHT_EYE), strict=True):
        left, right = landmarks[list(corners)]
        across = right - left
        width, down = float(np.hypot(*across)), np.array([-across[1], across[0]])
        centre = np.rint(16 * ((left + right) / 2 + gaze[0] * across + gaze[1] * down)).astype(int)
        eye = np.full_like(result, (215, 205, 200))
        for radius, color in ((0.22, (92, 64, 44)), (0.1, (15, 12, 12))):
            cv2.circle(eye, centre.tolist(), int(radius * width * 16), color, -1, cv2.LINE_AA, 4)
        matte = np.zeros(picture.shape[:2], np.uint8)
        points = np.rint(16 * landmarks[outline]).astype(np.int32)
        cv2.fillPoly(matte, [points], 255, cv2.LINE_AA, 4)
        share = cv2.GaussianBlur(matte, (0, 0), 1)[..., None] / 255
        result += share * (cv2.GaussianBlur(eye, (0, 0), 1) - result)
    return result.astype(np.uint8)


def test_the_gaze_follows_eyes_that_look_aside_up_and_down(look, rig) -> None:
    picture, landmarks = draw(rig, 1.25)
    aside = [-0.2, -0.1, 0.0, 0.1, 0.2]
    found = np.stack([look(paint_eyes(picture, landmarks, (x, 0)), landmarks)[0] for x in aside])
    for eye in (0, 1):
        slope, offset = np.polyfit(aside, found[:, eye, 0], 1)
        assert 0.7 < slope < 1.1 and abs(offset) < 0.04
        assert np.abs(found[:, eye, 0] - slope * np.array(aside) - offset).max() < 0.03
    up, down = (look(paint_eyes(picture, landmarks, (0, y)), landmarks)[0] for y in (-0.06, 0.06))
    assert (down[:, 1] - up[:, 1] > 0.03).all()


def test_a_mirrored_face_looks_the_other_way(look, rig) -> None:
    picture, landmarks = draw(rig)
    picture = paint_eyes(picture, landmarks, (0.12, 0))
    gaze, lids = look(picture, landmarks)
    turned = (landmarks[MIRROR] * (-1, 1) + (picture.shape[1] - 1, 0)).astype(np.float32)
    mirrored, others = look(np.ascontiguousarray(picture[:, ::-1]), turned)
    np.testing.assert_allclose(mirrored, gaze[::-1] * (-1, 1), atol=0.01)
    np.testing.assert_allclose(others, lids[::-1], atol=0.01)


def test_lids_are_measured_as_they_close_and_points_that_are_none_give_nothing(look, rig) -> None:
    openings = [0.0, 0.5, 1.0]
    lids = [float(look(*draw(rig, opening))[1].mean()) for opening in openings]
    assert lids == sorted(lids) and lids[0] < 0.16 < 0.22 < lids[2]
    gaze, shut = look(draw(rig)[0], np.full((68, 2), np.nan, np.float32))
    assert np.isnan(gaze).all() and np.isnan(shut).all()
