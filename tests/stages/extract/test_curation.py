"""What people removed of the faces stays removed, whatever is asked of `extract` afterwards."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from understudy.errors import BadProject, NoFaces
from understudy.io import atomic
from understudy.io.faceset import face_image
from understudy.io.faceset.faceset import Faceset
from understudy.stages.curate.pack import PackOptions, faces_pack
from understudy.stages.events import Event, Finished, Note
from understudy.stages.extract import curation
from understudy.stages.extract.command import extract
from understudy.stages.project import Project
from understudy.types import Bytes

ALL = [(frame, number) for frame in (0, 1, 2, 3, 5, 6, 7, 8) for number in (0, 1)]


def faces(film) -> list[tuple[int, int]]:
    """Frame of each face, and 0 for the square on the left, 1 for the one on the right."""
    found = film.faces().faces
    return [
        (int(frame), int(box[0] > 60)) for frame, box in zip(found.frame, found.box, strict=True)
    ]


def left(*gone: tuple[int, int]) -> list[tuple[int, int]]:
    return sorted(set(ALL) - set(gone))


def remove(film, *which: tuple[int, int]) -> None:
    table = film.faces()
    for path, face in zip(table.paths, faces(film), strict=True):
        if face in which:
            path.unlink()


def told(events: Iterable[Event]) -> str:
    return "\n".join(event.text for event in events if isinstance(event, Note))


def summary(events: Iterable[Event]) -> dict:
    return next(event.summary for event in events if isinstance(event, Finished))


GONE = [(1, 0), (5, 1), (8, 0), (8, 1)]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"size": 320, "face_type": "whole"},
        {"redo": True},
        {"region": (0, 0, 1, 0.9)},
        {"format": "png", "fix": True, "debug": "jpg"},
    ],
    ids=lambda change: "-".join(map(str, change)) or "nothing",
)
def test_what_was_removed_stays_removed(film, change):
    film.run()
    remove(film, *GONE)
    events = film.run(**change)
    assert sorted(faces(film)) == left(*GONE)
    assert "4 faces were removed by hand and stay removed; --restore-removed" in told(events)
    # The third and the fourth time, too, with more removed and everything else changed back.
    remove(film, (2, 0))
    film.run(size=288, **({} if change != {"redo": True} else change))
    assert sorted(faces(film)) == left(*GONE, (2, 0))
    events = film.run()
    assert sorted(faces(film)) == left(*GONE, (2, 0))
    assert "5 faces were removed by hand" in told(events)
    assert summary(events)["removed_by_hand"] == 5 and summary(events)["faces"] == 11


def test_a_run_with_nothing_to_do_counts_what_is_there_now(film):
    first = summary(film.run())
    remove(film, *GONE)
    film = replace(film, folder=film.folder.rename(film.folder.with_name("moved.show")))
    now = summary(film.run())
    assert (now["faces"], now["removed_by_hand"]) == (first["faces"] - 4, 4)
    assert now["folder"] == str(film.folder / "dst" / "faces")
    assert now["frames"] == first["frames"]


def test_it_is_said_before_any_work(film):
    film.run()
    remove(film, (3, 1))
    project = Project.load(film.folder)
    stage = extract(project.folder, "dst", options=film.options(size=320))
    before = list(itertools.takewhile(lambda event: event.event != "progress", stage))
    assert "1 face was removed by hand and stays removed" in told(before)


def test_a_frame_whose_faces_were_removed_is_not_told_as_without_one(film):
    film.run()
    remove(film, *GONE)
    events = film.run(size=320)
    assert "no face in frames 4\n" in told(events)
    assert "every face removed by hand in frames 8\n" in told(events)
    assert summary(events)["frames_without_a_face"] == [[4, 4]]
    page = (film.folder / "dst" / "report.html").read_text()
    assert "<h3>Frames whose faces were removed by hand</h3>\n<p>8</p>" in page


@pytest.mark.parametrize("size", [256, 320])
def test_all_can_be_brought_back(film, size):
    film.run()
    remove(film, *GONE)
    film.run(size=size)
    kept = {path: path.stat().st_mtime_ns for path in film.faces().paths}
    events = film.run(size=size, restore_removed=True)
    assert sorted(faces(film)) == ALL
    assert "4 faces were removed by hand, and brought back now" in told(events)
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())
    assert "removed by hand" not in told(film.run(size=288)) and sorted(faces(film)) == ALL
    assert "no face was removed by hand" in told(film.run(size=288, restore_removed=True))


def test_a_renamed_or_copied_picture_is_not_removed(film):
    film.run()
    folder = film.folder / "dst" / "faces"
    (folder / "000002_0.jpg").rename(folder / "nice.jpg")
    # Of two faces of a frame one is removed, and the other takes its name.
    (folder / "000003_1.jpg").rename(folder / "000003_0.jpg")
    shutil.copy(folder / "000006_0.jpg", folder / "000006_0 - Copy.jpg")
    (folder / "000006_0.jpg").unlink()
    (gone,) = set(ALL) - set(faces(film))
    assert gone[0] == 3
    film.run(size=320)
    assert sorted(faces(film)) == left(gone)
    film.run(size=320, restore_removed=True)
    assert sorted(faces(film)) == ALL


def test_what_is_brought_back_overwrites_no_picture_of_another_name(film):
    film.run()
    folder = film.folder / "dst" / "faces"
    (folder / "000003_1.jpg").rename(folder / "000003_0.jpg")
    film.run(restore_removed=True)
    assert sorted(faces(film)) == ALL and (folder / "000003_0-2.jpg").exists()


def test_moved_back_it_is_there_again(film, tmp_path):
    film.run()
    folder = film.folder / "dst" / "faces"
    shutil.move(folder / "000002_0.jpg", tmp_path / "away.jpg")
    assert "1 face was removed" in told(film.run())
    shutil.move(tmp_path / "away.jpg", folder / "000002_0.jpg")
    assert "removed by hand" not in told(film.run(size=320)) and sorted(faces(film)) == ALL


@pytest.mark.parametrize("how", ["emptied", "gone"])
def test_an_emptied_folder_is_cut_anew_but_for_what_went_before(film, how):
    film.run()
    remove(film, *GONE)
    film.run()
    shutil.rmtree(film.folder / "dst" / "faces")
    if how == "emptied":
        (film.folder / "dst" / "faces").mkdir()
    events = film.run()
    assert sorted(faces(film)) == left(*GONE) and "4 faces were removed by hand" in told(events)
    assert ("no picture is left in faces: all are cut anew" in told(events)) == (how == "emptied")


def test_a_person_removed_stays_removed_in_frames_that_were_not_looked_at(film):
    film.run(every=2)
    remove(film, *((frame, 1) for frame in range(9)))
    events = film.run()
    assert sorted(faces(film)) == [each for each in ALL if each[1] == 0]
    assert "4 more faces are left out: every picture of their tracks was removed" in told(events)
    assert sorted(faces(film)) == sorted(set(faces(film)))
    film.run(restore_removed=True)
    assert sorted(faces(film)) == ALL


def test_one_bad_face_of_a_few_does_not_remove_its_track(film):
    film.run(every=4)
    remove(film, (0, 1))
    film.run()
    assert sorted(faces(film)) == left((0, 1))


@pytest.mark.parametrize("between", [{"every": 4}, {"region": (0, 0, 0.5, 1)}, {"max_faces": 1}])
def test_what_was_kept_is_kept_in_mind_while_it_is_not_asked_for(film, between):
    film.run()
    gone = [(0, 1), (1, 1), (2, 1)]
    remove(film, *gone)
    film.run(**between)
    film.run()
    assert sorted(faces(film)) == left(*gone)


def test_another_detector_finds_another_box_of_the_same_face(film, squares, monkeypatch):
    film.run()
    remove(film, *GONE)
    look = squares.build

    def build(self):
        found = look(self)

        def detect(image):
            wide = np.float32([-4, -3, 5, 6])
            return [replace(each, box=each.box + wide) for each in found(image)]

        return detect

    monkeypatch.setattr(squares, "build", build)
    film.run(redo=True)
    assert sorted(faces(film)) == left(*GONE)


@pytest.mark.parametrize(
    "mark", [{"box": [26, 20, 66, 60]}, {"eyes": [[37, 32], [56, 32]]}], ids=["box", "eyes"]
)
def test_a_mark_by_hand_wins(film, mark):
    film.run()
    remove(film, *GONE)
    film.run()
    path = film.folder / "dst" / "marks.json"
    path.write_text(json.dumps({"version": 1, "frames": {"8": [mark]}}))
    film.run()
    assert sorted(faces(film)) == left(*GONE[:-2], (8, 1))
    film.run(size=320)
    assert sorted(faces(film)) == left(*GONE[:-2], (8, 1))
    # Removed after that, it stays removed, mark or not.
    remove(film, (8, 0))
    film.run(size=288)
    assert sorted(faces(film)) == left(*GONE)


@pytest.mark.parametrize("room", range(1, 60, 11))
def test_what_was_never_written_is_not_removed(film, monkeypatch, room):
    """Killed at any write: what is missing then comes, and what was taken away does not."""
    write, count = atomic.write_bytes, itertools.count()

    def limited(path, data):
        if next(count) >= room:
            raise KeyboardInterrupt
        write(path, data)

    with monkeypatch.context() as patch:
        for module in (atomic, face_image.atomic):
            patch.setattr(module, "write_bytes", limited)
        try:
            film.run()
        except KeyboardInterrupt:
            pass
    folder, gone = film.folder / "dst" / "faces", []
    if folder.is_dir() and len(film.faces()) > 2:
        # Not the last: of that nobody knows whether it was there.
        gone = sorted(faces(film))[1:-1:3]
        remove(film, *gone)
    film.run(size=320)
    assert sorted(faces(film)) == left(*gone)
    film.run()
    assert sorted(faces(film)) == left(*gone)


@pytest.mark.parametrize("room", range(0, 30, 9))
@pytest.mark.parametrize("change", [{"restore_removed": True}, {"size": 320}], ids=str)
def test_killed_again_it_ends_as_if_it_had_not_been(film, monkeypatch, room, change):
    film.run()
    remove(film, *GONE)
    write, count = atomic.write_bytes, itertools.count()

    def limited(path, data):
        if next(count) >= room:
            raise KeyboardInterrupt
        write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(atomic, "write_bytes", limited)
        try:
            film.run(**change)
        except KeyboardInterrupt:
            pass
    film.run(**change)
    assert sorted(faces(film)) == (ALL if "restore_removed" in change else left(*GONE))
    film.run(size=288)
    assert sorted(faces(film)) == (ALL if "restore_removed" in change else left(*GONE))


def other_grade(film, scale: float, folder: str = "clip") -> None:
    """Puts the same shot in another grade in the place of the footage."""
    for path in (film.folder.parent / folder).iterdir():
        image = cv2.imread(str(path))
        assert image is not None
        cv2.imwrite(str(path), (image * scale).astype(np.uint8))


def test_the_same_shot_in_another_grade_keeps_it(film):
    film.run()
    remove(film, *GONE)
    other_grade(film, 0.95)
    film.run(same_shot=True)
    assert sorted(faces(film)) == left(*GONE)
    film.run(size=320)
    assert sorted(faces(film)) == left(*GONE)


def test_of_another_grade_a_track_is_not_removed_for_a_few_faces(film):
    film.run()
    gone = [(0, 1), (1, 1), (2, 1)]
    remove(film, *gone)
    other_grade(film, 0.95)
    film.run(same_shot=True)
    assert sorted(faces(film)) == left(*gone)


def test_without_a_word_other_footage_has_nothing_removed_and_the_first_keeps_it(film):
    film.run()
    remove(film, *GONE)
    originals = film.folder.parent / "originals"
    shutil.copytree(film.folder.parent / "clip", originals)
    other_grade(film, 0.95)
    events = film.run()
    assert sorted(faces(film)) == ALL
    assert "4 faces were removed by hand from the footage that was there" in told(events)
    assert "--same-shot" in told(events)
    # Told afterwards, it is heeded too.
    film.run(same_shot=True)
    assert sorted(faces(film)) == left(*GONE)
    assert "nothing to do" in told(film.run(same_shot=True))
    for path in originals.iterdir():
        shutil.copy(path, film.folder.parent / "clip")
    film.run()
    assert sorted(faces(film)) == left(*GONE)
    film.run(same_shot=True, restore_removed=True)
    assert sorted(faces(film)) == ALL
    assert "removed by hand" not in told(film.run(same_shot=True))


def test_other_footage_is_kept_in_mind_only_where_something_was_removed_of_it(film):
    def known() -> list[int]:
        """How many faces of each footage are kept in mind."""
        cut = curation.CutFaces.load(film.folder / "dst")
        return np.bincount(cut.clip, minlength=len(cut.footages)).tolist()

    film.run()
    other_grade(film, 0.98)
    film.run()
    assert known() == [len(ALL)]
    remove(film, *GONE)
    other_grade(film, 0.98)
    film.run()
    assert known() == [len(ALL)] * 2
    other_grade(film, 0.98)
    film.run()
    assert known() == [len(ALL)] * 2


def test_faces_of_other_footage_in_the_folder_are_left_alone(film, tmp_path):
    film.run()
    table = film.faces()
    for row in (0, 1):
        face = table.load(row)
        object.__setattr__(face, "footage", "f" * 32)
        face_image.write(tmp_path / f"{row}.jpg", face)
    remove(film, (0, 0), (0, 1))
    folder = film.folder / "dst" / "faces"
    # A face of another clip bears the name of one that was removed.
    shutil.copy(tmp_path / "0.jpg", folder / "000000_0.jpg")
    events = film.run()
    assert "2 faces were removed by hand" in told(events)
    film.run(restore_removed=True)
    assert len(film.faces()) == 17 and len(film.faces().footages) == 2
    assert face_image.read(folder / "000000_0.jpg").footage == "f" * 32


def test_a_damaged_record_is_told_and_nothing_is_lost(film):
    film.run()
    remove(film, *GONE)
    film.run()
    path = curation.cut_faces_path(film.folder / "dst")
    data = path.read_bytes()
    for damaged in (data[: len(data) // 2], data[:-8] + bytes(8), b"", b"{}" * 100):
        path.write_bytes(damaged)
        with pytest.raises(BadProject, match="removed by hand"):
            film.run(size=320)
        assert sorted(faces(film)) == left(*GONE)
    path.write_bytes(data)
    film.run(size=320)
    assert sorted(faces(film)) == left(*GONE)


def test_a_frame_that_could_not_be_cut_is_not_removed(
    make_film: Callable, draw: Callable[..., Bytes]
):
    film = make_film([draw((10 + 2 * n, 20, 40)) for n in range(6)])
    cut = curation.CutFaces.load
    from understudy.stages.extract import crop

    align_face = crop._align
    broken = {3}

    def failing(footage, image, face, *others):
        if face.frame in broken:
            raise ValueError("torn")
        return align_face(footage, image, face, *others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crop, "_align", failing)
        film.run()
    assert 3 not in film.faces().faces.frame
    assert 3 not in cut(film.folder / "dst").frame
    film.run(size=320)
    assert film.faces().faces.frame.tolist() == [0, 1, 2, 3, 4, 5]


def test_when_all_that_is_found_was_removed_it_is_said(film):
    film.run()
    remove(film, *((frame, 0) for frame in range(9)))
    with pytest.raises(NoFaces, match=r"removed by hand\. To have them back: --restore"):
        film.run(region=(0, 0, 0.5, 1))


def test_packed_faces_are_none_that_were_removed(film):
    film.run()
    remove(film, *GONE)
    side = film.folder / "dst"
    list(faces_pack(film.folder, "dst", options=PackOptions()))
    assert "4 faces were removed by hand" in told(film.run()) and len(faces(film)) == 12
    # What is brought back lies beside the pack, under a name that nothing in it has.
    film.run(restore_removed=True)
    assert sorted(faces(film)) == ALL and film.faces().packed.sum() == 12
    film.run(size=320)
    assert sorted(faces(film)) == ALL and not film.faces().packed.any()
    assert len(Faceset(side / "faces_old_1")) == 16 and (side / "faces_old_1.zip").exists()
