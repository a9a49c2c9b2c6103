"""Shows with drawn faces, models so small that they learn in no time, and drawn footage with what
finds the faces in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.core.face import align
from understudy.errors import DegeneratePoints
from understudy.io.faceset.faceset import Faceset
from understudy.parts.detectors import Detect, Detection, Detector, detectors
from understudy.parts.landmarkers import FaceLandmarks, Landmarker, Locate, landmarkers
from understudy.stages.events import Event
from understudy.stages.extract import face_analyser
from understudy.stages.extract.command import extract
from understudy.stages.extract.options import ExtractOptions
from understudy.stages.parallel import chunks, footage_reader
from understudy.stages.project import Project, ProjectFile
from understudy.types import AlignedFace, Bytes, Face, FaceType

WHITE, GREY, RED = (255, 255, 255), (90, 90, 90), (255, 0, 0)


@pytest.fixture
def small_models(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One thread, nobody who judges swaps, and in place of `tiny` and `h64` ones of the same kind
    that are smaller still.
    """
    # Late: the runs that a test kills load this file again and again, and need no torch.
    import torch

    from understudy.nets.autoencoder import classic
    from understudy.nets.autoencoder.decoders import ConditionalDecoder, FaceMaskDecoder
    from understudy.nets.autoencoder.encoders import Encoder, Inter
    from understudy.nets.autoencoder.swappers import SharedDecoder, Swapper, TwoDecoders
    from understudy.parts.models.base.autoencoder import Autoencoder, AutoencoderLossConfig
    from understudy.parts.models.base.model import Model
    from understudy.parts.models.tiny import Tiny
    from understudy.stages.train.evaluation import validation
    from understudy.stages.train.evaluation.swap_metrics import MetricNets

    def build(options: Tiny) -> Model:
        encoder = Encoder(options.resolution, (8, 8, 16), fold=2)
        decoder = ConditionalDecoder(2, 16, 2 * encoder.size, (16, 8), fold=2)
        net = SharedDecoder(encoder, Inter(encoder, 24, 16, 16, pixel_norm=True), decoder)
        return Autoencoder(
            net, options.resolution, "full", AutoencoderLossConfig(l1=10, codes=0.3), "kaiming"
        )

    def h64(light: bool) -> Swapper:
        encoder = Encoder(64, (4, 4, 8, 8))
        inter = Inter(encoder, 8, 8, 4 if light else 8)
        src, dst = (FaceMaskDecoder(inter.channels, (8, 4, 4), (8, 4, 4)) for _ in range(2))
        return TwoDecoders(encoder, inter, src, dst)

    monkeypatch.setattr(Tiny, "build", build)
    monkeypatch.setattr(classic, "h64", h64)
    monkeypatch.setattr(validation, "load_metric_nets", MetricNets)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@dataclass(frozen=True)
class Film:
    """A show whose footage is drawn, and what extraction makes of it."""

    folder: Path

    def options(self, **changes: object) -> ExtractOptions:
        settings = {
            "detector": "squares",
            "eyes": False,
            "landmarker": "fitted",
            "size": 256,
            "identity": "none",
            "fill": 0,
            "workers": 1,
        }
        return ExtractOptions.layered(settings, changes)

    def run(self, side: str = "dst", **changes: object) -> list[Event]:
        return list(extract(self.folder, side, options=self.options(**changes)))

    def faces(self, side: str = "dst") -> Faceset:
        return Faceset(self.folder / side / "faces")

    def names(self) -> list[str]:
        return [path.name for path in self.faces().paths]

    def contents(self, side: str) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.faces(side).paths}


class Squares(Detector):
    """Every white square is a face; a red corner is a frame that breaks the detector."""

    def build(self) -> Detect:
        def detect(image: Bytes) -> list[Detection]:
            if tuple(image[0, 0]) == RED:
                raise DegeneratePoints("a red frame. Repaint it.")
            outlines, _ = cv2.findContours(
                (image[:, :, 1] > 200).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
            )
            boxes = [cv2.boundingRect(outline) for outline in outlines]
            return [
                Detection(
                    np.array([x, y, x + w, y + h], np.float32),
                    0.9,
                    0.0,
                    np.zeros((0, 2), np.float32),
                )
                for x, y, w, h in boxes
            ]

        return detect


class Fitted(Landmarker):
    """The average face, fitted into the box."""

    def build(self) -> Locate:
        def locate(image: Bytes, detection: Detection) -> FaceLandmarks:
            inner = (
                align.template_points("half", 100) / 100 * (detection.box[2] - detection.box[0])
                + detection.box[:2]
            )
            return FaceLandmarks(
                np.concatenate([np.repeat(inner[:1], 17, 0), inner]).astype(np.float32), 1.0
            )

        return locate


