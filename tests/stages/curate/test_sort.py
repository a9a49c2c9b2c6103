"""Faces are sorted, grouped, put away, renamed and brought back; no face is ever lost."""

from __future__ import annotations

import errno
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy import cli
from understudy.core.face import align
from understudy.core.synthetic.clip import PORTRAIT_LANDMARKS
from understudy.io.faceset.faceset import Faceset
from understudy.io.faceset.journal import Journal
from understudy.io.faceset.order import load_order
from understudy.parts.sorters import Sort, Sorter, SortFaces, Sorting, sorters
from understudy.stages.curate import sorted_page
from understudy.stages.events import Event, Finished, Note, Saved, Warned, read_event
from understudy.stages.project import Project
from understudy.types import AlignedFace, Face

FACE = PORTRAIT_LANDMARKS[:68].astype(np.float32)
FACE = (FACE - FACE.mean(axis=0)) / np.ptp(FACE[:, 0]) * 60 + 80
YAW = [0.3, -0.2, np.nan, 0.1, 0.6, -0.5]
pytestmark = pytest.mark.usefixtures("one_parser")


class Groups(Sorter):
    """By yaw, left and right apart; straight ones are not chosen, odd ones are in no group."""

    def build(self) -> Sort:
        """The sorter as a function."""

        def sort(faces: SortFaces) -> Sorting:
            yaw = faces.faces.pose[:, 1].astype(np.float64)
            group = np.select([yaw > 0, yaw < 0], [0, 1], -1)
            sorting = Sorting.by_value(yaw).with_groups(group, ("to the left", "to the right"))
            return Sorting(sorting.order, yaw, sorting.group, sorting.groups, np.abs(yaw) > 0.15)

        return sort


@pytest.fixture(autouse=True, scope="module")
def sorter_of_groups() -> Iterator[None]:
    sorters.register("test-groups")(Groups)
    yield
    del sorters._parts["test-groups"]


@pytest.fixture
def show(tmp_path: Path) -> Path:
    clip = tmp_path / "clip"
    clip.mkdir()
    cv2.imwrite(str(clip / "0.png"), np.zeros((240, 320, 3), np.uint8))
    folder = Project.create(tmp_path / "show", clip, clip).folder
    faceset = Faceset(folder / "src" / "faces")
    image = np.full((32, 32, 3), 90, np.uint8)
    for frame, yaw in enumerate(YAW):
        points = FACE + np.float32([frame, 0])
        box = np.concatenate([points.min(0), points.max(0)])
        pose = np.array([0, np.nan_to_num(yaw), 0], np.float32)
        face = Face(frame, box, points, 0.9, 0, pose)
        faceset.add(AlignedFace(face, image, align.face_from_frame(points, "full", 32), "full"))
    return folder


def run(*tokens: object, capsys: pytest.CaptureFixture[str], code: int = 0) -> list[Event]:
    assert cli.main([*(str(token) for token in tokens), "--json"]) == code
    lines = capsys.readouterr().out.splitlines()
    return [read_event.validate_json(each) for each in lines if '"event":"error"' not in each]


def summary(told: list[Event]) -> dict[str, object]:
    assert isinstance(told[-1], Finished)
    return told[-1].summary


def frames_in(folder: Path) -> list[int]:
    """By the names of the files."""
    return sorted(int(path.name[:6]) for path in folder.glob("*_*.jpg"))


def frame_of(folder: Path) -> dict[str, int]:
    faceset = Faceset(folder)
    return dict(zip(faceset.names, faceset.faces.frame.tolist(), strict=True))


