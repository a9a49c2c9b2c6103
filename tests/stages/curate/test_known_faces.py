"""What extraction did not keep is asked of the pictures, once, and of as few as will do."""

import dataclasses

import numpy as np
import pytest

from understudy.core.face import align
from understudy.core.image import warp
from understudy.errors import WeightsMissing
from understudy.io.faceset.faceset import Faceset
from understudy.stages.curate import known_faces
from understudy.stages.curate.known_faces import know_eyes, know_people
from understudy.stages.events import Progress, Warned
from understudy.types import AlignedFace, Face

KNOWN = {"lids": np.array([0.3, 0.3], np.float32), "gaze": np.zeros((2, 2), np.float32)}


def run(stage):
    events = []
    try:
        while True:
            events.append(next(stage))
    except StopIteration as end:
        return events, end.value


@pytest.fixture
def faceset(people, tmp_path) -> Faceset:
    """Ten faces: two tracks of four, and two on none; the first knows its eyes."""
    faceset = Faceset(tmp_path / "src" / "faces")
    for frame, (image, points) in enumerate(people["a"][:10]):
        matrix = align.face_from_frame(points, "full", 64)
        face = Face(
            frame,
            np.zeros(4, np.float32),
            points.astype(np.float32),
            1,
            (0, 0, 0, 0, 1, 1, 1, 1, -1, -1)[frame],
            np.zeros(3, np.float32),
            **(KNOWN if frame == 0 else {}),
        )
        face = dataclasses.replace(face, footage=0)
        faceset.add(
            AlignedFace(face, warp(image, matrix, (64, 64)), matrix, "full", footage="0a" * 16)
        )
    return faceset


def test_a_few_pictures_of_each_track_say_who_it_is(faceset, monkeypatch):
    asked = []

    def embed(image, points):
        asked.append(1)
        return np.arange(128, dtype=np.float32) + len(asked)

    monkeypatch.setattr(known_faces, "_LOOKS", 2)
    monkeypatch.setattr(known_faces, "_embedder", lambda: embed)
    monkeypatch.setattr(known_faces, "is_installed", lambda: True)
    _, faces = run(know_people(faceset))
    assert len(asked) == 6 and np.isfinite(faces.identity).all()
    assert (faces.identity[:4] == faces.identity[0]).all()
    events, again = run(know_people(Faceset(faceset.folder)))
    assert not events and len(asked) == 6
    np.testing.assert_array_equal(again.identity, faces.identity)
    monkeypatch.setattr(known_faces, "is_installed", lambda: False)
    assert run(know_people(faceset))[1].identity is None


def test_eyes_are_measured_where_the_picture_does_not_say(faceset, monkeypatch):
    seen = np.full((2, 2), 0.1, np.float32), np.full(2, 0.2, np.float32)
    monkeypatch.setattr(known_faces, "load_eye_network", lambda: lambda image, points: seen)
    events, faces = run(know_eyes(faceset))
    assert [each.done for each in events if isinstance(each, Progress)] == [10]
    np.testing.assert_allclose(faces.lids, [[0.3, 0.3]] + [[0.2, 0.2]] * 9)
    np.testing.assert_allclose(faces.gaze[1:], 0.1)

    def refuse():
        raise WeightsMissing("iris: not there. Fetch it.")

    monkeypatch.setattr(known_faces, "load_eye_network", refuse)
    (warned,), points_alone = run(know_eyes(faceset))
    assert isinstance(warned, Warned) and "Fetch it" in warned.text
    assert np.isfinite(points_alone.lids).sum() == 2
