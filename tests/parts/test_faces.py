"""Detection and landmarks, from bytes to points; what needs weights or real footage skips politely
without them.
"""

import math
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from landmark_tools import mirror_landmarks

from understudy.core.image import resize
from understudy.io.weights import fetch
from understudy.parts.detectors import detectors
from understudy.parts.landmarkers import landmarkers

FOOTAGE = Path(
    os.environ.get("UNDERSTUDY_FOOTAGE") or Path(__file__).parents[3] / "shared" / "footage"
)


@pytest.fixture(scope="module")
def find():
    """Every face of a picture as (detection, landmarks)."""
    missing = [
        name for name in ("blazeface-full", "facemesh") if fetch.weight_status(name) == "missing"
    ]
    if missing:
        pytest.skip(f"weights not on this machine: {missing}")
    detect, locate = detectors["blazeface"]().build(), landmarkers["facemesh"]().build()

    def every(picture):
        return [(face, found) for face in detect(picture) if (found := locate(picture, face))]

    return every


def picture(name):
    path = FOOTAGE / name
    if not path.is_file():
        pytest.skip("no footage on this machine")
    if path.suffix == ".jpg":
        return cv2.imread(str(path))[..., ::-1].copy()
    clip = cv2.VideoCapture(str(path))
    clip.set(cv2.CAP_PROP_POS_FRAMES, 60)
    return clip.read()[1][..., ::-1].copy()


@pytest.mark.footage
@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
@pytest.mark.parametrize(("name", "count"), [("group-3", 3), ("group-7", 8), ("grid-9", 9)])
def test_every_face_of_a_group_is_found_largest_first(find, name, count, quarters):
    faces = find(np.rot90(picture(f"{name}.jpg"), quarters).copy())
    areas = [float(np.prod(face.box[2:] - face.box[:2])) for face, _ in faces]
    assert len(faces) == count and areas == sorted(areas, reverse=True)


@pytest.mark.footage
@pytest.mark.parametrize("share", [1, 0.25])
@pytest.mark.parametrize(
    "name", ["talker-a", "talker-b", "talker-c", "talker-d", "scene-720p", "painting"]
)
def test_the_one_face_of_a_clip_is_found_and_no_other(find, name, share):
    frame = picture(f"{name}.mp4")
    assert (
        len(find(resize(frame, (round(frame.shape[1] * share), round(frame.shape[0] * share)))))
        == 1
    )


@pytest.mark.footage
@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turned_frame_gives_the_turned_landmarks(find, quarters):
    upright = picture("talker-a.mp4")
    side = upright.shape[0]
    (_, true), ((face, turned),) = find(upright)[0], find(np.rot90(upright, quarters).copy())
    points = turned.landmarks
    for _ in range(quarters):
        points = np.stack([side - 1 - points[:, 1], points[:, 0]], 1)
    assert np.abs(points - true.landmarks).max() < 0.5
    assert math.cos(face.angle + quarters * math.pi / 2) > 0.98


@pytest.mark.footage
def test_a_mirrored_frame_gives_the_mirrored_landmarks(find):
    frame = picture("talker-a.mp4")
    (_, plain), (_, flipped) = find(frame)[0], find(frame[:, ::-1].copy())[0]
    apart = np.linalg.norm(
        mirror_landmarks(flipped.landmarks, frame.shape[1]) - plain.landmarks, axis=1
    )
    assert apart.mean() < 0.006 * np.linalg.norm(plain.landmarks[45] - plain.landmarks[36])


@pytest.mark.footage
def test_noise_is_no_face(find):
    assert find(np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)) == []
