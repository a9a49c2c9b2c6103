"""Copies of a face picture are one face, whatever a file manager or a cloud drive calls them."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from understudy.io.faceset import face_image
from understudy.io.faceset.faceset import Faceset
from understudy.types import AlignedFace, Face, Polygon


def face(frame: int, x: float = 0.0) -> AlignedFace:
    landmarks = (np.arange(136, dtype=np.float32) % 41).reshape(68, 2) + np.float32(x)
    box = np.array([x, 0, x + 50, 60], np.float32)
    in_frame = Face(frame, box, landmarks, 0.9, -1, np.zeros(3, np.float32))
    matrix = np.array([[1.0, 0, 0], [0, 1, 0]])
    image = np.zeros((32, 32, 3), np.uint8)
    return AlignedFace(in_frame, image, matrix, "full", source="a.mp4")


@pytest.fixture
def faceset(tmp_path: Path) -> Faceset:
    """Two faces in frame 7, one in frame 8."""
    faceset = Faceset(tmp_path / "dst" / "faces")
    for frame, x in ((7, 100), (7, 200), (8, 100)):
        faceset.add(face(frame, x))
    return faceset


NAMES = ["000007_0.jpg", "000007_1.jpg", "000008_0.jpg"]


@pytest.mark.parametrize(
    "name",
    [
        "000007_0 - Copy.jpg",
        "000007_0 (1).jpg",
        "Copy of 000007_0.jpg",
        "000007_0 2.jpg",
        "000007_0 (Anna's conflicted copy 2024-01-01).jpg",
        "000007_0~2.JPG",
        "0.jpg",
    ],
)
def test_a_copy_is_the_same_face(name: str, faceset: Faceset) -> None:
    shutil.copy(faceset.folder / NAMES[0], faceset.folder / name)
    for again in (Faceset(faceset.folder), Faceset(faceset.folder)):
        assert [path.name for path in again.paths] == NAMES and len(again.faces) == 3
        assert again.copies == {again.folder / NAMES[0]: [again.folder / name]}
    # The original is thrown away: the copy is the face.
    (faceset.folder / NAMES[0]).unlink()
    left = Faceset(faceset.folder)
    assert {path.name for path in left.paths} == {name, *NAMES[1:]} and not left.copies


def test_of_copies_without_our_name_the_shortest_counts(tmp_path: Path) -> None:
    for name in ("actor - Copy.png", "actor.png", "actor - Copy (2).png"):
        face_image.write(tmp_path / name, face(3))
    faceset = Faceset(tmp_path)
    assert [path.name for path in faceset.paths] == ["actor.png"]
    assert len(faceset.copies[tmp_path / "actor.png"]) == 2


def test_an_edited_copy_does_not_count_while_the_original_is_there(faceset: Faceset) -> None:
    copy = faceset.folder / "000007_0 (1).jpg"
    shutil.copy(faceset.folder / NAMES[0], copy)
    outline = Polygon(np.array([[1, 1], [9, 1], [9, 9]], np.float32))
    face_image.write_polygons(copy, [outline])
    assert not Faceset(faceset.folder).polygons[0]
    (faceset.folder / NAMES[0]).unlink()
    assert any(map(len, Faceset(faceset.folder).polygons))


def test_faces_thrown_away_take_their_copies_along(faceset: Faceset) -> None:
    copy = faceset.folder / "000007_0 (1).jpg"
    shutil.copy(faceset.folder / NAMES[0], copy)
    faceset.rescan()
    faceset.trash(np.array([True, False, False]))
    assert [path.name for path in Faceset(faceset.folder).paths] == NAMES[1:]
    bin = faceset.folder.with_name("faces_trash")
    assert {path.name for path in bin.iterdir()} == {NAMES[0], copy.name}


def test_other_footage_frames_places_and_types_are_other_faces(tmp_path: Path) -> None:
    own = face(3)
    others = [
        dataclasses.replace(own, source="b.mp4"),
        face(4),
        face(3, x=0.5),
    ]
    for number, each in enumerate([own, *others]):
        face_image.write(tmp_path / f"{number}.png", each)
    assert len(Faceset(tmp_path)) == 4


def test_chosen_faces_bring_no_copies_of_others(faceset: Faceset) -> None:
    for name in NAMES[:2]:
        shutil.copy(faceset.folder / name, faceset.folder / f"copy of {name}")
    chosen = Faceset(faceset.folder).select(np.array([True, False, True]))
    assert list(chosen.copies) == [faceset.folder / NAMES[0]]
