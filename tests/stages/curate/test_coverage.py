"""`faces coverage` answers whether src is good enough: in words, numbers and pictures."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy import cli
from understudy.core.face import align
from understudy.core.face.pose import HEAD_MODEL
from understudy.io.faceset import face_image
from understudy.io.faceset.order import load_order
from understudy.stages.curate import known_faces
from understudy.stages.events import FaceGap, Finished, read_event
from understudy.stages.project import Project
from understudy.types import AlignedFace, Bytes, Face, Floats

SKIN = np.asarray(
    cv2.GaussianBlur(np.random.default_rng(0).integers(90, 220, (64, 64, 3), np.uint8), (0, 0), 1),
    np.uint8,
)

EYES = {"lids": np.full(2, 0.2, np.float32), "gaze": np.zeros((2, 2), np.float32)}


def write(folder: Path, number: int, yaw: float, dark: bool = False, eyes: bool = True) -> None:
    """A face of a head that is turned so far, in degrees."""
    angle = np.radians(yaw)
    turn = np.array(
        [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    )
    points = ((HEAD_MODEL @ turn.T)[:, :2] * 0.5 + 100).astype(np.float32)
    box = np.concatenate([points.min(axis=0), points.max(axis=0)])
    pose = np.array([0, angle, 0], np.float32)
    face = Face(number, box, points, 0.9, 0, pose, person=0, **(EYES if eyes else {}))
    # No two look the same.
    image: Bytes = np.roll(SKIN, 7 * number, axis=0) // (5 if dark else 1)
    matrix = align.face_from_frame(points, "full", 64)
    aligned = AlignedFace(face, image, matrix, "full", source="clip.mp4", pts=number / 25)
    face_image.write(folder / f"{number:06d}_0.png", aligned)


@pytest.fixture
def show(tmp_path: Path) -> Path:
    """src looks ahead and to the right; dst turns to both sides, and in the end light goes out."""
    clip = tmp_path / "clip.mp4"
    clip.touch()
    folder = Project.create(tmp_path / "show", clip, clip).folder
    for side, turns in (("src", np.linspace(-60, 15, 24)), ("dst", np.linspace(-60, 60, 24))):
        (folder / side / "faces").mkdir(parents=True)
        for number, yaw in enumerate(turns):
            write(folder / side / "faces", number, float(yaw))
    for number in range(24, 30):
        write(folder / "dst" / "faces", number, 0, dark=True)
    return folder


def test_what_src_lacks_is_told_kept_and_drawn(
    show: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["faces", "coverage", str(show), "--json"]) == 0
    told = [read_event.validate_json(line) for line in capsys.readouterr().out.splitlines()]
    gaps = {event.kind: event for event in told if isinstance(event, FaceGap)}
    assert set(gaps) == {"turned left", "darkness"}
    assert gaps["darkness"].frames == ((24, 29),) and gaps["turned left"].frames[0][1] == 23
    assert isinstance(told[-1], Finished) and told[-1].summary["answer"] == "no"
    kept = json.loads((show / "coverage.json").read_text())
    assert "darkness" in kept["verdict"] and kept["dst"]["faces"] == 30
    assert "--src-flip" in next(gap for gap in kept["gaps"] if gap["axis"] == "yaw")["advice"]
    page = (show / "coverage.html").read_text()
    assert kept["verdict"].split(":")[0] in page and page.count("data:image/jpeg") > 10


def test_eyes_of_faces_from_before_are_looked_at(
    show: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(image: Bytes, points: Floats) -> tuple[Floats, Floats]:
        lids = np.full(2, 0.05 if image.mean() < 60 else 0.2, np.float32)
        return np.zeros((2, 2), np.float32), lids

    monkeypatch.setattr(known_faces, "load_eye_network", lambda: look)
    for number in range(24, 30):
        write(show / "dst" / "faces", number, 0, dark=True, eyes=False)
    assert cli.main(["faces", "coverage", str(show)]) == 0
    assert "src lacks closed eyes" in capsys.readouterr().out


def test_people_read_a_map_and_a_verdict_within_80_columns(
    show: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (show / "src" / "faces" / "000003_0.png").write_bytes(b"")
    assert cli.main(["faces", "coverage", str(show), "--propose", "10"]) == 0
    out = capsys.readouterr().out
    assert "Warning" in out and "000003_0.png" in out and "verdict: src is not good" in out
    assert any(line.startswith("pitch") and "both" in line for line in out.splitlines())
    order = load_order(show / "src" / "faces")
    assert order is not None and sum(face.is_chosen for face in order.faces) == 10
