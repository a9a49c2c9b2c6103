"""Landmarkers: the points lie where they truly are, move with the face, and do not care how the
head lies in the picture.
"""

from __future__ import annotations

import functools
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from landmark_tools import eye_distance, mirror_landmarks
from torch import Tensor, nn

from understudy.core import affine
from understudy.core.face.landmarks import COUNT, INNER, MIRROR
from understudy.core.image import warp
from understudy.core.metrics import swap_metrics
from understudy.core.synthetic import clip
from understudy.errors import MissingExtra, WeightsMissing
from understudy.io.weights import fetch
from understudy.nets.pretrained import load as pretrained_load
from understudy.nets.pretrained.fan import FAN, heatmap_peaks
from understudy.parts.detectors import Detection
from understudy.parts.landmarkers import Locate, fan, landmarkers, mesh_as_68
from understudy.parts.landmarkers.mediapipe import EXPRESSIONS, MediaPipe
from understudy.stages.demo import load_portrait
from understudy.types import Bytes, Doubles, Floats

Clip = list[tuple[Bytes, Floats]]

MESHES = ["facemesh", "mediapipe"]
NEEDED = {"facemesh": "facemesh", "mediapipe": "mediapipe", "dlib": "dlib-68"}


@pytest.fixture(scope="module", autouse=True)
def models_folder() -> Iterator[None]:
    """Look for weights where the test machines keep them; nothing is fetched here."""
    shared = Path(__file__).resolve().parents[3] / "shared" / "models"
    with pytest.MonkeyPatch.context() as patch:
        if shared.is_dir():
            patch.setenv("UNDERSTUDY_MODELS", str(shared))
        yield


@pytest.fixture(scope="module")
def acted() -> dict[str, Clip]:
    """Two people in eight moments far apart: turned, talking, blinking."""
    return {
        name: list(clip.render_clip(load_portrait(), name, 8, (320, 240), fps=2.5))
        for name in ("a", "b")
    }


@functools.cache
def ready(name: str) -> Locate:
    """The landmarker; the test is skipped where its weights are not at hand."""
    if fetch.weight_status(NEEDED[name]) == "missing" or (
        name == "dlib" and importlib.util.find_spec("dlib") is None
    ):
        pytest.skip(f"no weights for {name} on this machine")
    return landmarkers[name]().build()


def detected(landmarks: Floats | Doubles, angle: float = 0.0) -> Detection:
    """What a detector would say of the face with these landmarks."""
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    middle, half = (low + high) / 2, (high - low).max() / 2
    box = np.concatenate([middle - half, middle + half]).astype(np.float32)
    return Detection(box, 0.9, angle, np.zeros((0, 2), np.float32))


def points(locate: Locate, image: Bytes, detection: Detection) -> Floats:
    found = locate(image, detection)
    assert (
        found is not None
        and found.landmarks.shape == (COUNT, 2)
        and found.landmarks.dtype == np.float32
    )
    return found.landmarks


def share_of_eyes(found: Floats, true: Floats, which: slice) -> float:
    """The mean distance, in % of the distance between the eyes."""
    return float(
        100 * np.linalg.norm(found[which] - true[which], axis=1).mean() / eye_distance(true)
    )


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize("person", ["a", "b"])
def test_the_points_follow_the_truth(name: str, person: str, acted: dict[str, Clip]) -> None:
    locate = ready(name)
    found = np.stack([points(locate, image, detected(true)) for image, true in acted[person]])
    true = np.stack([true for _, true in acted[person]])
    assert swap_metrics.landmark_error(found, true) < 2.5, (
        "brows, nose, eyes, mouth; where exactly a point is put aside"
    )
    jaw = np.mean([share_of_eyes(*pair, slice(0, 17)) for pair in zip(found, true, strict=True)])
    # dlib does not follow b's jaw, which is broader than the faces it has seen.
    assert jaw < 5 or (name, person) == ("dlib", "b")
    if person == "a":
        assert (
            np.mean([share_of_eyes(*pair, INNER) for pair in zip(found, true, strict=True)]) < 2.5
        )


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turned_head_has_the_turned_points(
    name: str, quarters: int, people: dict[str, Clip]
) -> None:
    image, true = people["a"][0]
    side = min(image.shape[:2])
    upright = np.ascontiguousarray(image[:side, 40 : 40 + side])
    locate, face = ready(name), detected(true - (40, 0))
    plain = points(locate, upright, face)
    turned_from_upright = affine.square_crop(
        np.full(2, side / 2 - 0.5), side, -quarters * np.pi / 2, side
    )
    corners = affine.apply(turned_from_upright, face.box.reshape(2, 2))
    turned = Detection(affine.bounding_box(corners), 0.9, quarters * np.pi / 2, face.keypoints)
    seen = points(locate, np.rot90(upright, -quarters).copy(), turned)
    assert (
        share_of_eyes(seen, affine.apply(turned_from_upright, plain).astype(np.float32), INNER)
        < 0.5
    )