def test_an_order_lists_each_picture_once_and_unreadable_ones_last(
    show: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = show / "src/faces"
    (faces / "holiday.jpg").write_bytes(b"no face")
    told = run("sort", show, "src", "yaw", capsys=capsys)
    order = load_order(faces)
    assert order is not None and order.by == "yaw"
    assert [face.name for face in order.faces] == [
        *(f"{frame:06d}_0.jpg" for frame in (4, 0, 3, 2, 1, 5)),
        "holiday.jpg",
    ]
    assert "neither a JPG nor a PNG" in order.faces[-1].reason
    (warned,) = [each for each in told if isinstance(each, Warned)]
    assert "holiday.jpg" in warned.text and "faces drop" in warned.text
    assert sorted(path.name for path in faces.iterdir()) == sorted(
        face.name for face in order.faces
    )
    run("sort", show, "src", "yaw", "--reverse", capsys=capsys)
    turned = load_order(faces)
    assert turned is not None
    assert [face.name for face in turned.faces[:-1]] == [
        face.name for face in reversed(order.faces[:-1])
    ]
    told = run("faces", "drop", show, "src", "unreadable", capsys=capsys)
    assert summary(told) == {"moved": 1, "faces": 6}
    assert (show / "src/faces_trash/holiday.jpg").read_bytes() == b"no face"


def test_groups_are_listed_dropped_and_brought_back(
    show: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = show / "src/faces"
    told = run("sort", show, "src", "test-groups", capsys=capsys)
    assert summary(told) == {"faces": 6, "by": "test-groups", "groups": 2, "chosen": 4}
    groups = summary(run("faces", "groups", show, "src", capsys=capsys))["groups"]
    assert groups == {"1 to the left": 3, "2 to the right": 2, "none": 1, "unchosen": 2}
    run("faces", "drop", show, "src", "to the right", capsys=capsys)
    assert frames_in(faces) == [0, 2, 3, 4]
    run("faces", "drop", show, "src", "unchosen", capsys=capsys)
    assert frames_in(faces) == [0, 4]
    assert frames_in(show / "src/faces_trash") == [1, 2, 3, 5]
    run("faces", "undo", show, "src", "--steps", 2, capsys=capsys)
    assert frames_in(faces) == [0, 1, 2, 3, 4, 5]
    run("faces", "drop", show, "src", "1-2", "--keep", capsys=capsys)
    assert frames_in(faces) == [0, 1, 3, 4, 5]
    listed = summary(run("faces", "undo", show, "src", "--list", capsys=capsys))
    assert "1 file: kept only 1-2 by test-groups" in str(listed["1"])


def test_where_a_sort_made_no_groups_that_is_said(
    show: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("sort", show, "src", "yaw", "--no-page", capsys=capsys)
    assert cli.main(["faces", "drop", str(show), "src", "1"]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "by yaw. It made no groups" in told and "faces trash" in told
    told = str(run("faces", "drop", show, "src", "unchosen", capsys=capsys))
    assert "nothing to move" in told and frames_in(show / "src/faces") == list(range(6))
    assert "_trash: 1 file." in str(run("faces", "trash", show, "src", "1", capsys=capsys))


@pytest.mark.parametrize("group", ["3", "0", "2-1", "lef", "1-9"])
def test_a_group_that_is_none_moves_nothing(
    show: Path, group: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run("sort", show, "src", "test-groups", "--no-page", capsys=capsys)
    assert cli.main(["faces", "drop", str(show), "src", "1", group]) == 2
    assert frames_in(show / "src/faces") == list(range(6))


def test_single_faces_go_by_name_or_place(show: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faces = show / "src/faces"
    run("sort", show, "src", "yaw", capsys=capsys)
    # In their order: 4 0 3 2 1 5.
    run("faces", "trash", show, "src", "2-3", "000005*", capsys=capsys)
    assert frames_in(faces) == [1, 2, 4]
    # Places stay those of the sort.
    run("faces", "trash", show, "src", "5", capsys=capsys)
    assert frames_in(faces) == [2, 4]
    assert cli.main(["faces", "trash", str(show), "src", "7"]) == 2
    assert cli.main(["faces", "trash", str(show), "src", "nobody*"]) == 2
    run("faces", "undo", show, "src", "--steps", "9", capsys=capsys)
    assert frames_in(faces) == list(range(6))


def test_files_take_the_names_of_their_places_and_get_their_own_back(
    show: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = show / "src/faces"
    shutil.copy(faces / "000003_0.jpg", faces / "000003_0 (1).jpg")
    before = {path.name: path.read_bytes() for path in faces.iterdir()}
    run("sort", show, "src", "yaw", "--rename", capsys=capsys)
    assert frame_of(faces) == {f"{at:05d}.jpg": f for at, f in enumerate((4, 0, 3, 2, 1, 5), 1)}
    order = load_order(faces)
    assert order is not None and [face.name for face in order.faces] == sorted(frame_of(faces))
    # Once more, now that the names stand in each other's way; the order follows back, too.
    run("sort", show, "src", "pitch", "--reverse", "--rename", capsys=capsys)
    page = (show / "src/sorted.html").read_text()
    assert "its place · pitch in degrees, above 0 looking up." in page
    assert 'src="faces/00006.jpg"' in page
    run("faces", "undo", show, "src", capsys=capsys)
    assert frame_of(faces) == {f"{at:05d}.jpg": f for at, f in enumerate((4, 0, 3, 2, 1, 5), 1)}
    told = run("faces", "recover-names", show, "src", capsys=capsys)
    assert summary(told) == {"faces": 6, "renamed": 7}
    assert frames_in(faces) == [0, 1, 2, 3, 3, 4, 5]
    run("faces", "undo", show, "src", "--steps", 2, capsys=capsys)
    assert {path.name: path.read_bytes() for path in faces.iterdir()} == before


def test_the_page_shows_each_face_once_and_follows_what_is_put_away(
    show: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show = show.rename(show.with_name("a show"))
    odd = show / "src/faces/<b> 50% ü.jpg"
    (show / "src/faces/000001_0.jpg").rename(odd)
    told = run("sort", show, "src", "test-groups", capsys=capsys)
    page = show / "src/sorted.html"
    assert page in [each.path for each in told if isinstance(each, Saved)]
    text = page.read_text()
    assert "Under each face: its place · what it was sorted by." in text
    assert text.count("<img ") == text.count("loading=lazy") == 6 and "base64" not in text
    assert 'src="faces/%3Cb%3E%2050%25%20%C3%BC.jpg"' in text and "<b>" not in text
    # What is to be typed is fit for a terminal, and stands apart from the words before.
    assert "were not chosen. Name" in text and "faces drop &#39;a show&#39; src" in text
    assert text.index("to the left") < text.index("to the right") < text.index("in no group")
    run("faces", "drop", show, "src", "1", capsys=capsys)
    assert page.read_text().count("<img ") == 3
    odd.unlink()
    run("faces", "undo", show, "src", capsys=capsys)
    assert page.read_text().count("<img ") == 5


def test_what_is_closed_on_the_page_costs_a_browser_nothing(
    show: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sorted_page, "_MOST", 2)
    run("sort", show, "src", "yaw", capsys=capsys)
    text = (show / "src/sorted.html").read_text()
    # 20,000 pictures keep a browser from drawing, even where they lie in closed groups.
    before, *closed = re.split("<template>|</template>", text)
    assert before.count("<img ") == 2
    assert [each.count("<img ") for each in closed] == [2, 0, 2, 0]
    assert all(each in before for each in ("all, 1 to 2", "all, 3 to 4", "all, 5 to 6"))


def test_a_set_that_was_never_sorted_says_how_to(
    show: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["faces", "groups", str(show), "src"]) == 4
    assert f"understudy sort {show} src final" in " ".join(capsys.readouterr().err.split())
    told = run("faces", "undo", show, "src", capsys=capsys)
    assert any(isinstance(each, Note) and "no more changes" in each.text for each in told)
    (show / "src/order.json").write_text(json.dumps({"by": "x", "faces": 3}))
    assert cli.main(["faces", "groups", str(show), "src"]) == 4
    assert "Delete it, and sort the faces again" in " ".join(capsys.readouterr().err.split())


def test_undo_that_was_killed_takes_back_no_second_step(
    show: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    faces = show / "src/faces"
    for frame in (0, 1):
        run("faces", "trash", show, "src", f"00000{frame}*", capsys=capsys)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "unlink", lambda path, **_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            Journal(show / "src").undo()
    assert frames_in(faces) == [1, 2, 3, 4, 5]
    told = run("faces", "undo", show, "src", capsys=capsys)
    assert frames_in(faces) == [1, 2, 3, 4, 5]
    assert summary(told) == {"taken back": "1", "left to undo": "1"}
    assert any("it is taken back now" in each.text for each in told if isinstance(each, Note))


def test_what_a_killed_run_began_the_next_command_finishes_and_says_so(
    show: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("faces", "trash", show, "src", "000000*", "000001*", capsys=capsys)
    # Killed between its two renames.
    (show / "src/journal/000001.json").rename(show / "src/journal/000001.place.json")
    (show / "src/faces_trash/000001_0.jpg").rename(show / "src/faces/000001_0.jpg")
    told = run("sort", show, "src", "yaw", capsys=capsys)
    assert frames_in(show / "src/faces") == [2, 3, 4, 5]
    (note,) = [each for each in told if isinstance(each, Note) and "had begun this" in each.text]
    assert "it is done now: moved away 000000*" in note.text
    assert "had begun this" not in str(run("sort", show, "src", "yaw", capsys=capsys))


def test_a_folder_that_may_not_be_written_to_loses_nothing(
    show: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def refuse(path: Path, goal: Path) -> Path:
        if path.suffix == ".jpg":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return rename(path, goal)

    faces = show / "src/faces"
    monkeypatch.setattr(Path, "rename", refuse)
    for words in (
        ("faces", "trash", show, "src", "000001*"),
        ("sort", show, "src", "yaw", "--rename"),
    ):
        assert cli.main([str(word) for word in words]) == 8
        told = " ".join(capsys.readouterr().err.split())
        assert "cannot be written to" in told
        assert frames_in(faces) == list(range(6)) and not Journal(show / "src").steps()


def test_a_set_may_be_put_away_as_a_whole(show: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("sort", show, "src", "yaw", capsys=capsys)
    told = run("faces", "trash", show, "src", "*", capsys=capsys)
    assert "no face is left" in " ".join(e.text for e in told if isinstance(e, Warned))
    assert "<img" not in sorted_page.page_path(show / "src/faces").read_text()
    assert summary(run("faces", "undo", show, "src", capsys=capsys))["taken back"] == "1"
