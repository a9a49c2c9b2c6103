"""Several clips of src: each is found and resumed by itself, and their pictures lie together."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy import cli
from understudy.errors import BadMedia, BadOption, BadProject, NoFaces
from understudy.io.faceset.order import load_order
from understudy.stages.clips import ClipsOptions, ClipsRemoveOptions, clips_add, clips_remove
from understudy.stages.clips import clips as list_clips
from understudy.stages.curate.faces import FacesCheckOptions, faces_check
from understudy.stages.events import Finished, Note, Warned
from understudy.stages.extract.clips import find_clips
from understudy.stages.extract.command import extract
from understudy.stages.project import Project
from understudy.types import Bytes


def write(folder: Path, frames: list[Bytes]) -> Path:
    folder.mkdir(parents=True)
    for number, image in enumerate(frames):
        cv2.imwrite(str(folder / f"{number}.png"), image[:, :, ::-1])
    return folder


def told(events: list) -> str:
    return "\n".join(each.text for each in events if isinstance(each, Note | Warned))


def summaries(events: list) -> dict[str, dict]:
    return {each.stage: each.summary for each in events if isinstance(each, Finished)}


def run(*words: object) -> None:
    assert cli.main([*map(str, words), "--quiet"]) == 0


@pytest.fixture
def clips(tmp_path: Path, draw: Callable[..., Bytes]) -> list[Path]:
    """Two clips of the same name, of four and three frames, and one with spaces, of two."""
    return [
        write(tmp_path / "x" / "take", [draw((10 + 2 * n, 20, 40)) for n in range(4)]),
        write(tmp_path / "y" / "take", [draw((60, 20 + 2 * n, 30)) for n in range(3)]),
        write(tmp_path / "Take – the 2nd", [draw((30, 30 + n, 50)) for n in range(2)]),
    ]


@pytest.fixture
def shot(make_film, draw, clips):
    """A show whose src is these three clips."""
    film = make_film([draw((50, 20, 40))] * 2)
    Project.load(film.folder).with_footage("src", *clips).save()
    return film


NAMES = [
    *(f"Take-the-2nd_{frame:06d}_0.jpg" for frame in range(2)),
    *(f"take-2_{frame:06d}_0.jpg" for frame in range(3)),
    *(f"take_{frame:06d}_0.jpg" for frame in range(4)),
]


def names(film) -> list[str]:
    return sorted(film.contents("src"))


def test_pictures_of_a_folder_that_every_leaves_out_are_told_before_the_work(shot):
    events = shot.run("src", every=3)
    begins = next(at for at, each in enumerate(events) if each.event == "progress")
    assert "of 4 2 are looked at. To look at all: --every 1" in told(events[:begins])
    assert "--every" not in told(shot.run("dst", every=3))


def test_each_clip_by_itself_and_the_pictures_together(shot):
    events = shot.run("src")
    assert names(shot) == NAMES
    found = summaries(events)
    assert list(found)[-1] == "extract src" and found["extract src"]["faces"] == 9
    assert found["extract src/take-2"]["frames"] == 3
    for name in ("take", "take-2", "Take-the-2nd"):
        state = shot.folder / "src" / "clips" / name
        assert {each.name for each in state.iterdir()} >= {"extract.json", "report.html", "found"}
    assert not (shot.folder / "src" / "extract.json").exists()
    before = shot.contents("src")
    events = shot.run("src")
    assert told(events).count("nothing to do") == 3 and shot.contents("src") == before
    # Sorted and renamed, they get these names back.
    run("sort", shot.folder, "src", "yaw", "--rename")
    assert names(shot) == [f"{place:05d}.jpg" for place in range(1, 10)]
    run("faces", "recover-names", shot.folder, "src")
    assert shot.contents("src") == before
    # The table knows of which clip each face is.
    faceset = shot.faces("src")
    assert sorted(np.bincount(faceset.faces.footage).tolist()) == [2, 3, 4]


def test_removed_stays_removed_and_a_new_start_takes_its_own_pictures_alone(shot):
    shot.run("src")
    gone = ["take_000001_0.jpg", "take-2_000002_0.jpg"]
    for name in gone:
        (shot.folder / "src" / "faces" / name).unlink()
    events = shot.run("src", size=320)
    assert names(shot) == sorted(set(NAMES) - set(gone))
    assert told(events).count("1 face was removed by hand and stays removed") == 2
    aside = shot.folder / "src" / "clips" / "take-2" / "faces_old_1"
    assert sorted(each.name for each in aside.iterdir()) == [
        "take-2_000000_0.jpg",
        "take-2_000001_0.jpg",
    ]
    shot.run("src", size=320, restore_removed=True)
    assert names(shot) == NAMES


def test_a_run_that_dies_while_pictures_make_way_takes_none_for_removed(shot, monkeypatch):
    shot.run("src")
    rename, left = Path.rename, itertools.count()

    def dying(self, target):
        if self.name.startswith("take_") and next(left) == 2:
            raise KeyboardInterrupt
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", dying)
        with pytest.raises(KeyboardInterrupt):
            shot.run("src", size=320)
    # With the former options, too, it only cuts what is missing.
    assert "removed by hand" not in told(shot.run("src"))
    assert names(shot) == NAMES
    shot.run("src", size=320)
    assert names(shot) == NAMES and set(shot.faces("src").sides) == {320}


def test_clips_come_and_go(shot, clips, tmp_path):
    project = Project.load(shot.folder)
    project.with_footage("src", clips[0]).save()
    shot.run("src")
    first = shot.contents("src")
    assert sorted(first) == [f"{frame:06d}_0.jpg" for frame in range(4)]
    # A second one leaves what is there as it is.
    project.with_footage("src", *clips[:2]).save()
    events = shot.run("src")
    both = shot.contents("src")
    assert both.items() >= first.items() and len(both) == 7
    assert "nothing to do" in told(events)
    # Both renamed, and in another order, they are known by what they show.
    moved = [clip.rename(tmp_path / f"other{number}") for number, clip in enumerate(clips[:2])]
    Project.load(shot.folder).with_footage("src", *reversed(moved)).save()
    assert told(shot.run("src")).count("nothing to do") == 2
    assert shot.contents("src") == both
    # Alone again, either goes on with its own.
    for clip in moved:
        Project.load(shot.folder).with_footage("src", clip).save()
        assert "nothing to do" in told(shot.run("src"))
    assert shot.contents("src") == both


def test_one_without_a_face_is_told_and_the_others_go_on(shot, clips, draw):
    for file in clips[1].iterdir():
        cv2.imwrite(str(file), draw())
    events = shot.run("src")
    assert "src/take-2: " in told(events) and "no face found in any frame" in told(events)
    assert names(shot) == [name for name in NAMES if not name.startswith("take-2")]
    for file in itertools.chain(*(clip.iterdir() for clip in (clips[0], clips[2]))):
        cv2.imwrite(str(file), draw(corner=(len(file.parts), 9, int(file.stem))))
    with pytest.raises(NoFaces):
        shot.run("src", redo=True)


def test_what_cannot_be_is_refused_before_any_work(shot, clips, tmp_path):
    project = Project.load(shot.folder)
    with pytest.raises(BadOption, match="given twice"):
        project.with_footage("src", clips[0], clips[0])
    project.with_footage("src", clips[0], tmp_path / "gone.mp4").save()
    with pytest.raises(BadMedia, match=r"gone\.mp4: no such file .* one of src's clips"):
        shot.run("src")
    same = write(tmp_path / "same", [])
    for file in clips[0].iterdir():
        (same / file.name).write_bytes(file.read_bytes())
    project.with_footage("src", clips[0], same).save()
    with pytest.raises(BadProject, match=r"same: the same as .*take"):
        shot.run("src")
    assert not (shot.folder / "src").exists()


def test_marks_and_frame_sizes_are_each_clips_own(shot, clips, draw):
    # Two photographs with the same face, of which the lower one's edge cuts the second.
    for number, image in enumerate([draw((30, 60, 50)), draw((30, 60, 50))[:100]]):
        cv2.imwrite(str(clips[2] / f"{number}.png"), image[:, :, ::-1])
    cv2.imwrite(str(clips[1] / "1.png"), draw())
    shot.run("src", fix=True)
    marks = [clip.state / "marks.json" for clip in find_clips(Project.load(shot.folder), "src")]
    assert [path.exists() and '"1": null' in path.read_text() for path in marks] == [
        False,
        True,
        False,
    ]
    options = FacesCheckOptions(pixels=False)
    events = list(faces_check(shot.folder, "src", options=options))
    cut = [each.file for each in events if getattr(each, "reason", "") == "cut by the edge"]
    assert cut == ["Take-the-2nd_000001_0.jpg"]
    assert "edge" not in told(events)


def test_a_person_by_number_is_told_to_be_another_in_each_clip(shot):
    events = []
    with pytest.raises(BadOption, match="not told apart"):
        for event in extract(shot.folder, "src", options=shot.options(person=1)):
            events.append(event)
    assert "each numbers its people for itself. To keep the same one everywhere" in told(events)


def test_clips_are_listed_added_and_removed_by_commands(shot, clips, tmp_path):
    project = Project.load(shot.folder)
    project.with_footage("src", clips[0]).save()
    shot.run("src")
    with pytest.raises(BadOption, match="is a clip of src already"):
        list(clips_add(shot.folder, [clips[0]], ClipsOptions()))
    events = list(clips_add(shot.folder, clips[1:], ClipsOptions()))
    assert "2 pictures, the first 160x120" in told(events)
    shot.run("src")
    listed = summaries(list(list_clips(shot.folder, ClipsOptions())))["clips"]
    assert {name: each["faces"] for name, each in listed.items() if name != "dst"} == {
        "src/take": 4,
        "src/take-2": 3,
        "src/Take-the-2nd": 2,
    }
    before = shot.contents("src")
    (shot.folder / "src" / "faces" / "take-2_000001_0.jpg").unlink()
    list(clips_remove(shot.folder, "take-2", ClipsRemoveOptions()))
    assert names(shot) == [name for name in sorted(before) if not name.startswith("take-2")]
    assert len(Project.load(shot.folder).footages("src")) == 2
    # Taken out by hand, it is told of, and its faces may follow.
    Project.load(shot.folder).with_footage("src", clips[0]).save()
    assert "2 faces are of Take – the 2nd" in told(list(list_clips(shot.folder, ClipsOptions())))
    list(clips_add(shot.folder, [clips[1]], ClipsOptions()))
    list(clips_remove(shot.folder, "Take – the 2nd", ClipsRemoveOptions()))
    # What was found is known still, and so is what somebody removed.
    events = shot.run("src")
    assert not any(getattr(each, "stage", "").startswith("find") for each in events)
    gone = {"take-2_000001_0.jpg", "Take-the-2nd_000000_0.jpg", "Take-the-2nd_000001_0.jpg"}
    assert names(shot) == sorted(set(before) - gone)
    with pytest.raises(BadOption, match="There are src/take, src/take-2"):
        list(clips_remove(shot.folder, "nothing", ClipsRemoveOptions()))


def test_the_only_clip_that_is_left_starts_anew_as_well(shot, clips):
    shot.run("src")
    list(clips_remove(shot.folder, "take-2", ClipsRemoveOptions()))
    list(clips_remove(shot.folder, "Take-the-2nd", ClipsRemoveOptions()))
    assert "faces_old_1" in told(shot.run("src", size=320))
    assert names(shot) == [f"take_{frame:06d}_0.jpg" for frame in range(4)]
    assert set(shot.faces("src").sides.tolist()) == {320}


def test_of_a_clip_that_starts_anew_undo_brings_back_no_former_picture(shot):
    """And those of the other clips all: neither has the last sort new pictures in it."""
    shot.run("src")
    run("sort", shot.folder, "src", "yaw", "--rename")
    run("faces", "recover-names", shot.folder, "src")
    run("faces", "trash", shot.folder, "src", "take_000001*", "take-2_000001*")
    trash = shot.folder / "src" / "faces_trash"
    shot.run("src", size=320, restore_removed=True)
    assert names(shot) == NAMES
    order = load_order(shot.folder / "src" / "faces")
    assert order is not None and not {each.name for each in order.faces} & set(NAMES)
    before = shot.contents("src")
    run("faces", "undo", shot.folder, "src", "--steps", "9")
    assert shot.contents("src") == before and len(list(trash.iterdir())) == 2

    # One clip alone is new: all that is of the others is taken back.
    run("sort", shot.folder, "src", "yaw")
    run("faces", "trash", shot.folder, "src", "take_000002*", "take-2_000002*")
    run("sort", shot.folder, "src", "yaw", "--rename")
    (shot.folder / "src" / "clips" / "take" / "extract.json").unlink()
    events = shot.run("src", size=320)
    assert "faces undo and the last sort leave them out" in told(events)
    run("faces", "undo", shot.folder, "src", "--steps", "9")
    assert names(shot) == NAMES
    order = load_order(shot.folder / "src" / "faces")
    assert order is not None
    sorted_last = {name for name in NAMES if not name.startswith("take_")} - {"take-2_000002_0.jpg"}
    assert {each.name for each in order.faces} == sorted_last
