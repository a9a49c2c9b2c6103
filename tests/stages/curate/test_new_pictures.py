"""Face pictures made anew: as another face type, size or format, drawn onto, and cut out."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy import cli
from understudy.core.drawing.overlay import draw_face
from understudy.core.face import align
from understudy.core.image import warp
from understudy.core.synthetic.clip import PORTRAIT_LANDMARKS
from understudy.errors import BadMedia
from understudy.io.faceset import face_image, image_metadata
from understudy.io.faceset.faceset import Faceset
from understudy.io.faceset.journal import Journal
from understudy.io.faceset.order import load_order
from understudy.io.faceset.pack import PackWriter
from understudy.io.footage import stills
from understudy.stages.curate.recrop import RecropOptions, faces_recrop
from understudy.stages.events import Progress, Stop
from understudy.stages.project import Project
from understudy.types import AlignedFace, Bytes, Face, FaceType, Polygon

SIDE, FRAMES = 64, 5
FACE = PORTRAIT_LANDMARKS[:68].astype(np.float32)
FACE = (FACE - FACE.mean(axis=0)) / np.ptp(FACE[:, 0]) * 60 + np.float32([110, 90])


def frame(number: int) -> Bytes:
    noise = np.random.default_rng(number).integers(0, 255, (45, 60, 3), np.uint8)
    return np.asarray(cv2.resize(noise, (240, 180), interpolation=cv2.INTER_CUBIC), np.uint8)


def face(number: int, face_type: FaceType = "full") -> AlignedFace:
    """A face as extraction cuts it, with a mask and a polygon."""
    points = FACE + np.float32([number, 0])
    box = np.concatenate([points.min(0), points.max(0)])
    matrix = align.face_from_frame(points, face_type, SIDE, (240, 180))
    mask = np.zeros((SIDE, SIDE), np.float32)
    mask[16:48, 20:40] = 1
    return AlignedFace(
        Face(number, box, points, 0.9, 0, np.array([0.1, -0.2, 0.3], np.float32), person=0),
        warp(frame(number), matrix, (SIDE, SIDE), "replicate"),
        matrix,
        face_type,
        mask=mask,
        source="clip",
        polygons=(Polygon(np.float32([[10, 10], [40, 12], [20, 50]])),),
    )


@pytest.fixture
def show(tmp_path: Path) -> Path:
    """A show with footage of five pictures, and a face of each in src."""
    (tmp_path / "clip").mkdir()
    for number in range(FRAMES):
        stills.write_image(tmp_path / "clip" / f"{number}.png", frame(number))
    folder = Project.create(tmp_path / "show", tmp_path / "clip", tmp_path / "clip").folder
    for number in range(FRAMES):
        face_image.write(folder / f"src/faces/{number:06d}_0.jpg", face(number))
    return folder


@pytest.fixture
def run(show: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """run("recrop", "--size", 32): the command on src of the show; what it told."""

    def command(verb: str, *words: object, code: int = 0) -> str:
        found = cli.main(["faces", verb, str(show), "src", *(str(word) for word in words)])
        told = capsys.readouterr()
        assert found == code, told
        return " ".join((told.out + told.err).split())

    return command


def pictures(show: Path) -> list[AlignedFace]:
    return [face_image.read(path) for path in Faceset(show / "src/faces").paths]


@pytest.mark.parametrize("face_type", ["half", "head", "no-align", "mark-only"])
def test_faces_are_cut_out_of_their_footage_as_if_extracted_so(
    show: Path, run: Callable[..., str], face_type: FaceType
) -> None:
    before = pictures(show)
    run("recrop", "--face-type", face_type, "--size", 96)
    for number, (old, new) in enumerate(zip(before, pictures(show), strict=True)):
        matrix = align.face_from_frame(old.face.landmarks, face_type, 96, (240, 180))
        assert np.allclose(new.face_from_frame, matrix) and new.face_type == face_type
        expected = warp(frame(number), matrix, (96, 96), "replicate")
        assert cv2.absdiff(new.image, expected).mean() < 3
        # The mask lies on the same pixels of the frame, and so does the polygon.
        assert new.mask is not None and old.mask is not None
        framed = [
            warp(f.mask, cv2.invertAffineTransform(f.face_from_frame), (240, 180))
            for f in (new, old)
        ]
        assert face_type == "half" or np.abs(framed[0] - framed[1]).mean() < 0.02
        outlines = [f.polygons[0].points - f.face_from_frame[:, 2] for f in (new, old)]
        inverse = [np.linalg.inv(f.face_from_frame[:, :2]) for f in (new, old)]
        assert np.allclose(outlines[0] @ inverse[0].T, outlines[1] @ inverse[1].T, atol=0.01)


def test_without_footage_only_what_the_pictures_show_is_to_be_had(
    show: Path, run: Callable[..., str]
) -> None:
    (show.parent / "clip").rename(show.parent / "away")
    files = {path.name: path.read_bytes() for path in (show / "src/faces").iterdir()}
    assert "do not show all that head shows" in run("recrop", "--face-type", "head", code=2)
    assert files == {path.name: path.read_bytes() for path in (show / "src/faces").iterdir()}
    told = run("recrop", "--face-type", "half", "--size", 128)
    assert "no such file or folder" in told and "enlarged, by up to 3" in told
    new, old = pictures(show)[0], face(0)
    expected = warp(frame(0), new.face_from_frame, (128, 128), "replicate")
    near = warp(old.image, align.face_from_face(old, "half", 128), (128, 128), "replicate")
    assert cv2.absdiff(new.image, near).mean() < 8 and cv2.absdiff(new.image, expected).mean() < 30


def test_what_was_changed_by_hand_stays(show: Path, run: Callable[..., str]) -> None:
    path = show / "src/faces/000001_0.jpg"
    graded = replace(face(1), image=face(1).image // 2)
    face_image.write(path, graded)
    assert "1 pictures show something else than the footage" in run("recrop", "--size", 80)
    shares = [new.image.mean() / face(n).image.mean() for n, new in enumerate(pictures(show))]
    assert np.allclose(shares, [1, 0.5, 1, 1, 1], atol=0.03)
    run("recrop", "--source", "footage")
    assert pictures(show)[1].image.mean() == pytest.approx(face(1).image.mean(), rel=0.03)


def test_a_conversion_keeps_all_that_pictures_say(show: Path, run: Callable[..., str]) -> None:
    assert cli.main(["sort", str(show), "src", "yaw"]) == 0
    order = load_order(show / "src/faces")
    blocks = [
        image_metadata.inspect(p.read_bytes(), "").block
        for p in sorted((show / "src/faces").iterdir())
    ]
    before = pictures(show)
    run("convert", "--format", "png")
    paths = Faceset(show / "src/faces").paths
    assert [path.name for path in paths] == [f"{n:06d}_0.png" for n in range(FRAMES)]
    assert [image_metadata.inspect(path.read_bytes(), "").block for path in paths] == blocks
    for old, new in zip(before, pictures(show), strict=True):
        assert np.array_equal(old.image, new.image)
    order_now = load_order(show / "src/faces")
    assert order is not None and order_now is not None
    renamed = [each.name.replace(".jpg", ".png") for each in order.faces]
    assert [each.name for each in order_now.faces] == renamed


def test_each_can_be_taken_back(show: Path, run: Callable[..., str]) -> None:
    files = {path.name: path.read_bytes() for path in (show / "src/faces").iterdir()}
    run("recrop", "--face-type", "whole")
    run("convert")
    journal = Journal(show / "src")
    assert [step.what for step in journal.steps()] == [
        "recrop: 5 faces as whole 64",
        "convert: 5 faces to png",
    ]
    journal.undo(), journal.undo()
    assert files == {path.name: path.read_bytes() for path in (show / "src/faces").iterdir()}


def test_a_run_that_was_stopped_goes_on_and_changes_nothing_before_its_end(
    show: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from understudy.stages.curate import new_pictures

    monkeypatch.setattr(new_pictures, "_TICK", -1)
    monkeypatch.setattr(new_pictures, "cpu_count", lambda: 1)
    stage = faces_recrop(show, "src", options=RecropOptions(size=96))
    next(event for event in stage if isinstance(event, Progress) and event.done >= 1)
    with contextlib.suppress(StopIteration):
        while True:
            stage.send(Stop())
    assert {face.size for face in pictures(show)} == {SIDE}
    stamp = {path.name: path.stat().st_mtime_ns for path in (show / "src/faces_new").glob("*.jpg")}
    assert len(stamp) >= 1
    list(faces_recrop(show, "src", options=RecropOptions(size=96)))
    assert {face.size for face in pictures(show)} == {96}
    times = {path.stat().st_mtime_ns for path in (show / "src/faces").iterdir()}
    assert times.issuperset(stamp.values()) and not (show / "src/faces_new").exists()


def test_a_picture_that_cannot_be_decoded_stops_the_change_with_its_name(show: Path) -> None:
    (show / "src/faces/000002_0.jpg").unlink()
    path = show / "src/faces/000002_0.png"
    face_image.write(path, face(2))
    data = path.read_bytes()
    start = data.index(b"IDAT")
    size = int.from_bytes(data[start - 4 : start], "big")
    pixels = b"IDAT" + bytes(size)
    checked = pixels + zlib.crc32(pixels).to_bytes(4, "big")
    path.write_bytes(data[:start] + checked + data[start + size + 8 :])
    with pytest.raises(BadMedia, match=r"nothing was changed.*000002_0\.png"):
        list(faces_recrop(show, "src", options=RecropOptions(size=96)))
    assert len(list((show / "src/faces").iterdir())) == FRAMES


def test_debug_pictures_show_where_the_points_lie(show: Path, run: Callable[..., str]) -> None:
    run("debug", "--every", 2)
    folder = show / "src/faces_debug"
    assert sorted(path.name for path in folder.glob("*.jpg")) == [
        f"{n:06d}_0.jpg" for n in (0, 2, 4)
    ]
    drawn, plain = draw_face(face(0)), face(0)
    times = drawn.shape[1] // SIDE
    # Each of the points is a white dot in its place, in the enlarged picture.
    x, y = np.rint((plain.landmarks[30] + 0.5) * times - 0.5).astype(int)
    assert drawn[y, x].min() > 200 and drawn.shape[0] > drawn.shape[1] >= 384
    run("debug", "--every", 1)
    assert len(list(folder.glob("*.jpg"))) == FRAMES


def test_cutouts_have_the_mask_as_alpha(
    show: Path, run: Callable[..., str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run("cutout", out)
    cut = cv2.imread(str(out / "000003_0.png"), cv2.IMREAD_UNCHANGED)
    old = pictures(show)[3]
    assert np.array_equal(cut[:, :, 2::-1], old.image)
    assert old.mask is not None and np.array_equal(cut[:, :, 3], np.rint(old.mask * 255))
    other = tmp_path / "other"
    run("cutout", other, "--alpha", "hull", "--alpha", "polygons")
    both = cv2.imread(str(other / "000003_0.png"), cv2.IMREAD_UNCHANGED)[:, :, 3]
    assert both[20, 20] == 255 and both[5, 5] == 0
    assert "Choose a folder elsewhere" in run("cutout", show / "src/faces", code=2)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/000000_0.png").write_text("mine")
    assert "other files of the same names" in run("cutout", tmp_path / "mine", code=2)


def test_converted_pictures_hide_none_in_the_pack(show: Path, run: Callable[..., str]) -> None:
    faces = show / "src/faces"
    (faces / "000004_0.jpg").rename(faces / "000003_0.JPEG")
    (faces / "000003_0.jpg").unlink()
    with PackWriter(show / "src/faces.zip") as writer:
        writer.add("000003_0.png", face_image.encode(face(3), ".png"), -1)
    before = sorted(each.face.frame for each in pictures(show))
    run("convert")
    assert sorted(each.face.frame for each in pictures(show)) == before


def test_names_do_not_depend_on_where_the_command_runs(
    show: Path, run: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("cutout", tmp_path / "first")
    monkeypatch.chdir(tmp_path / "first")
    run("cutout", tmp_path / "second")
    first, second = ({each.name for each in (tmp_path / n).iterdir()} for n in ("first", "second"))
    assert first == second
