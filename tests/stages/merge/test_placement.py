"""What was drawn on dst's faces lies where it was drawn, in whatever square the model sees."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from understudy.core import affine
from understudy.errors import BadOption
from understudy.io.faceset.face_image import write_polygons
from understudy.io.faceset.faceset import Faceset
from understudy.parts.maskers import MaskInput, maskers
from understudy.stages.merge.placement import DstFaces, FacePlacement
from understudy.types import AlignedFace, Doubles, Face, Polygon

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
