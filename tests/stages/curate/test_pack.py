"""`faces pack` and `faces unpack`: one file and back, byte for byte, nothing lost on the way."""

from __future__ import annotations

import functools
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.errors import BadMedia, BadProject, CannotWrite, NoFaces
from understudy.io.faceset import face_image
from understudy.io.faceset.faceset import Faceset
from understudy.io.faceset.journal import Journal
from understudy.io.faceset.pack import PackWriter
from understudy.stages.curate import pack as stage
from understudy.stages.curate.pack import PackOptions, UnpackOptions, faces_pack, faces_unpack
from understudy.stages.curate.undo import FacesUndoOptions, faces_undo
from understudy.stages.events import Progress, Stop
from understudy.stages.project import Project
from understudy.types import AlignedFace, Face


def face(frame: int) -> AlignedFace:
    points = (np.arange(136, dtype=np.float32) % 41).reshape(68, 2)
    box, pose = np.array([0, 0, 50, 60], np.float32), np.zeros(3, np.float32)
    image = np.full((16, 16, 3), frame, np.uint8)
    in_frame = Face(frame, box, points, 0.9, -1, pose)
    return AlignedFace(in_frame, image, np.eye(3)[:2], "full", source="a.mp4", pts=None)


@pytest.fixture
def show(tmp_path: Path) -> Path:
    """A show with five src faces, one of them twice, and a foreign picture among them."""
    folder = Project.create(tmp_path / "show", Path("a.mp4"), Path("b.mp4")).faces("src")
    for frame in range(5):
        Faceset(folder).add(face(frame))
    shutil.copy2(folder / "000002_0.jpg", folder / "000002_0 (copy).jpg")
    (folder / "holiday.png").write_bytes(b"no picture")
    return tmp_path / "show"


def pack(show: Path, **options: Any) -> list[Any]:
    return list(faces_pack(show, "src", options=PackOptions(**options)))


