"""Faces are read out as they lie in the files, and what deserves a look is told; nothing is ever
changed.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

import understudy
from understudy import cli
from understudy.core.face import align
from understudy.core.synthetic.clip import PORTRAIT_LANDMARKS
from understudy.errors import NoFaces
from understudy.io.faceset.faceset import Faceset
from understudy.stages.events import Event, FaceRow, Finished, Note, Stop, Suspicious, read_event
from understudy.stages.project import Project
from understudy.types import AlignedFace, Face

FACE = PORTRAIT_LANDMARKS[:68].astype(np.float32)
FACE = (FACE - FACE.mean(axis=0)) / np.ptp(FACE[:, 0]) * 60 + 80
TEXTURE = cv2.GaussianBlur(
    np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8), (0, 0), 1
)


def add(
    faceset: Faceset,
    frame: int,
    track: int = 0,
    shift: float = 0,
    blur: float = 0,
    source: str = "clip",
    **values: object,
) -> None:
    points = FACE + np.float32([frame + shift, 0])
    box = np.concatenate([points.min(0), points.max(0)])
    told = {"score": 0.9, "person": track, "raw": points + np.float32(0.25), **values}
    face = Face(
        frame, box, points, track=track, pose=np.array([0.1, -0.2, 0.3], np.float32), **told
    )  # type: ignore[arg-type]
    image = cv2.GaussianBlur(TEXTURE, (0, 0), blur) if blur else TEXTURE
    matrix = align.face_from_frame(points, "full", 64)
    faceset.add(
        AlignedFace(
            face, np.asarray(image, np.uint8), matrix, "full", source=source, pts=frame / 25
        ),
        suffix=".png",
    )


@pytest.fixture
def show(tmp_path: Path) -> Path:
    clip = tmp_path / "clip"
    clip.mkdir()
    cv2.imwrite(str(clip / "0.png"), np.zeros((240, 320, 3), np.uint8))
    folder = Project.create(tmp_path / "show", clip, clip).folder
    faceset = Faceset(folder / "dst" / "faces")
    for frame in range(12):
        add(faceset, frame, blur=4 if frame == 9 else 0, shift=20 if frame == 6 else 0)
    add(faceset, 3, track=1, shift=100, filled=True, score=0.0)
    return folder


def events(*tokens: object, capsys: pytest.CaptureFixture[str]) -> list[Event]:
    assert cli.main([*(str(token) for token in tokens), "--json"]) == 0
    return [read_event.validate_json(line) for line in capsys.readouterr().out.splitlines()]


def test_every_face_is_one_line_of_json(show: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = events("faces", show, "dst", capsys=capsys)
    rows = [event for event in told if isinstance(event, FaceRow)]
    table = Faceset(show / "dst" / "faces")
    assert [row.file for row in rows] == [path.name for path in table.paths] and len(rows) == 13
    assert np.allclose([row.landmarks for row in rows], table.faces.landmarks, atol=1e-4)
    assert np.allclose([row.raw for row in rows], table.faces.raw, atol=1e-4)
    filled = next(row for row in rows if row.filled)
    assert (filled.frame, filled.track, filled.person, filled.pts, filled.face_type) == (
        3,
        1,
        1,
        0.12,
        "full",
    )
    assert filled.pose == pytest.approx((0.1, -0.2, 0.3))


def test_one_person_or_one_track_can_be_read_alone(
    show: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for chosen in ("--person", "--track"):
        told = events("faces", show, "dst", chosen, 1, capsys=capsys)
        assert [event.frame for event in told if isinstance(event, FaceRow)] == [3]


def test_people_read_a_line_a_face(show: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["faces", str(show), "dst"]) == 0
    line = next(
        line for line in capsys.readouterr().out.splitlines() if line.startswith("000003_1.png")
    )
    assert "track 1" in line and "filled" in line and "yaw  -11" in line and "0.120 s" in line


def test_a_check_tells_each_fault_with_its_reason_and_exits_well(
    show: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = events("faces", "check", show, "dst", capsys=capsys)
    reasons = [(event.file, event.reason) for event in told if isinstance(event, Suspicious)]
    assert reasons == [
        ("000003_1.png", "filled"),
        ("000006_0.png", "jump"),
        ("000009_0.png", "blurred"),
    ]
    assert isinstance(told[-1], Finished)
    assert told[-1].summary == {
        "faces": 13,
        "suspicious": 3,
        "reasons": {"filled": 1, "jump": 1, "blurred": 1},
    }
    assert len(Faceset(show / "dst" / "faces")) == 13


def test_bounds_are_options_and_pictures_need_not_be_read(
    show: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Faceset, "load", lambda *_: pytest.fail("read a picture"))
    told = events(
        "faces", "check", show, "dst", "--no-pixels", "--jump", 3, "--cut", 0, capsys=capsys
    )
    assert {event.reason for event in told if isinstance(event, Suspicious)} == {"filled"}


def test_what_cannot_be_judged_is_said(show: Path) -> None:
    project = Project.load(show)
    (project.footage("dst") / "0.png").unlink()
    faceset = Faceset(project.faces("src"))
    add(faceset, 0, track=-1)
    told = [event.text for event in understudy.faces_check(show, "src") if isinstance(event, Note)]
    assert len(told) == 2 and "no tracks" in told[0] and "edge" in told[1]


def test_faces_gathered_from_several_clips_are_each_compared_with_their_own(
    show: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faceset = Faceset(show / "src" / "faces")
    for number, clip in enumerate(("one.mp4", "two.mp4", "")):
        for frame in range(12):
            # Elsewhere in the frame, and of one it is not known; in one of them a face jumps.
            shift = 40 * number + (20 if (clip, frame) == ("two.mp4", 6) else 0)
            add(faceset, frame, shift=shift, source=clip, person=0)
    told = events("faces", "check", show, "src", "--no-pixels", capsys=capsys)
    found = [event for event in told if isinstance(event, Suspicious)]
    assert [(event.frame, event.reason) for event in found] == [(6, "jump")]
    rows = [event for event in events("faces", show, "src", capsys=capsys)]
    sources = {row.file: row.source for row in rows if isinstance(row, FaceRow)}
    assert sources[found[0].file] == "two.mp4" and set(sources.values()) == {
        "one.mp4",
        "two.mp4",
        "",
    }
    said = " ".join(event.text for event in told if isinstance(event, Note))
    assert "faces of 2 clips (one.mp4, two.mp4)" in said
    assert "12 faces do not say which footage they are of" in said


def test_without_faces_the_error_says_what_to_do(show: Path) -> None:
    project = Project.load(show)
    project.faces("src").mkdir(parents=True)
    with pytest.raises(NoFaces, match="understudy extract"):
        list(understudy.faces(show, "src"))


def test_reading_out_stops_when_told(show: Path) -> None:
    stage = understudy.faces(show, "dst")
    next(stage)
    with pytest.raises(StopIteration):
        stage.send(Stop())


def test_the_line_is_json_that_any_program_reads(
    show: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["faces", str(show), "dst", "--json"]) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert first["event"] == "face" and len(first["landmarks"]) == len(first["raw"]) == 68
