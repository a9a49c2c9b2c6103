"""A faceset of any size is held as columns, not as objects."""

import tracemalloc

import numpy as np
import pytest

from understudy.io.faceset import face_image
from understudy.io.faceset.faceset import Faceset
from understudy.io.faceset.picture_files import match_pictures
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


def test_renamed_pictures_are_known_again_and_told_apart(folder, monkeypatch):
    first = Faceset(folder)
    assert len(first) == COUNT
    paths, frames = first.paths, first.faces.frame.tolist()
    # Names in a ring; one deleted; two of one size and time, whole seconds as some disks have them.
    for path in paths:
        path.rename(path.with_suffix(".away.jpg"))
    for path, goal in zip(paths, [*paths[1:], paths[0]], strict=True):
        path.with_suffix(".away.jpg").rename(goal)
    paths[8].unlink()
    for path in paths[3:5]:
        path.write_bytes(path.read_bytes())
    read, real = [], face_image.read_metadata
    monkeypatch.setattr(
        face_image, "read_metadata", lambda path: (read.append(path.name), real(path))[1]
    )
    again = Faceset(folder)
    expected = dict(zip([path.name for path in [*paths[1:], paths[0]]], frames, strict=True))
    del expected[paths[8].name]
    assert dict(zip(again.names, again.faces.frame.tolist(), strict=True)) == expected
    assert sorted(read) == sorted(path.name for path in paths[3:5])
    read.clear()
    assert len(Faceset(folder)) == COUNT - 1 and not read


def test_what_two_pictures_have_in_common_tells_none_of_them():
    names, facts = ["a", "b", "c", "d"], np.array([[5, 1_000_001], [5, 7], [5, 7], [9, 2 * 10**9]])
    assert match_pictures(["x", "b", "y", "z"], facts, names, facts).tolist() == [0, 1, -1, -1]
    assert match_pictures(["x", "y"], facts[[0, 0]], names, facts).tolist() == [-1, -1]
    assert match_pictures(names, facts, [], facts[:0]).tolist() == [-1] * 4