def unpack(show: Path, **options: Any) -> list[Any]:
    return list(faces_unpack(show, "src", options=UnpackOptions(**options)))


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    """What lies there, and when it was changed, as exactly as a pack keeps it."""
    found = (each for each in folder.rglob("*") if each.is_file())
    return {each.name: (each.read_bytes(), each.stat().st_mtime_ns // 100) for each in found}


def told(events: list[Any]) -> str:
    return " ".join(getattr(each, "text", "") for each in events)


def test_packed_and_unpacked_all_is_as_it_was(show: Path) -> None:
    side = show / "src"
    before = files(side / "faces")
    events = pack(show)
    assert events[-1].summary == {"packed": 6, "new": 6}
    assert list(files(side / "faces")) == ["holiday.png"] and "holiday.png" in told(events)
    assert "nothing to do" in told(pack(show))
    cache = (side / "faces.safetensors").stat().st_mtime_ns
    assert len(Faceset(side / "faces", tolerant=True)) == 5
    assert (side / "faces.safetensors").stat().st_mtime_ns == cache
    unpack(show)
    assert files(side / "faces") == before and not (side / "faces.zip").exists()
    with pytest.raises(BadProject, match="no such pack"):
        unpack(show)


def test_what_is_new_is_added_and_what_was_edited_takes_the_place(show: Path) -> None:
    folder = show / "src/faces"
    pack(show, keep=True)
    assert len(files(folder)) == 7
    pack(show)
    Faceset(folder).add(face(9))
    face_image.write(folder / "000001_0.jpg", face(77))
    assert pack(show)[-1].summary == {"packed": 7, "new": 2}
    unpack(show)
    assert Faceset(folder, tolerant=True).faces.frame.tolist() == [0, 2, 3, 4, 9, 77]


@pytest.mark.parametrize("moment", ["written", "some are gone"])
def test_killed_while_it_packs_nothing_is_lost(
    show: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, unlinked = show / "src/faces", list[Path]()
    before = files(folder)
    unlink = Path.unlink

    def die(path: Path, **more: Any) -> None:
        if path.suffix == ".jpg":
            unlinked.append(path)
            if moment == "written" or len(unlinked) == 3:
                raise KeyboardInterrupt
        unlink(path, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", die)
        with pytest.raises(KeyboardInterrupt):
            pack(show)
    assert len(Faceset(folder, tolerant=True)) == 5
    pack(show)
    assert list(files(folder)) == ["holiday.png"]
    unpack(show)
    assert files(folder) == before


@pytest.mark.parametrize("verb", [faces_pack, faces_unpack])
def test_stopped_at_any_moment_all_faces_are_there(show: Path, verb: Any) -> None:
    if verb is faces_unpack:
        pack(show)
    before = files(show / "src/faces")
    options = PackOptions() if verb is faces_pack else UnpackOptions()
    stages = {each.stage for each in verb(show, "src", options=options) if hasattr(each, "stage")}
    (unpack if verb is faces_pack else pack)(show)
    for stage_name in sorted(stages - {verb.__name__}):
        run = verb(show, "src", options=options)
        for event in run:
            if isinstance(event, Progress) and event.stage == stage_name and event.done == 2:
                with pytest.raises(StopIteration):
                    run.send(Stop())
        assert len(Faceset(show / "src/faces", tolerant=True)) == 5, stage_name
        if stage_name != "remove":
            assert files(show / "src/faces") == before, stage_name
            assert (show / "src/faces.zip").exists() == (verb is faces_unpack)


def test_a_pack_that_comes_back_otherwise_removes_nothing(
    show: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(show / "src/faces")

    class Worn(PackWriter):
        def add(self, name: str, data: bytes, stamp: int) -> None:
            super().add(name, data, stamp)
            self._file.seek(-9, os.SEEK_CUR)
            self._file.write(b"?")
            self._file.seek(8, os.SEEK_CUR)

    monkeypatch.setattr(stage, "PackWriter", Worn)
    with pytest.raises(CannotWrite, match="came back otherwise"):
        pack(show)
    assert files(show / "src/faces") == before and not (show / "src/faces.zip").exists()


def test_a_picture_that_is_changed_while_it_packs_stays(
    show: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = stage._remove_packed

    def edit_first(folder: Path, loose: Any) -> Any:
        face_image.write(folder / "000003_0.jpg", face(33))
        return remove(folder, loose)

    monkeypatch.setattr(stage, "_remove_packed", edit_first)
    assert "1 pictures were changed meanwhile" in told(pack(show))
    assert 33 in Faceset(show / "src/faces", tolerant=True).faces.frame


def test_another_picture_of_a_name_stays_and_that_of_the_pack_goes_to_the_trash(
    show: Path,
) -> None:
    pack(show)
    folder = show / "src/faces"
    (folder / "000000_0.jpg").write_bytes(b"")
    unpack(show)
    assert files(folder)["000000_0.jpg"][0] == b""
    assert face_image.read(show / "src/faces_trash/000000_0.jpg").face.frame == 0


def test_of_a_damaged_pack_all_that_is_whole_comes_out_and_it_is_kept(show: Path) -> None:
    pack(show)
    folder, path = show / "src/faces", show / "src/faces.zip"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(BadMedia, match="understudy faces unpack"):
        len(Faceset(folder))
    with pytest.raises(BadMedia, match="understudy faces unpack"):
        pack(show)
    events = unpack(show)
    assert "faces-damaged.zip" in told(events) and "pictures in it are whole" in told(events)
    assert len(Faceset(folder, tolerant=True)) == events[-1].summary["faces"] >= 2
    assert (show / "src/faces-damaged.zip").read_bytes() == data[: len(data) // 2]


def test_names_that_are_no_text_stay_in_the_folder(show: Path) -> None:
    folder = show / "src/faces"
    odd = os.fsdecode(b"\xff\xfe.jpg")
    (folder / "000000_0.jpg").rename(folder / odd)
    long = "長" * 80 + ".jpg"
    (folder / "000001_0.jpg").rename(folder / long)
    assert "their names cannot be in a zip file" in told(pack(show))
    assert sorted(files(folder)) == sorted(["holiday.png", odd])
    assert len(Faceset(folder, tolerant=True)) == 5
    unpack(show)
    assert long in files(folder)


def test_without_faces_there_is_nothing_to_pack(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "show", Path("a.mp4"), Path("b.mp4"))
    project.faces("src").mkdir(parents=True)
    with pytest.raises(NoFaces, match="understudy extract"):
        pack(tmp_path / "show")


def test_a_step_whose_pictures_are_packed_is_not_taken_back_by_half(show: Path) -> None:
    faceset = Faceset(show / "src/faces", tolerant=True)
    faceset.trash(faceset.faces.frame == 0)
    journal = Journal(show / "src")
    journal.carry_out("renamed", [("faces/000001_0.jpg", "faces/other.jpg")])
    pack(show)
    undo = functools.partial(faces_undo, show, "src", options=FacesUndoOptions(steps=2))
    with pytest.raises(BadProject, match=r"1 of the pictures.*renamed.*faces unpack"):
        list(undo())
    assert len(journal.steps()) == 2
    unpack(show)
    list(undo())
    assert {"000000_0.jpg", "000001_0.jpg"} < set(files(show / "src/faces"))
