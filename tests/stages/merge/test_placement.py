"""What was drawn on dst's faces lies where it was drawn, in whatever square the model sees."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from understudy.core import affine
from understudy.core.face import align, mask, pose
from understudy.errors import BadOption, BadProject
from understudy.io.faceset.face_image import write, write_polygons
from understudy.io.faceset.faceset import Faceset
from understudy.parts.maskers import MaskInput, maskers
from understudy.parts.models import models
from understudy.stages.extract.known_footage import notes_on_gathered, rows_of_footage
from understudy.stages.merge.placement import DstFaces, FacePlacement
from understudy.stages.project import Project
from understudy.types import AlignedFace, Doubles, Face, Faces, Floats, Polygon

MATRIX = np.array([[0.5, 0.0, -20.0], [0.0, 0.5, -10.0]])


def face(frame: int, *polygons: Polygon) -> AlignedFace:
    points = np.random.default_rng(frame).uniform(60, 120, (68, 2)).astype(np.float32)
    found = Face(frame, affine.bounding_box(points), points, 0.9, 0, np.zeros(3, np.float32))
    return AlignedFace(
        found, np.zeros((64, 64, 3), np.uint8), MATRIX, "full", source="a.mp4", polygons=polygons
    )


def triangle() -> Polygon:
    return Polygon(np.array([[10, 10], [40, 10], [10, 40]], np.float32))


def placed(polygons: tuple[Polygon, ...], matrix: Doubles) -> FacePlacement:
    points = np.zeros((68, 2), np.float32)
    return FacePlacement(0, 0, points, matrix, polygons=polygons)


def test_a_mask_lies_on_the_frame_whatever_the_square(tmp_path: Path) -> None:
    faceset = Faceset(tmp_path / "faces")
    # By frame, not by the time of writing.
    faceset.add(face(7))
    faceset.add(face(3, triangle()))
    drawn = DstFaces.load(tmp_path / "faces", with_polygons=True).polygons
    assert placed(drawn[1], MATRIX).drawn_mask(64) is None
    own = placed(drawn[0], MATRIX).drawn_mask(64)
    assert own is not None and own[15, 15] == 1 and own[35, 35] == own[5, 15] == 0
    assert own.sum() == pytest.approx(450, rel=0.02)
    # Twice as large, and moved by 8 pixels.
    larger = affine.compose([[2, 0, 8.5], [0, 2, 0.5]], MATRIX)
    other = placed(drawn[0], larger).drawn_mask(128)
    assert (
        other is not None
        and other.sum() == pytest.approx(4 * own.sum(), rel=0.02)
        and other[31, 39] == 1
        and other[31, 15] == 0
    )


def test_nothing_drawn_on_any_face_is_refused(tmp_path: Path) -> None:
    Faceset(tmp_path / "faces").add(face(0))
    with pytest.raises(
        BadOption, match=r"faces: --masks polygons .* no face has polygons.*take other --masks"
    ):
        DstFaces.load(tmp_path / "faces", with_polygons=True)


def test_the_masker_takes_all_of_a_face_that_nobody_drew_on() -> None:
    some = np.random.default_rng(0).random((3, 16, 16)).astype(np.float32)
    seen = MaskInput(np.zeros((68, 2), np.float32), some[0], some[1])
    mask = maskers["polygons"]().build()
    assert mask(seen).min() == 1
    assert np.array_equal(mask(dataclasses.replace(seen, polygons=some[2])), some[2])


def test_a_drawing_can_be_added_to_a_picture_that_is_there(tmp_path: Path) -> None:
    faceset = Faceset(tmp_path / "faces")
    path = faceset.add(face(0))
    assert faceset.polygons == [()]
    write_polygons(path, [triangle()])
    faceset.rescan()
    assert len(faceset.polygons[0]) == 1 and np.allclose(
        faceset.polygons[0][0].points, triangle().points * 2 + [40, 20]
    )


def test_faces_of_other_footage_are_not_laid_into_dst(
    make_show: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_show(tmp_path / "show")
    project = Project.load(folder).with_footage("dst", folder / "drawn.mp4")
    faceset = Faceset(project.faces("dst"))
    for row, path in enumerate(faceset.paths):
        stranger = dataclasses.replace(faceset.load(row), source="other.mp4")
        write(path.with_name(f"other-{path.name}"), stranger)
    faceset.rescan()
    footage = SimpleNamespace(path=folder / "drawn.mp4", fingerprint=SimpleNamespace(key="0" * 32))
    choose = partial(rows_of_footage, project, "dst", footage=footage)
    faces = DstFaces.load(faceset.folder, with_polygons=False, choose=choose)
    assert [path.name.startswith("other") for path in faces.paths] == [False] * 6
    (note,) = notes_on_gathered(faceset, choose(faceset), "they are not merged")
    assert "6 faces are of other footage (other.mp4); they are not merged" in note.text
    footage.path = folder / "third.mp4"
    project = project.with_footage("dst", footage.path)
    choose = partial(rows_of_footage, project, "dst", footage=footage)
    with pytest.raises(
        BadProject, match=r"several clips \(drawn.mp4, other.mp4\), none of which is third"
    ):
        choose(faceset)
    # Those of one footage are believed, as it may have been renamed.
    for path in faceset.folder.glob("other-*"):
        path.unlink()
    faceset.rescan()
    assert choose(faceset).all()


def test_an_imported_face_is_laid_in_where_there_is_no_other(
    make_show: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_show(tmp_path / "show")
    project = Project.load(folder).with_footage("dst", folder / "drawn.mp4")
    faceset = Faceset(project.faces("dst"))
    for row, path in enumerate(faceset.paths):
        # As `faces import` leaves them: of one frame the only one, of the others a second.
        imported = dataclasses.replace(faceset.load(row), source="", footage="")
        write(path.with_name(f"imported-{path.name}"), imported)
    faceset.paths[0].unlink()
    faceset.rescan()
    footage = SimpleNamespace(path=folder / "drawn.mp4", fingerprint=SimpleNamespace(key="0" * 32))
    ours = rows_of_footage(project, "dst", faceset, footage)
    assert np.bincount(faceset.faces.frame[ours]).max() == 1 and ours.sum() == 6
    assert sum(faceset.paths[row].name.startswith("imported") for row in np.flatnonzero(ours)) == 1
    for path in faceset.folder.glob("[0-9]*"):
        path.unlink()
    faceset.rescan()
    assert rows_of_footage(project, "dst", faceset, footage).all()


def heads(dropped: Sequence[float], angle: float = 0.3) -> Faces:
    """One head in a frame each, its jaw dropped by such shares of the distance between its eyes."""
    points = np.repeat(pose.HEAD_MODEL[None, :, :2], len(dropped), 0)
    eyes = np.linalg.norm(points[0, 45] - points[0, 36])
    jaw = np.clip(1 - np.abs(np.arange(17) - 8) / 7, 0, 1) ** 0.7
    points[:, :17, 1] += np.outer(dropped, jaw) * eyes
    points[:, 55:60, 1] += np.array(dropped)[:, None] * eyes
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    landmarks = (100 / eyes * points @ turn.T + 400).astype(np.float32)
    count = len(dropped)
    return Faces(
        frame=np.arange(count),
        box=np.stack([affine.bounding_box(each) for each in landmarks]),
        landmarks=landmarks,
        score=np.ones(count, np.float32),
        track=np.zeros(count, np.int64),
        pose=np.zeros((count, 3), np.float32),
        identity=None,
        person=np.zeros(count, np.int64),
        filled=np.zeros(count, bool),
        raw=landmarks,
    )


def hull_of(placement: FacePlacement, size: int = 128) -> Floats:
    inside = affine.apply(np.asarray(placement.face_from_frame), placement.landmarks)
    return mask.hull_mask(inside.astype(np.float32), (size, size))


def place(faces: Faces, face_type: str = "full", **more: Any) -> list[FacePlacement]:
    placed = DstFaces(faces, ((),) * len(faces)).place(face_type, 128, smooth=False, **more)
    return [placed[frame][0] for frame in range(len(faces))]


def test_the_square_follows_a_jaw_that_drops() -> None:
    """Else the mask ends in a straight line where the model's square does, above the chin."""
    dropped = np.linspace(0, 0.3, 8).tolist()
    for placement in place(heads(dropped), motion=models["saehd"].motion):
        hull = hull_of(placement)
        assert hull.max() == 1
        # As wide as a chin at the end, and with room for a soft edge.
        rows = np.flatnonzero(hull.max(1) > 0.5)
        assert rows[-1] <= 0.955 * 128 and 0 < hull[rows[-1]].sum() < 0.25 * 128