@pytest.mark.parametrize("name", MESHES)
def test_a_mesh_finds_out_which_way_is_up(name: str, people: dict[str, Clip]) -> None:
    image, true = people["b"][0]
    locate = ready(name)
    told, untold = (points(locate, image, detected(true, angle)) for angle in (0, np.pi / 2))
    assert share_of_eyes(untold, told, INNER) < 1


@pytest.mark.parametrize("name", NEEDED)
def test_half_a_pixel_is_seen(name: str, people: dict[str, Clip]) -> None:
    image, true = people["a"][0]
    locate = ready(name)
    moved = warp(image, np.array([[1, 0, 0.5], [0, 1, 0.25]]), (image.shape[1], image.shape[0]))
    shift = points(locate, moved, detected(true)) - points(locate, image, detected(true))
    assert shift.mean(axis=0) == pytest.approx([0.5, 0.25], abs=0.1)


@pytest.mark.parametrize("name", MESHES)
def test_a_mirrored_picture_has_mirrored_points(name: str, people: dict[str, Clip]) -> None:
    image, true = people["b"][4]
    locate, width = ready(name), image.shape[1]
    plain = points(locate, image, detected(true))
    flipped = points(locate, image[:, ::-1].copy(), detected(mirror_landmarks(true, width)))
    assert share_of_eyes(mirror_landmarks(flipped, width), plain, slice(None)) < 0.5


@pytest.mark.parametrize("name", MESHES)
def test_a_wall_is_no_face(name: str) -> None:
    box = np.array([60, 60, 180, 180], np.float32)
    noise = np.random.default_rng(0).integers(90, 140, (240, 240, 3), np.uint8)
    assert ready(name)(noise, Detection(box, 0.9, 0.0, np.zeros((0, 2), np.float32))) is None


