"""Who draws on a face picture changes what it says, and nothing else of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.core import affine
from understudy.errors import BadMedia
from understudy.io.faceset import face_image, image_metadata
from understudy.io.faceset.face_image import write_polygons
from understudy.types import AlignedFace, Face, Polygon

TRIANGLE = Polygon(np.array([[3, 4], [30.25, 4], [17, 40]], np.float32))
CUT = Polygon(np.array([[8, 8], [9, 8], [9, 9]], np.float32), includes=False)


@pytest.fixture
def face() -> AlignedFace:
    rng = np.random.default_rng(1)
    points = rng.uniform(60, 120, (68, 2)).astype(np.float32)
    found = Face(5, affine.bounding_box(points), points, 0.9, 2, np.zeros(3, np.float32), person=1)
    image = cv2.GaussianBlur(rng.integers(0, 256, (64, 64, 3), np.uint8), (0, 0), 2)
    # A mask of noise is more than one segment of a JPG holds.
    mask = rng.random((64, 64)).astype(np.float32)
    return AlignedFace(
        found,
        image,
        np.array([[0.5, 0, -20], [0, 0.5, -10.0]]),
        "full",
        mask,
        "Zoë's clip.mp4",
        0.2,
    )


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_only_the_polygons_change(face: AlignedFace, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    face_image.write(path, face)
    before, bare = face_image.read(path), pixels_alone(path)
    write_polygons(path, (TRIANGLE, CUT))
    write_polygons(path, (CUT, TRIANGLE))
    after = face_image.read(path)
    assert [each.includes for each in after.polygons] == [False, True]
    assert np.allclose(after.polygons[1].points, TRIANGLE.points, atol=1e-4)
    assert (
        pixels_alone(path) == bare
        and np.array_equal(after.image, before.image)
        and np.array_equal(after.mask, before.mask)
    )
    assert (after.face.frame, after.face.track, after.face.person, after.pts) == (5, 2, 1, 0.2)
    assert after.source == "Zoë's clip.mp4" and np.array_equal(
        after.face.landmarks, before.face.landmarks
    )
    write_polygons(path, ())
    assert face_image.read(path).polygons == ()


def pixels_alone(path: Path) -> bytes:
    """The file with a block of nothing: what of it is not ours."""
    return image_metadata.replace(path.read_bytes(), b"", str(path))


def test_a_picture_that_was_resized_is_drawn_on_as_it_is_now(
    face: AlignedFace, tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    face_image.write(path, face)
    block = image_metadata.inspect(path.read_bytes(), "").block
    assert block is not None
    path.write_bytes(
        image_metadata.insert(
            cv2.imencode(".png", cv2.resize(face.image, (128, 128)))[1].tobytes(), block
        )
    )
    write_polygons(path, (TRIANGLE,))
    assert np.allclose(face_image.read(path).polygons[0].points, TRIANGLE.points, atol=1e-3)


def test_what_is_no_polygon_or_no_face_leaves_the_file_as_it_was(
    face: AlignedFace, tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    face_image.write(path, face)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="polygons"):
        write_polygons(path, (dataclasses.replace(TRIANGLE, points=TRIANGLE.points[:2]),))
    with pytest.raises(ValueError):
        write_polygons(path, (dataclasses.replace(TRIANGLE, points=TRIANGLE.points * np.nan),))
    assert path.read_bytes() == before
    cv2.imwrite(str(path), face.image)
    with pytest.raises(BadMedia, match="not a face picture of ours"):
        write_polygons(path, (TRIANGLE,))