@pytest.fixture
def squares(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Squares]]:
    """The detector of white squares, known as "squares", its landmarker as "fitted", and chunks of
    three frames.
    """
    assert detectors["blazeface"] and landmarkers["facemesh"]  # loads the real ones first
    monkeypatch.setitem(detectors._parts, "squares", Squares)
    monkeypatch.setitem(landmarkers._parts, "fitted", Fitted)
    monkeypatch.setattr(chunks, "_FEWEST", 3)
    monkeypatch.setattr(chunks, "_MOST", 3)
    yield Squares
    # What a process keeps open; the next test has another clip of the same name, and other parts.
    footage_reader.open_reader.cache_clear()
    face_analyser._parts.cache_clear()


@pytest.fixture
def draw() -> Callable[..., Bytes]:
    """draw((x, y, side), …, corner=grey): a frame with white squares, 120 x 160."""
    return _drawn_frame


@pytest.fixture
def make_film(tmp_path: Path, squares: type[Squares]) -> Callable[..., Film]:
    """make_film(frames): a show whose src and dst are these frames, in the folder "clip" beside
    it.
    """

    def make(frames: list[Bytes]) -> Film:
        (tmp_path / "clip").mkdir()
        for number, image in enumerate(frames):
            cv2.imwrite(str(tmp_path / "clip" / f"{number}.png"), image[:, :, ::-1])
        Project.create(tmp_path / "show", tmp_path / "clip", tmp_path / "clip")
        return Film(tmp_path / "show")

    return make


@pytest.fixture
def film(make_film: Callable[..., Film]) -> Film:
    """Nine frames with two squares each, but for frame 4, which is empty."""
    return make_film(
        [
            _drawn_frame((10 + 2 * n, 20, 40), (100, 30, 24 + n)) if n != 4 else _drawn_frame()
            for n in range(9)
        ]
    )


@pytest.fixture
def make_show() -> Callable[..., Path]:
    """make_show(folder, count=6, face_type="full"): a show with so many drawn faces of each
    side.
    """
    return _make_show


@pytest.fixture
def show(tmp_path: Path) -> Path:
    """A show with six drawn faces of each side."""
    return _make_show(tmp_path / "show")


def _drawn_frame(*squares: tuple[int, int, int], corner: tuple[int, int, int] = GREY) -> Bytes:
    image = np.full((120, 160, 3), GREY, np.uint8)
    image[0, 0] = corner
    for x, y, side in squares:
        image[y : y + side, x : x + side] = WHITE
    return image


def _make_show(folder: Path, count: int = 6, face_type: FaceType = "full") -> Path:
    folder.mkdir()
    project = Project(folder, ProjectFile(src="a.mp4", dst="b.mp4"))
    project.save()
    for seed, (side, skin) in enumerate({"src": (230, 170, 140), "dst": (150, 100, 70)}.items()):
        rng, faces = np.random.default_rng(seed), Faceset(project.faces(side))  # type: ignore[arg-type]
        for frame in range(count):
            faces.add(_drawn_face(rng, frame, skin, face_type), suffix=".png")
    return folder


def _drawn_face(
    rng: np.random.Generator, frame: int, skin: tuple[int, int, int], face_type: FaceType
) -> AlignedFace:
    """A cartoon of a face that tilts, moves and speaks."""
    turn = np.linspace(np.pi, 0, 17)
    points = np.concatenate(
        [
            np.stack([49 + 55 * np.cos(turn), 30 + 85 * np.sin(turn)], 1),
            align.template_points("half", 100),
        ]
    )
    points[55:60, 1] += rng.uniform(0, 12)
    angle = rng.uniform(-0.2, 0.2)
    spin = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = ((points - 50) @ spin.T + (100, 90) + rng.uniform(-8, 8, 2)).astype(np.float32)
    picture = np.full((200, 200, 3), (60, 80, 70), np.uint8)
    cv2.fillConvexPoly(picture, cv2.convexHull(points[:27].astype(np.int32)), skin, cv2.LINE_AA)
    for part in (slice(36, 42), slice(42, 48), slice(48, 60)):
        cv2.fillConvexPoly(
            picture, cv2.convexHull(points[part].astype(np.int32)), (240, 230, 220), cv2.LINE_AA
        )
    face_from_frame = align.face_from_frame(points, face_type, 96)
    image = cv2.warpAffine(picture, face_from_frame, (96, 96), flags=cv2.INTER_LINEAR)
    box = np.array([*points.min(0), *points.max(0)], np.float32)
    face = Face(frame, box, points, 1.0, 0, np.zeros(3, np.float32))
    return AlignedFace(
        face, image.astype(np.uint8), face_from_frame, face_type, None, "drawn.mp4", frame / 25
    )