def test_a_face_that_fits_stays_where_it_is_and_one_that_follows_moves_evenly() -> None:
    still, *moving = place(heads([0.0, *np.linspace(0.1, 0.45, 26)]))
    assert still.room is None
    tops = [hull_of(each).max(1).argmax() for each in moving]
    assert np.abs(np.diff(tops)).max() <= 1
    assert all(each.room is None for each in place(heads([0.5]), motion=None))
    assert all(each.room is None for each in place(heads([0.5]), "half"))


@pytest.mark.parametrize("name", ["tiny", "saehd", "h128"])
def test_no_face_is_moved_further_than_its_model_has_seen(name: str) -> None:
    """Else the model paints it where faces usually are, and it slides over the plate in talking."""
    motion = models[name].motion
    for placement in place(heads([0.3, 1.2]), motion=motion):
        room = np.asarray(placement.room)
        assert 1 / (1 + motion.scale) - 1e-9 <= room[0, 0] < 1
        moved = affine.apply(room, [(63.5, 63.5)]) - 63.5
        assert 0 < np.abs(moved).max() <= motion.shift * 128 + 1e-9


def test_room_for_a_jaw_is_no_movement_of_the_face() -> None:
    """What motion blur follows is the way from square to square in the same room."""
    first, second = place(heads([0.0, 0.6]))
    fixed = affine.compose(
        np.asarray(first.face_from_frame), affine.invert(np.asarray(first.after))
    )
    np.testing.assert_allclose(fixed, affine.scaling(1), atol=0.6)
    own = align.face_from_frame(second.landmarks, "full", 128)
    moved = affine.compose(np.asarray(second.face_from_frame), affine.invert(own))
    np.testing.assert_allclose(moved, second.room, atol=1e-9)
