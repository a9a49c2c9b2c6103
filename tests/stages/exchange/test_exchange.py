"""Facesets go to other tools and come back, and are merged; what does not fit is left out."""

from __future__ import annotations

import dataclasses
import os
import pickle
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.core import affine
from understudy.core.face.align import face_from_frame
from understudy.core.synthetic.clip import PORTRAIT_LANDMARKS
from understudy.errors import BadMedia, BadOption, NoFaces
from understudy.io.dfl.face_picture import read_face, write_face
from understudy.io.faceset import face_image
from understudy.io.faceset.faceset import Faceset
from understudy.io.faceset.journal import Journal
from understudy.io.faceset.pack import PackWriter
from understudy.io.footage import stills
from understudy.stages.events import Event, Finished, Note, Warned
from understudy.stages.exchange.export_faces import FacesExportOptions, faces_export
from understudy.stages.exchange.import_faces import FacesImportOptions, faces_import
from understudy.stages.project import Project
from understudy.types import AlignedFace, Face, Polygon

ODD = Path(os.environ.get("UNDERSTUDY_ODD_FILES") or "/nowhere")
POINTS = PORTRAIT_LANDMARKS[:68].astype(np.float32)
POINTS = (POINTS - POINTS.mean(0)) / np.ptp(POINTS[:, 0]) * 70 + np.float32([150, 120])
SIZE = 96


def drawn(frame: int, is_rich: bool) -> AlignedFace:
    points = POINTS + np.float32([frame, 0])
    box = np.concatenate([points.min(0), points.max(0)])
    face = Face(frame, box, points, 0.9, 3, np.array([0.1, 0.2, 0], np.float32), person=0)
    noise = np.random.default_rng(frame).integers(0, 255, (SIZE, SIZE, 3), np.uint8)
    image = cv2.GaussianBlur(noise, (0, 0), 2)
    mask = np.tile(np.linspace(0, 1, SIZE, dtype=np.float32), (SIZE, 1)) if is_rich else None
    outline = Polygon(np.array([[5, 6], [60, 9], [30, 70]], np.float32), False)
    return AlignedFace(
        face,
        np.asarray(image, np.uint8),
        face_from_frame(points, "full", SIZE),
        "full",
        mask,
        "dst.mp4",
        frame / 25,
        (outline,) if is_rich else (),
    )