def test_asking_for_one_landmarker_does_not_load_the_slow_ones() -> None:
    code = (
        "import sys; from understudy.parts.landmarkers import landmarkers as l; l['facemesh'];"
        " sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_points_to_be_marked_by_hand_are_not_placed(people: dict[str, Clip]) -> None:
    image, true = people["a"][0]
    assert landmarkers["manual"]().build()(image, detected(true)) is None


def test_the_68_points_are_mixes_of_the_mesh_that_mirror() -> None:
    plain, flipped = mesh_as_68.FROM_MESH, mesh_as_68.FROM_MIRRORED_MESH
    assert np.allclose(plain.sum(axis=1), 1)
    assert np.allclose(plain, flipped[MIRROR])
    assert len(np.unique(plain, axis=0)) == COUNT


@pytest.mark.parametrize("missing", ["dlib", "face_recognition_models"])
def test_without_the_extra_the_message_says_how_to_get_it(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == missing else found(name, *rest),
    )
    with pytest.raises(MissingExtra, match=r"landmarker dlib: .*Run: .*dlib"):
        landmarkers["dlib"]().build()


def test_expressions_follow_mouth_and_eyes(acted: dict[str, Clip]) -> None:
    ready("mediapipe")
    express = MediaPipe().build_expression()
    told = [express(image, detected(true)) for image, true in acted["a"]]
    rows = np.stack([row for row in told if row is not None])
    assert (
        rows.shape == (8, 52)
        and len(set(EXPRESSIONS)) == 52
        and rows.min() >= 0
        and rows.max() <= 1
    )
    mouth, _, eyes, _ = swap_metrics.expression_features(
        np.stack([true for _, true in acted["a"]])
    ).T
    assert np.corrcoef(rows[:, EXPRESSIONS.index("jawOpen")], mouth)[0, 1] > 0.8
    assert np.corrcoef(rows[:, EXPRESSIONS.index("eyeBlinkLeft")], eyes)[0, 1] < -0.7


def test_expressions_of_the_mirror_image_change_sides(people: dict[str, Clip]) -> None:
    ready("mediapipe")
    image, true = people["a"][9]
    express = MediaPipe().build_expression()
    plain, flipped = (
        express(image, detected(true)),
        express(image[:, ::-1].copy(), detected(mirror_landmarks(true, image.shape[1]))),
    )
    assert plain is not None and flipped is not None
    left, right = (EXPRESSIONS.index(f"mouthSmile{side}") for side in ("Left", "Right"))
    assert plain[left] == pytest.approx(flipped[right], abs=0.1) and plain[right] == pytest.approx(
        flipped[left], abs=0.1
    )


def test_fan_is_the_published_network() -> None:
    assert sum(each.numel() for each in FAN().parameters()) == 23_820_176


def test_a_peak_between_cells_is_found_there() -> None:
    grid, true = (
        torch.arange(64.0),
        torch.rand((68, 2), generator=torch.Generator().manual_seed(0)) * 50 + 7,
    )
    down, across = grid[:, None] - true[:, 1, None, None], grid - true[:, 0, None, None]
    found, heat = heatmap_peaks(torch.exp(-(down**2 + across**2) / 2)[None] - 0.01)
    assert (found[0] - true).abs().max() < 0.03
    assert heat.min() > 0.7
    assert heatmap_peaks(torch.full((1, 68, 64, 64), -1.0))[0].isfinite().all()


class GreenDot(nn.Module):
    """In place of FAN: every map shows how green the picture is."""

    def forward(self, pictures: Tensor) -> Tensor:
        green = (pictures[:, 1] - pictures[:, 0]).clamp(min=0)
        return nn.functional.avg_pool2d(green[:, None], 4).expand(-1, 68, -1, -1)


@pytest.mark.parametrize("angle", [0.0, 0.6])
def test_fan_puts_the_points_where_the_heat_is(angle: float) -> None:
    image = np.full((300, 400, 3), 60, np.uint8)
    rows, columns = np.mgrid[:300, :400]
    image[..., 1] += (190 * np.exp(-((rows - 141.3) ** 2 + (columns - 207.8) ** 2) / 18)).astype(
        np.uint8
    )
    face = Detection(
        np.array([130, 80, 270, 220], np.float32), 0.9, angle, np.zeros((0, 2), np.float32)
    )
    locate = fan.Fan(passes=1, device="cpu", score=0.01).with_network(GreenDot())  # type: ignore[arg-type]
    found = locate(image, face)
    assert found is not None
    assert np.abs(found.landmarks - (207.8, 141.3)).max() < 0.15


def test_fan_sees_no_face_where_the_maps_stay_cold() -> None:
    face = Detection(np.array([30, 30, 90, 90], np.float32), 0.9, 0.0, np.zeros((0, 2), np.float32))
    assert (
        fan.Fan(device="cpu").with_network(GreenDot())(np.zeros((120, 120, 3), np.uint8), face)
        is None
    )  # type: ignore[arg-type]


def test_weights_of_another_network_are_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tensors = dict(FAN().state_dict())
    for dims in ("2d", "3d"):
        (tmp_path / f"fan-{dims}").touch()
    monkeypatch.setattr(fan, "weight_path", lambda name: tmp_path / name)
    monkeypatch.setattr(pretrained_load, "parse_torch_file", lambda data, source: tensors)
    assert callable(fan.Fan(device="cpu").build())
    tensors["bn1.num_batches_tracked"] = torch.tensor(7)
    assert callable(fan.Fan(device="cpu").build()), (
        "a counter that some versions write does no harm"
    )
    tensors["m3.b2_plus_1.conv2.weight"] = torch.zeros(64, 64, 3, 3)
    with pytest.raises(
        WeightsMissing, match=r"fan-3d: tensor 'm3\.b2_plus_1\.conv2\.weight' has the shape"
    ):
        fan.Fan(dims="3d", device="cpu").build()


def test_of_a_face_of_a_few_pixels_a_sure_detector_is_believed() -> None:
    locate = landmarkers["facemesh"]().build()
    blank = np.full((60, 80, 3), 120, np.uint8)
    eyes_and_nose = np.array([[36, 28], [40, 28.5], [38, 31]], np.float32)

    def seen(box: list[float], score: float, points: np.ndarray) -> Detection:
        return Detection(np.array(box, np.float32), score, 0.0, points)

    small, large = [33.0, 24.0, 43.0, 34.0], [20.0, 10.0, 60.0, 50.0]
    found = locate(blank, seen(small, 0.9, eyes_and_nose))
    assert (
        found is not None and np.abs(found.landmarks[36:42].mean(0) - eyes_and_nose[0]).max() < 0.5
    )
    assert found.landmarks[8, 1] > found.landmarks[57, 1] > found.landmarks[30, 1]
    assert locate(blank, seen(small, 0.5, eyes_and_nose)) is None
    assert locate(blank, seen(small, 0.9, eyes_and_nose[:0])) is None
    assert locate(blank, seen(large, 0.9, eyes_and_nose)) is None
