"""Faces gathered from several footages: each picture says of which it is, whatever its name."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from understudy.core import affine
from understudy.io.faceset import face_image
from understudy.io.faceset.faceset import Faceset
from understudy.types import AlignedFace, Face

ONE, OTHER = "a" * 32, "b" * 32


def face(frame: int, source: str, footage: str = "", x: float = 0.0) -> AlignedFace:
    points = np.random.default_rng(0).uniform(60, 120, (68, 2)).astype(np.float32) + x
    found = Face(frame, affine.bounding_box(points), points, 0.9, 0, np.zeros(3, np.float32))
    matrix = np.array([[0.5, 0.0, -20.0], [0.0, 0.5, -10.0]])
    pixels = np.zeros((64, 64, 3), np.uint8)
    return AlignedFace(found, pixels, matrix, "full", source=source, footage=footage)


def gathered(folder: Path, *faces: AlignedFace) -> Faceset:
    folder.mkdir(exist_ok=True)
    for number, each in enumerate(faces):
        face_image.write(folder / f"{number}.png", each)
    return Faceset(folder)


@pytest.mark.parametrize(
    ("said", "count"),
    [
        # Of one camera card and another, or two folders called "frames".
        ([("C0001.mp4", ONE), ("C0001.mp4", OTHER)], 2),
        ([("before.mp4", ONE), ("after.mp4", ONE)], 1),
        # Pictures of former versions say only a name.
        ([("a.mp4", ""), ("b.mp4", "")], 2),
        ([("a.mp4", ""), ("a.mp4", ONE)], 1),
        ([("a.mp4", ""), ("a.mp4", ONE), ("a.mp4", OTHER)], 3),
    ],
)
def test_footages_are_told_apart_by_what_they_show(
    said: list[tuple[str, str]], count: int, tmp_path: Path
) -> None:
    faceset = gathered(
        tmp_path / "faces", *(face(frame, *each) for each in said for frame in (0, 1))
    )
    faces = faceset.faces
    assert len(faceset.footages) == count == len(np.unique(faces.footage))
    assert (np.diff(faces.footage) >= 0).all()
    assert len(np.unique(faces.moments)) == 2 * count and len(np.unique(faces.footage_tracks)) == (
        count
    )
    # A renamed clip shows the same faces: they are copies.
    assert len(faces) == 2 * count
    again = Faceset(faceset.folder)
    assert again.footages == faceset.footages and (again.faces.footage == faces.footage).all()


def test_of_unknown_footage_nothing_is_of_one_moment(tmp_path: Path) -> None:
    faces = gathered(tmp_path / "faces", face(0, ""), face(0, "", x=9), face(1, "a.mp4")).faces
    assert faces.footage.tolist() == [-1, -1, 0]
    assert faces.moments.tolist() == faces.footage_tracks.tolist() == [-1, -1, 0]


def test_a_selection_is_of_the_same_folder(tmp_path: Path) -> None:
    faceset = gathered(tmp_path / "faces", face(0, "a.mp4"), face(0, "b.mp4"), face(1, "b.mp4"))
    some = faceset.select(faceset.faces.footage == 1)
    assert some.faces.frame.tolist() == [0, 1] and [path.name for path in some.paths] == [
        "1.png",
        "2.png",
    ]
    assert len(faceset) == 3 and some.load(1).source == "b.mp4"


def test_a_picture_carries_what_its_footage_is_known_by(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    face_image.write(path, face(3, "a.mp4", ONE))
    assert face_image.read(path).footage == face_image.read_metadata(path)[0].footage == ONE
    with pytest.raises(ValueError, match="footage"):
        face_image.write(path, dataclasses.replace(face(3, "a.mp4"), footage="no such key"))
