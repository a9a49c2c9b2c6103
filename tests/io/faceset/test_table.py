"""A faceset of any size is held as columns, not as objects."""

import tracemalloc

import numpy as np
import pytest

from understudy.io.faceset.faceset import Faceset
from understudy.types import AlignedFace, Face

COUNT = 150


@pytest.fixture
def folder(tmp_path):
    faceset = Faceset(tmp_path / "faces")
    chance = np.random.default_rng(0)
    for frame in range(COUNT):
        points, raw = chance.uniform(0, 90, (2, 68, 2)).astype(np.float32)
        box = np.r_[points.min(0), points.max(0)]
        face = Face(frame, box, points, 0.9, 0, np.zeros(3, np.float32), raw=raw)
        picture = np.zeros((8, 8, 3), np.uint8)
        faceset.add(
            AlignedFace(
                face,
                picture,
                np.eye(3)[:2],
                "full",
                source="a.mp4",
                pts=None if frame % 2 else frame / 24,
            )
        )
    return faceset.folder


@pytest.mark.parametrize("with_cache", [False, True])
def test_a_face_takes_hardly_more_than_its_columns(folder, with_cache):
    expected = Faceset(folder)
    assert len(expected) == COUNT
    if not with_cache:
        (folder.parent / "faces.safetensors").unlink()
    tracemalloc.start()
    faceset = Faceset(folder)
    faces = faceset.faces
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Two columns of points take 1088 bytes a face; as objects they were 20 thousand. The cache is
    # put together in memory.
    assert held / COUNT < 2200 and peak / COUNT < 7500
    assert np.array_equal(faces.raw, expected.faces.raw)
    assert faceset.pts[:4] == expected.pts[:4] == [0, None, 0.083333, None]
