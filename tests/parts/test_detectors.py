"""Detectors: every one finds the same faces however the picture is turned, shrunk or peopled; and
when which looks are taken.
"""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from understudy.core.image import resize
from understudy.errors import BadOption, MissingExtra
from understudy.io.weights import fetch
from understudy.parts.detectors import Detect, Detection, detectors
from understudy.parts.detectors import s3fd as s3fd_part
from understudy.parts.detectors.s3fd import S3fd
from understudy.parts.detectors.search import (
    SearchDetector,
    ViewDetector,
    ViewFaces,
    _distinct,
    _middles,
    merge_overlapping,
)
from understudy.types import Bytes, Doubles, Floats

NEEDS = {
    "blazeface": ("blazeface-full",),
    "yunet": ("yunet-2023mar", "yunet-n"),
    "mtcnn": ("mtcnn-pnet",),
    "dlib": (),
}
EYES, MIDDLE = ((36, 42), (42, 48)), slice(17, 68)


@pytest.fixture(autouse=True)
def models_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """The models folder of the test machines, where there is one and no other was chosen."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "models"
    if beside.is_dir() and not fetch.os.environ.get("UNDERSTUDY_MODELS"):
        monkeypatch.setenv("UNDERSTUDY_MODELS", str(beside))


def built(name: str, **options: Any) -> Detect:
    """The detector, where what it needs is on this machine."""
    if name == "dlib" and importlib.util.find_spec("dlib") is None:
        pytest.skip("the extra 'dlib' is not installed")
    if NEEDS[name] and all(fetch.weight_status(each) == "missing" for each in NEEDS[name]):
        pytest.skip(f"weights not on this machine: {NEEDS[name]}")
    return detectors[name](**options).build()


def turned(picture: Bytes, points: Floats, quarters: int) -> tuple[Bytes, Floats]:
    """The picture turned anticlockwise by quarters, with its points."""
    for _ in range(quarters):
        points = np.stack([points[:, 1], picture.shape[1] - 1 - points[:, 0]], 1)
        picture = np.rot90(picture)
    return np.ascontiguousarray(picture), points


def on_grey(picture: Bytes, points: Floats, share: float) -> tuple[Bytes, Floats]:
    """The picture, shrunk to a share of its size, somewhere on a grey picture of the old size."""
    height, width = picture.shape[:2]
    small = resize(picture, (round(width * share), round(height * share)))
    canvas, (x, y) = np.full_like(picture, 128), (width // 2, height // 3)
    canvas[y : y + small.shape[0], x : x + small.shape[1]] = small
    return canvas, (points + 0.5) * share - 0.5 + (x, y)


def assert_found(found: list[Detection], *people: Floats, lean: float = 0.4) -> None:
    """Each person once, the box around the features, the angle within `lean` of that of the
    eyes.
    """
    assert len(found) == len(people)
    for points in people:
        low, high = points[MIDDLE].min(0), points[MIDDLE].max(0)
        nearest = min(
            found,
            key=lambda face: float(
                np.linalg.norm(face.box.reshape(2, 2).mean(0) - (low + high) / 2)
            ),
        )
        side = float((high - low).max())
        assert np.linalg.norm(nearest.box.reshape(2, 2).mean(0) - (low + high) / 2) < 0.35 * side
        assert 0.8 * side < (nearest.box[2:] - nearest.box[:2]).max() < 2.2 * side
        left, right = (points[first:last].mean(0) for first, last in EYES)
        true = math.atan2(*(right - left)[::-1])
        assert abs(math.remainder(nearest.angle - true, 2 * math.pi)) < lean


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
@pytest.mark.parametrize("name", NEEDS)
def test_a_turned_person_is_found(name: str, quarters: int, people: dict[str, Any]) -> None:
    picture, points = turned(*people["a"][0], quarters)
    assert_found(built(name, tiles=0)(picture), points)


@pytest.mark.parametrize("name", NEEDS)
def test_a_small_person_is_found(name: str, people: dict[str, Any]) -> None:
    picture, points = on_grey(*people["b"][0], 0.25)
    # On a face of 25 pixels the eyes are a guess; the landmarker turns its own crop.
    assert_found(built(name)(picture), points, lean=math.pi / 4)


@pytest.mark.parametrize("name", NEEDS)
def test_several_people_are_found_largest_first(name: str, people: dict[str, Any]) -> None:
    (a, of_a), (b, of_b), (small, of_small) = (
        people["a"][0],
        people["b"][0],
        on_grey(*people["a"][5], 0.5),
    )
    picture = np.hstack([small, a, b])
    # Where every face it sees is large and sure, a detector has no reason to look from nearer by.
    found = built(name, tiles=1 if name == "dlib" else "auto")(picture)
    assert_found(found, of_small, of_a + np.array([320, 0]), of_b + np.array([640, 0]))
    areas = [float(np.prod(face.box[2:] - face.box[:2])) for face in found]
    assert areas == sorted(areas, reverse=True)
    assert len(built(name, most=1, rotations="none")(picture)) == 1
    assert len(built(name, smallest=0.2, rotations="none")(picture)) == 0


@pytest.mark.parametrize("name", NEEDS)
def test_an_empty_picture_has_no_face(name: str) -> None:
    assert built(name, rotations="none", tiles=0)(np.full((90, 160, 3), 128, np.uint8)) == []


def test_manual_finds_nothing_by_itself(people: dict[str, Any]) -> None:
    assert detectors["manual"]().build()(people["a"][0][0]) == []


@pytest.mark.parametrize(("missing", "cnn"), [("dlib", False), ("face_recognition_models", True)])
def test_without_the_extra_the_message_says_how_to_get_it(
    missing: str, cnn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == missing else found(name, *rest),
    )
    with pytest.raises(MissingExtra, match=r"detector dlib: .*Run: .*dlib"):
        detectors["dlib"](cnn=cnn).build()


def test_s3fd_reads_its_anchors() -> None:
    score, box = torch.zeros(1, 6, 8), torch.zeros(1, 4, 6, 8)
    score[0, 2, 3], box[0, :, 2, 3] = 0.9, torch.tensor([1.0, -1.0, 0.0, math.log(2) / 0.2])
    ((x0, y0, x1, y1),), scores = s3fd_part._decoded(score, box, 16, 0.5)
    # Cell (3, 2) of stride 16: the middle at (56, 40) shifted by a tenth of the anchor of 64, which
    # doubles in height.
    assert np.allclose(
        [x0, y0, x1, y1], [30.4 - 0.5, -30.4 - 0.5, 94.4 - 0.5, 97.6 - 0.5]
    ) and np.allclose(scores, 0.9)


def test_s3fd_sees_in_bgr_and_gives_frame_pixels() -> None:
    class Stub(torch.nn.Module):
        def forward(self, pictures: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
            assert torch.allclose(
                pictures[0, :, 0, 0], torch.tensor([30 - 104.0, 20 - 117.0, 10 - 123.0]), atol=1e-3
            )
            found = torch.zeros(1, pictures.shape[2] // 64, pictures.shape[3] // 64)
            empty = [(torch.zeros(1, 1, 1), torch.zeros(1, 4, 1, 1))] * 4
            hot = found.clone()
            hot[0, 1, 2] = 1
            return [*empty, (hot, torch.zeros(1, 4, *hot.shape[1:])), empty[0]]

    part = S3fd(rotations="none", tiles=0, device="cpu")
    looker = part.with_network(Stub())  # type: ignore[arg-type]
    frame = np.full((360, 640, 3), (10, 20, 30), np.uint8)
    seen = looker.look(frame)
    assert np.allclose(
        seen.boxes, [[2.5 * 64 - 128.5, 1.5 * 64 - 128.5, 2.5 * 64 + 127.5, 1.5 * 64 + 127.5]]
    )


class Pretend(SearchDetector):
    """A network that sees a white square as a face, the brighter the surer, and nothing below 20
    pixels.
    """

    def view_detector(self) -> ViewDetector:
        """The looks that were taken are kept in `SIZES`."""

        def look(view: Bytes) -> ViewFaces:
            SIZES.append(view.shape[:2])
            rows, columns = np.nonzero(view[..., 0] > 150)
            if not len(rows) or np.ptp(columns) < 20:
                return ViewFaces(np.zeros((0, 4)), np.zeros(0), np.zeros((0, 0, 2)))
            box = (
                np.array([[columns.min(), rows.min(), columns.max() + 1.0, rows.max() + 1.0]]) - 0.5
            )
            return ViewFaces(box, np.array([view[..., 0].max() / 255]), np.zeros((1, 0, 2)))

        return ViewDetector(look, side=200, is_square=False, small=0.15, sure=0.9)


SIZES: list[tuple[int, ...]] = []


def looks(
    side: int, brightness: int = 255, **options: Any
) -> tuple[list[Detection], list[tuple[int, ...]]]:
    """What is found in a frame of 400 x 200 with a square of that side, and the looks that it
    took.
    """
    frame = np.zeros((200, 400, 3), np.uint8)
    frame[60 : 60 + side, 150 : 150 + side] = brightness
    SIZES.clear()
    return Pretend(**options).build()(frame), list(SIZES)


def test_a_plain_frame_costs_one_look() -> None:
    (face,), sizes = looks(100)
    assert sizes == [(100, 200)] and np.allclose(face.box, [149.5, 59.5, 249.5, 159.5], atol=1.5)


def test_doubt_has_the_frame_turned_and_the_surest_wins() -> None:
    (face,), sizes = looks(100, brightness=200)
    assert sizes == [(100, 200), (200, 100), (200, 100), (100, 200)] and face.angle == 0
    assert len(looks(100, brightness=200, rotations="none")[1]) == 1
    assert len(looks(100, rotations="all")[1]) == 4


@pytest.mark.parametrize(("side", "found"), [(50, 1), (30, 1), (16, 0)])
def test_a_small_face_or_none_has_the_frame_looked_at_from_nearer_by(side: int, found: int) -> None:
    faces, sizes = looks(side)
    assert len(faces) == found
    # Three squares of 200 pixels cover the frame of 400 x 200.
    assert sizes.count((200, 200)) == 3
    assert not looks(side, tiles=0)[1].count((200, 200))


def test_tiles_of_quarters_find_faces_a_quarter_as_large() -> None:
    faces, sizes = looks(12, tiles=2)
    assert len(faces) == 1 and np.allclose(faces[0].box, [149.5, 59.5, 161.5, 71.5], atol=1)
    assert sizes.count((200, 200)) == 3 + 7 * 3


def test_nearer_looks_are_spared_where_smallest_would_drop_what_they_find() -> None:
    assert not looks(16, smallest=0.2)[1].count((200, 200))


def test_only_the_named_numbers_of_tiles_are_taken() -> None:
    assert Pretend.layered({"tiles": "2"}).tiles == Pretend(tiles=2).tiles == 2
    with pytest.raises(BadOption, match="tiles"):
        Pretend.layered({"tiles": 3})


def test_overlapping_boxes_of_a_view_become_one() -> None:
    boxes = np.array([[0, 0, 10, 10], [2, 0, 12, 10], [40, 0, 50, 10]], np.float64)
    seen = merge_overlapping(boxes, np.array([0.9, 0.3, 0.5]), boxes.reshape(-1, 2, 2))
    assert np.allclose(seen.boxes, [[0.5, 0, 10.5, 10], [40, 0, 50, 10]]) and np.allclose(
        seen.scores, [0.9, 0.5]
    )
    assert np.allclose(seen.keypoints.reshape(-1, 4), seen.boxes)
    none: Doubles = np.zeros((0, 4))
    assert merge_overlapping(none, np.zeros(0), np.zeros((0, 0, 2))).boxes.shape == (0, 4)


def test_a_face_seen_in_many_views_counts_once() -> None:
    def face(shift: float, score: float, angle: float = 0.0) -> Detection:
        return Detection(
            np.array([10, 10, 60, 60], np.float32) + np.float32(shift),
            score,
            angle,
            np.zeros((0, 2), np.float32),
        )

    whole, again, other = face(0, 0.8), face(3, 0.6), face(80, 0.5)
    part = Detection(np.array([12, 30, 58, 60], np.float32), 0.7, 0.0, whole.keypoints)
    # In doubt, upright goes first; a sure look wins over any doubt.
    upside_down = face(1, 0.85, math.pi)
    assert _distinct([again, upside_down, part, other, whole], sure=0.9) == [whole, other]
    assert _distinct([again, upside_down, whole], sure=0.82) == [upside_down]


def test_tiles_cover_the_frame() -> None:
    assert [middle - 480 for middle in _middles(1920, 960)] == [-0.5, 479.5, 959.5]
    assert _middles(300, 960) == [149.5]