@pytest.fixture(scope="module")
def shows(clips: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a show whose dst has three faces, of which one is a PNG and one rich."""
    folder = tmp_path_factory.mktemp("exchange")
    project = Project.create(folder / "full", clips["src"], clips["dst"])
    faceset = Faceset(project.faces("dst"))
    for frame in (0, 4, 9):
        faceset.add(drawn(frame, frame == 4), suffix=".png" if frame == 9 else ".jpg")
    yield folder


@pytest.fixture
def empty(clips: dict[str, Path], tmp_path: Path) -> Path:
    """A show without faces."""
    return Project.create(tmp_path / "empty", clips["src"], clips["dst"]).folder


def bring(show: Path, *paths: Path, side: str = "dst", **options: object) -> list[Event]:
    asked = FacesImportOptions.model_validate({"workers": 1, **options})
    return list(faces_import(show, side, list(paths), options=asked))  # type: ignore[arg-type]


def send(show: Path, out: Path, format: str) -> list[Event]:
    asked = FacesExportOptions.model_validate({"workers": 1, "format": format})
    return list(faces_export(show, "dst", out, options=asked))


def told(events: list[Event], kind: type[Warned] | type[Note]) -> str:
    return "\n".join(each.text for each in events if isinstance(each, kind))


def summary(events: list[Event]) -> dict[str, object]:
    return next(
        each.summary
        for each in reversed(events)
        if isinstance(each, Finished) and each.stage.startswith("faces")
    )


@pytest.mark.parametrize("format", ["dfl", "pak"])
def test_faces_go_to_deepfacelab_and_come_back(
    shows: Path, empty: Path, tmp_path: Path, format: str
) -> None:
    out = tmp_path / ("faceset.pak" if format == "pak" else "aligned")
    assert summary(send(shows / "full", out, format))["faces"] == 3
    if format == "dfl":
        names = ["00001_0.jpg", "00005_0.jpg", "00010_0.jpg"]
        assert sorted(path.name for path in out.iterdir()) == names
        one = read_face((out / names[1]).read_bytes(), "")
        assert one is not None and one.frame_name == "00005.png"
    before = Faceset(shows / "full" / "dst" / "faces")
    assert summary(bring(empty, out)) == {
        "faces": 3,
        "already_there": 0,
        "left_out": 0,
        "DeepFaceLab": 3,
    }
    after = Faceset(empty / "dst" / "faces")
    assert after.faces.frame.tolist() == [0, 4, 9] and after.face_type == "full"
    assert np.abs(after.faces.landmarks - before.faces.landmarks).max() < 1e-3
    assert np.allclose(after.face_from_frame, before.face_from_frame)
    rich = after.load(1)
    assert np.array_equal(rich.image, before.load(1).image)
    mask, known = rich.mask, before.load(1).mask
    assert mask is not None and known is not None and np.abs(mask - known).max() < 0.01
    assert np.allclose(rich.polygons[0].points, before.load(1).polygons[0].points, atol=1e-3)
    assert not rich.polygons[0].includes and after.load(0).mask is None
    # Of the PNG no more is lost than a JPG of the best quality loses.
    assert np.abs(after.load(2).image.astype(int) - before.load(2).image).mean() < 1


def test_alignments_go_to_faceswap_and_are_cut_from_the_footage(
    shows: Path, empty: Path, tmp_path: Path
) -> None:
    out = tmp_path / "dst_alignments.fsa"
    send(shows / "full", out, "fsa")
    events = bring(empty, out)
    after = Faceset(empty / "dst" / "faces")
    before = Faceset(shows / "full" / "dst" / "faces")
    assert after.faces.frame.tolist() == [0, 4, 9] and after.size == 512
    assert [each.name for each in after.footages] == ["dst.mp4"] and after.footages[0].key
    assert np.abs(after.faces.landmarks - before.faces.landmarks).max() < 1e-3
    mask = after.load(1).mask
    known = before.load(1).mask
    assert mask is not None and known is not None
    assert np.abs(cv2.resize(mask, (SIZE, SIZE)) - known)[8:-8, 8:-8].max() < 0.05
    with Project.load(empty).open_footage("dst") as footage:
        face = after.load(1)
        x, y = np.round(face.landmarks[30]).astype(int)
        at = np.round(face.face.landmarks[30]).astype(int)
        assert np.abs(footage[4].image[at[1], at[0]].astype(int) - face.image[y, x]).max() < 40
    assert not told(events, Warned)


def test_two_facesets_become_one_and_apart_again(shows: Path, empty: Path) -> None:
    """Names that are there get a number, and a step takes all back; nothing is encoded anew."""
    theirs = shows / "full" / "dst" / "faces"
    bring(empty, theirs)
    other = empty.parent / "other"
    other.mkdir()
    (other / "000000_0.jpg").write_bytes(
        face_image.encode(dataclasses.replace(drawn(2, False), source="b.mp4"), ".jpg")
    )
    bring(empty, other)
    faces = empty / "dst" / "faces"
    assert sorted(path.name for path in faces.iterdir()) == [
        "000000_0-2.jpg",
        "000000_0.jpg",
        "000004_0.jpg",
        "000009_0.png",
    ]
    assert (faces / "000004_0.jpg").read_bytes() == (theirs / "000004_0.jpg").read_bytes()
    # The same once more, as after a run that was killed when it was all but through.
    events = bring(empty, other, theirs)
    assert summary(events) == {"faces": 0, "already_there": 4, "left_out": 0}
    Journal(faces.parent).undo()
    assert (faces / "000000_0.jpg").is_file() and len(Faceset(faces)) == 3
    assert not (empty / "dst" / "faces_new").exists()
    with pytest.raises(BadOption, match="already"):
        bring(empty, faces)


class Shell:
    def __reduce__(self) -> object:
        return os.system, ("true",)


def test_what_does_not_fit_is_listed_and_the_rest_comes_in(
    shows: Path, empty: Path, tmp_path: Path
) -> None:
    aligned = tmp_path / "aligned"
    send(shows / "full", aligned, "dfl")
    good = (aligned / "00001_0.jpg").read_bytes()
    image = cv2.imdecode(np.frombuffer(good, np.uint8), cv2.IMREAD_COLOR)
    start = good.index(b"\xff\xef")
    end = start + 2 + struct.unpack_from(">H", good, start + 2)[0]

    def put(name: str, picture: np.ndarray, block: bytes = good[start:end]) -> None:
        plain = bytes(cv2.imencode(".jpg", picture)[1])
        (aligned / name).write_bytes(plain[:20] + block + plain[20:])

    hostile = pickle.dumps(Shell())
    put("hostile.jpg", image, struct.pack(">BBH", 0xFF, 0xEF, len(hostile) + 2) + hostile)
    put("resized.jpg", cv2.resize(image, (3 * SIZE, 3 * SIZE)))
    put("cropped.jpg", image[:, :50])
    put("ümläut\n.jpg", image)
    (aligned / "foreign.png").write_bytes(bytes(cv2.imencode(".png", image)[1]))
    (aligned / "empty.jpg").write_bytes(b"")
    (aligned / "short.jpg").write_bytes(good[:-40])
    for number in range(5):
        (aligned / f"blank {number}.jpg").write_bytes(b"")
    events = bring(empty, aligned)
    assert summary(events) == {"faces": 4, "already_there": 0, "left_out": 11, "DeepFaceLab": 4}
    warned = told(events, Warned)
    for name, reason in (
        ("hostile.jpg", "system"),
        ("resized.jpg", "times as large"),
        ("cropped.jpg", "square"),
        ("foreign.png", "nor DeepFaceLab"),
        ("blank 1.jpg", "empty"),
        ("short.jpg", "cut off"),
    ):
        line = next(each for each in warned.splitlines() if name in each)
        assert reason in line and line.count(str(aligned)) == 1, line
    assert "left out: 6 of " in warned
    # All of one face: one counts.
    assert (empty / "dst" / "faces" / "ümläut\n.jpg").is_file()

    with pytest.raises(NoFaces, match="Nothing has changed"):
        bring(empty, aligned / "hostile.jpg")
    for path in (shows / "full", shows, tmp_path / "nowhere"):
        with pytest.raises(BadMedia):
            bring(empty, path)


def test_faces_of_another_type_than_those_there_are_told(
    shows: Path, empty: Path, tmp_path: Path
) -> None:
    """And alignments are cut as most faces are."""
    send(shows / "full", tmp_path / "out.fsa", "fsa")
    bring(empty, shows / "full" / "dst" / "faces")
    half = dataclasses.replace(drawn(3, False), face_type="half")
    Faceset(empty / "dst" / "faces").add(half, suffix=".png")
    warned = told(bring(empty, tmp_path / "out.fsa"), Warned)
    assert "1 half" in warned and f"recrop {empty} dst --face-type full" in warned
    types = Faceset(empty / "dst" / "faces").face_types
    assert types.count("half") == 1 and len(types) > 4


def test_an_empty_pack_is_told(empty: Path, tmp_path: Path) -> None:
    head = pickle.dumps([], protocol=4)
    path = tmp_path / "faceset.pak"
    end = 24 + len(head)
    path.write_bytes(struct.pack("<QQ", 1, len(head)) + head + struct.pack("<Q", end))
    with pytest.raises(NoFaces, match="no face in it"):
        bring(empty, path)


def test_frames_are_those_of_the_names(empty: Path, tmp_path: Path, shows: Path) -> None:
    """From 1 as the tools count, from 0 where a name has it; names without a number come behind."""
    aligned = tmp_path / "aligned"
    send(shows / "full", aligned, "dfl")
    for number, path in enumerate(sorted(aligned.iterdir())):
        data = path.read_bytes()
        old = [b"00001.png", b"00005.png", b"00010.png"][number]
        path.write_bytes(data.replace(old, [b"00000.png", b"00005.png", b"nonum.png"][number]))
    events = bring(empty, aligned)
    assert Faceset(empty / "dst" / "faces").faces.frame.tolist() == [0, 5, 6]
    assert "0 is the first" in told(events, Note) and "1 names have none" in told(events, Note)


def test_mark_only_frames_become_squares(empty: Path, tmp_path: Path) -> None:
    frame = np.full((120, 200, 3), 90, np.uint8)
    frame[60, 100] = 255
    points = affine.apply([[0.4, 0, 40], [0, 0.4, 12]], POINTS)
    block = pickle.dumps(
        {"face_type": "mark_only", "landmarks": points.tolist(), "source_filename": "3.png"}
    )
    plain = bytes(cv2.imencode(".jpg", frame)[1])
    path = tmp_path / "3_0.jpg"
    path.write_bytes(
        plain[:20] + struct.pack(">BBH", 0xFF, 0xEF, len(block) + 2) + block + plain[20:]
    )
    bring(empty, path)
    face = Faceset(empty / "dst" / "faces").load(0)
    assert (face.face_type, face.size, face.face.frame) == ("mark-only", 200, 2)
    assert np.allclose(face.landmarks, points + np.array([0, 40]), atol=1e-3)
    assert tuple(np.unravel_index(face.image.sum(2).argmax(), (200, 200))) == (100, 100)


@pytest.mark.skipif(not ODD.is_dir(), reason="UNDERSTUDY_ODD_FILES names no such folder")
def test_what_others_made_comes_in(empty: Path, tmp_path: Path) -> None:
    events = bring(empty, ODD / "dfl")
    assert summary(events) == {"faces": 3, "already_there": 0, "left_out": 1, "DeepFaceLab": 3}
    names = sorted(path.name for path in (empty / "dst" / "faces").iterdir())
    assert names == [
        "aligned-dfl1-full-face.jpg",
        "aligned-dfl2-whole-face.jpg",
        "aligned-old-png-chunk.png",
    ]
    film = tmp_path / "film"
    film.mkdir()
    shutil.copy(ODD / "faceswap" / "51834796.jpg", film)
    show = Project.create(tmp_path / "show", film, film).folder
    assert summary(bring(show, ODD / "faceswap" / "2020-layout.fsa"))["faces"] == 1
    face = Faceset(show / "dst" / "faces").load(0)
    assert face.mask is not None and 0.3 < face.mask.mean() < 0.7
    with pytest.raises(NoFaces, match="no face in it"):
        bring(show, ODD / "faceswap" / "empty.fsa")


def test_a_pack_of_ours_may_have_any_name(shows: Path, empty: Path, tmp_path: Path) -> None:
    given = tmp_path / "faces.ZIP.old"
    faceset = Faceset(shows / "full/dst/faces")
    with PackWriter(given) as writer:
        for row, name in enumerate(faceset.names):
            writer.add(name, faceset.read_bytes(row), -1)
    assert summary(bring(empty, given))["faces"] == 3
    assert Faceset(empty / "dst/faces").names == faceset.names


def test_names_with_half_a_character_are_names(empty: Path, tmp_path: Path) -> None:
    face = drawn(1, False)
    picture = write_face(stills.encode_image(face.image, ".jpg"), face, "frame 7\ud800.png")
    path = tmp_path / "faceset.pak"
    with path.open("wb") as file:
        listed = [{"filename": "a\udcff\ud800.jpg", "person_name": None}]
        block = pickle.dumps(listed)
        file.write(struct.pack("<QQ", 1, len(block)) + block)
        file.write(struct.pack("<QQ", 0, len(picture)) + picture)
    assert summary(bring(empty, path))["faces"] == 1
    assert Faceset(empty / "dst/faces").names == ["a??.jpg"]


def test_a_file_is_not_written_where_a_folder_lies(shows: Path, tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="is there already"):
        send(shows / "full", tmp_path, "pak")
