"""More than one person in a side's footage is said by every command, and one can be chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from understudy.errors import BadOption, NoFaces
from understudy.io.faceset import face_image
from understudy.io.faceset.faceset import Faceset
from understudy.stages.events import Event, Warned
from understudy.stages.extract import person_choice
from understudy.stages.extract.people import (
    PeopleSeen,
    warn_of_several_in_faceset,
    warn_of_several_people,
)
from understudy.stages.extract.person_choice import choose_person
from understudy.stages.project import Project
from understudy.stages.saved_models.recipe import ModelRecipe
from understudy.stages.train.data import input_pipeline, training_faces
from understudy.stages.train.options import TrainOptions


def told(events: Iterable[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Warned)]


def rows(*people: Iterable[int]) -> tuple[np.ndarray, np.ndarray]:
    """Frame and number of faces: of each person the frames."""
    pairs = [(frame, person) for person, frames in enumerate(people) for frame in frames]
    return tuple(np.array(pairs, np.int64).reshape(-1, 2).T)


def test_each_person_is_told_with_its_frames():
    (said,) = told(warn_of_several_people("merge", "dst", *rows(range(100), range(40, 90))))
    assert said.startswith("dst: 2 people are seen: person 0 in 100 frames, person 1 in 50 frames.")
    assert "All are replaced" in said and "--person" in said and "--like" in said


def test_one_person_and_one_in_passing_are_no_reason():
    frame, _ = rows(range(100))
    unknown = np.full(len(frame), -1)
    assert not told(warn_of_several_people("merge", "dst", frame, unknown))
    assert not told(warn_of_several_people("train", "src", *rows(range(100))))
    # A picture on a wall in one frame of a hundred.
    assert not told(warn_of_several_people("merge", "dst", *rows(range(100), [7])))
    assert not told(warn_of_several_people("merge", "dst", np.array([], int), np.array([], int)))


def test_without_numbers_only_what_is_seen_at_once_is_told():
    frame, person = rows(range(20), range(5, 15))
    (said,) = told(warn_of_several_people("extract", "dst", frame, np.full_like(person, -1)))
    assert "up to 2 faces are seen at once, in 10 of 20 frames, and they are not told apart" in said
    assert "--max-faces 1" in said and "people are seen" not in said


def test_a_crowd_is_told_in_short():
    seen = PeopleSeen.of(*rows(*[range(20)] * 9))
    assert seen.told().endswith("person 5 in 20 frames, 3 more.")


def test_people_of_gathered_faces_count_in_each_footage(
    make_show: Callable[..., Path], tmp_path: Path
) -> None:
    """One person a clip is one person, whatever the numbers, and no crowd in any frame."""
    faceset = Faceset(make_show(tmp_path / "show") / "src" / "faces")
    for row, path in enumerate(faceset.paths):
        face = faceset.load(row)
        for number, clip in enumerate(("one.mp4", "two.mp4")):
            person = replace(face.face, person=number)
            face_image.write(
                path.with_name(f"{number}-{row}.png"), replace(face, face=person, source=clip)
            )
        path.unlink()
    faceset.rescan()
    assert len(faceset) == 12 and not told(warn_of_several_in_faceset("train", "src", faceset))
    crowd = faceset.load(0)
    for row in range(3):
        other = replace(crowd.face, frame=row, person=5, box=crowd.face.box + 1)
        face_image.write(
            faceset.folder / f"crowd-{row}.png", replace(crowd, face=other, source="one.mp4")
        )
    faceset.rescan()
    (said,) = told(warn_of_several_in_faceset("train", "src", faceset))
    assert "in one.mp4, 2 people are seen: person 0 in 6 frames, person 5 in 3 frames" in said
    assert "two.mp4" not in said and "move the pictures of the others away" in said


@pytest.fixture
def two_people(make_show: Callable[..., Path], tmp_path: Path) -> Path:
    """A show with two people on each side: 0 in frames 0 to 5, 1 in 6 to 11."""
    folder = make_show(tmp_path / "show", count=12)
    for side in ("src", "dst"):
        faceset = Faceset(folder / side / "faces")
        for row, path in enumerate(faceset.paths):
            face = faceset.load(row)
            person = int(face.face.frame >= 6)
            face_image.write(path, replace(face, face=replace(face.face, person=person)))
    return folder


def learnt(show: Path, **options: object) -> tuple[int, int, list[str]]:
    """How many faces of each side are learnt, and what is said of them."""
    project, recipe = Project.load(show), ModelRecipe(model="h64")
    chosen = training_faces.choose_people(project, TrainOptions(**options))
    said = told(training_faces.remarks_on_faces(project, chosen))
    src, dst = input_pipeline.load_faces(project, chosen, recipe)
    return len(src.pictures), len(dst.pictures), said


@pytest.mark.footage_kind(
    "several people",
    "`extract`, `train`, `merge` and so `swap` say who is seen in how many frames, before the work:"
    " all of dst are replaced, all of src are learnt as one face. `train --src-person`,"
    " `--dst-person` and `merge --person` take one by number, `--src-like`, `--dst-like` and"
    " `--like` by a picture. Without the extra dlib only faces seen at once are told.",
)
def test_train_says_who_is_learnt_and_learns_whom_it_is_told(two_people: Path) -> None:
    src, dst, said = learnt(two_people)
    assert (src, dst) == (12, 12)
    assert [each[:3] for each in said] == ["src", "dst"] and "--src-person" in said[0]
    assert learnt(two_people, src_person=1, dst_person=0) == (6, 6, [])
    with pytest.raises(BadOption, match=r"--src-person: there is no person 4.*0, 1"):
        learnt(two_people, src_person=4)


def test_a_person_is_found_by_a_picture(
    two_people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Identities stand in for dlib's: how bright a picture is."""
    faceset = Faceset(two_people / "src" / "faces")
    for row, path in enumerate(faceset.paths):
        face = faceset.load(row)
        face_image.write(path, replace(face, image=face.image * 0 + 60 + 100 * face.face.person))
    monkeypatch.setattr(
        person_choice,
        "make_embedder",
        lambda options: lambda image, points: image.mean((0, 1)) / 50,
    )
    monkeypatch.setattr(
        person_choice, "identify_picture", lambda path, options: np.float32([3.2, 3.2, 3.2])
    )
    project = Project.load(two_people)
    assert choose_person(project, "src", None, "their.jpg", "src-") == 1
    monkeypatch.setattr(
        person_choice, "identify_picture", lambda path, options: np.float32([9, 9, 9])
    )
    with pytest.raises(NoFaces, match=r"nobody among src's faces.*--src-person"):
        choose_person(project, "src", None, "their.jpg", "src-")
