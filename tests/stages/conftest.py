"""A show with drawn faces, and models so small that they learn in no time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from understudy.core import align
from understudy.io.faceset import Faceset
from understudy.nets import classic
from understudy.nets.decoders import PersonalDecoder, TwoBranches
from understudy.nets.encoders import Encoder, Inter
from understudy.nets.swappers import Swapper, TwoDecoders, TwoPersonas
from understudy.parts.models.autoencoder import Autoencoder, Lesson
from understudy.parts.models.contract import Model
from understudy.parts.models.tiny import Tiny
from understudy.stages.project import Project, ProjectFile
from understudy.types import AlignedFace, Face, FaceType


@pytest.fixture
def small_models(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One thread, and in place of `tiny` and `h64` ones of the same kind that are smaller still."""

    def build(options: Tiny) -> Model:
        encoder = Encoder(options.resolution, (8, 8, 16), fold=2)
        decoder = PersonalDecoder(2, 16, 2 * encoder.size, (16, 8), fold=2)
        net = TwoPersonas(encoder, Inter(encoder, 24, 16, 16, normalised=True), decoder)
        return Autoencoder(net, options.resolution, "full", Lesson(l1=10, codes=0.3), "kaiming")

    def h64(light: bool) -> Swapper:
        encoder = Encoder(64, (4, 4, 8, 8))
        inter = Inter(encoder, 8, 8, 4 if light else 8)
        src, dst = (TwoBranches(inter.channels, (8, 4, 4), (8, 4, 4)) for _ in range(2))
        return TwoDecoders(encoder, inter, src, dst)

    monkeypatch.setattr(Tiny, "build", build)
    monkeypatch.setattr(classic, "h64", h64)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def make_show() -> Callable[..., Path]:
    """make_show(folder, count=6, face_type="full"): a show with so many drawn faces of each side."""
    return _make_show


@pytest.fixture
def show(tmp_path: Path) -> Path:
    """A show with six drawn faces of each side."""
    return _make_show(tmp_path / "show")


def _make_show(folder: Path, count: int = 6, face_type: FaceType = "full") -> Path:
    folder.mkdir()
    project = Project(folder, ProjectFile(src="a.mp4", dst="b.mp4"))
    project.save()
    for seed, (side, skin) in enumerate({"src": (230, 170, 140), "dst": (150, 100, 70)}.items()):
        rng, faces = np.random.default_rng(seed), Faceset(project.faces(side))  # type: ignore[arg-type]
        for frame in range(count):
            faces.add(_drawn_face(rng, frame, skin, face_type), suffix=".png")
    return folder


def _drawn_face(rng: np.random.Generator, frame: int, skin: tuple[int, int, int], face_type: FaceType) -> AlignedFace:
    """A cartoon of a face that tilts, moves and speaks."""
    turn = np.linspace(np.pi, 0, 17)
    points = np.concatenate([np.stack([49 + 55 * np.cos(turn), 30 + 85 * np.sin(turn)], 1), align.template("half", 100)])
    points[55:60, 1] += rng.uniform(0, 12)
    angle = rng.uniform(-0.2, 0.2)
    spin = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = ((points - 50) @ spin.T + (100, 90) + rng.uniform(-8, 8, 2)).astype(np.float32)
    picture = np.full((200, 200, 3), (60, 80, 70), np.uint8)
    cv2.fillConvexPoly(picture, cv2.convexHull(points[:27].astype(np.int32)), skin, cv2.LINE_AA)
    for part in (slice(36, 42), slice(42, 48), slice(48, 60)):
        cv2.fillConvexPoly(picture, cv2.convexHull(points[part].astype(np.int32)), (240, 230, 220), cv2.LINE_AA)
    face_from_frame = align.face_from_frame(points, face_type, 96)
    image = cv2.warpAffine(picture, face_from_frame, (96, 96), flags=cv2.INTER_LINEAR)
    box = np.array([*points.min(0), *points.max(0)], np.float32)
    face = Face(frame, box, points, 1.0, 0, np.zeros(3, np.float32))
    return AlignedFace(face, image.astype(np.uint8), face_from_frame, face_type, None, "drawn.mp4", frame / 25)
