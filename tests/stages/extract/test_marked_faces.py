"""Marks on the synthetic people, whose true points are known: what the mesh makes of them, and what
is laid in where it is blind.
"""

import numpy as np
import pytest

from understudy.core.face import mean_head
from understudy.io.faceset.manual_marks import Mark
from understudy.parts.landmarkers import landmarkers
from understudy.stages.extract.marked_faces import place_mark
from understudy.types import Marking

from ...landmark_tools import eye_distance

# Largest errors where the mesh sees the face, and where it does not, in eye distances.
SEEN = 0.06
LAID = {"box": 0.3, "eyes": 0.15, "points5": 0.1}


@pytest.fixture(scope="module")
def mesh():
    return landmarkers["facemesh"]().build()


def make_mark(kind: str, true: np.ndarray) -> Mark:
    """A mark as a person makes it, 2 % of the eye distance off."""
    off = np.random.default_rng(0).normal(0, 0.02 * eye_distance(true), (5, 2))
    if kind == "box":
        low, high = true.min(axis=0), true.max(axis=0)
        # Up to the hairline.
        corners = np.array([low - (0, 0.35 * (high - low)[1]), high]) + off[:2]
        return Mark("box", tuple(map(tuple, corners.tolist())))
    places = mean_head.find_places(true, {"eyes": 2, "points5": 5}[kind])
    return Mark(kind, tuple(map(tuple, (places + off[: len(places)]).tolist())))


def error(face, true: np.ndarray) -> float:
    return float(np.linalg.norm(face.landmarks - true, axis=1).mean()) / eye_distance(true)


@pytest.mark.parametrize("kind", ["box", "eyes", "points5"])
@pytest.mark.parametrize("name", ["a", "b"])
def test_a_mark_gives_the_points_of_the_mesh_or_those_of_a_laid_in_head(people, mesh, name, kind):
    image, true = people[name][4]
    mark = make_mark(kind, true)
    seen = place_mark(4, image, mark, mesh)
    assert seen.marked is Marking.REFINED and error(seen, true) < SEEN
    # The landmarker of the detector `manual` sees nothing, and neither does the mesh in a blur.
    laid = place_mark(4, image, mark, landmarkers["manual"]().build())
    assert laid.marked is Marking.LAID and laid.score == 1 and error(laid, true) < LAID[kind]
    grey = np.full_like(image, 90)
    assert (place_mark(4, grey, mark, mesh).landmarks == laid.landmarks).all()


def test_a_mark_in_the_dark_is_refined_all_the_same(people, mesh):
    image, true = people["b"][4]
    dark = (image * 0.06).astype(np.uint8)
    face = place_mark(4, dark, make_mark("eyes", true), mesh)
    assert face.marked is Marking.REFINED and error(face, true) < SEEN


def test_the_points_of_another_face_are_not_taken_for_those_of_the_mark(people, mesh):
    """The mesh slips from a mark beside a face onto that face."""
    image, true = people["a"][4]
    beside = true + np.array([0.8 * eye_distance(true), 0])
    for kind in ("box", "eyes", "points5"):
        face = place_mark(4, image, make_mark(kind, beside), mesh)
        assert face.marked is Marking.LAID and error(face, beside) < LAID[kind]


def test_left_and_right_may_be_the_persons(people, mesh):
    image, true = people["a"][4]
    points = make_mark("points5", true).points
    swapped = Mark("points5", tuple(points[each] for each in (1, 0, 2, 4, 3)))
    blind = landmarkers["manual"]().build()
    for locate in (mesh, blind):
        one, other = (
            place_mark(4, image, mark, locate) for mark in (Mark("points5", points), swapped)
        )
        assert (one.landmarks == other.landmarks).all()
