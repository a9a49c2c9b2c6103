"""What every sorter keeps to, whoever wrote it; and what each is for."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from understudy.core.face.pixel_measures import BINS, THUMBNAIL, PixelMeasures
from understudy.core.face.pose import HEAD_MODEL
from understudy.core.face.traits import FaceTraits
from understudy.errors import BadProject
from understudy.parts.sorters import SortFaces, Sorting, sorters
from understudy.types import Faces

ALL = sorters.names()


def make_faces(count: int, seed: int = 0) -> SortFaces:
    """Faces of three people in two clips, each with all that a sorter may ask for."""
    rng = np.random.default_rng(seed)
    scale, place = rng.uniform(0.5, 3, count), rng.uniform(100, 900, (count, 2))
    heads = np.repeat(HEAD_MODEL[None, :, :2], count, axis=0)
    landmarks = heads * scale[:, None, None] + place[:, None] + rng.normal(0, 1, heads.shape)
    who = rng.choice([0, 0, 0, 1, 2], count)
    people = np.random.default_rng(9).standard_normal((3, 128))
    identity = people[who] + 0.2 * rng.standard_normal((count, 128))
    faces = Faces(
        frame=np.sort(rng.integers(0, max(count, 1), count)),
        box=np.concatenate([landmarks.min(axis=1), landmarks.max(axis=1)], 1).astype(np.float32),
        landmarks=landmarks.astype(np.float32),
        score=rng.uniform(0, 1, count).astype(np.float32),
        track=np.zeros(count, np.int64),
        pose=rng.normal(0, 0.3, (count, 3)).astype(np.float32),
        identity=(identity / np.linalg.norm(identity, axis=1, keepdims=True)).astype(np.float32),
        person=who,
        filled=np.zeros(count, bool),
        raw=landmarks.astype(np.float32),
        footage=np.sort(rng.integers(0, 2, count)),
    )
    histogram = rng.uniform(0, 1, (count, 4, BINS))
    pixels = PixelMeasures(
        **{
            name: rng.uniform(0, 1, count).astype(np.float32)
            for name in ("detail", "sharpness", "motion_blur", "brightness", "hue", "black")
        },
        light=rng.uniform(-1, 1, (count, 2)).astype(np.float32),
        histogram=(histogram / histogram.sum(axis=2, keepdims=True)).astype(np.float32),
        thumbnail=rng.integers(0, 256, (count, THUMBNAIL, THUMBNAIL), np.uint8),
        reasons={},
    )
    to_face = np.repeat(np.eye(2, 3)[None], count, axis=0) / scale[:, None, None]
    names = [f"{frame:06d}_{row}.jpg" for row, frame in enumerate(faces.frame)]
    return SortFaces(faces, names, to_face, np.full(count, 512), pixels)


def taken(faces: SortFaces, rows: Any) -> SortFaces:
    """These rows of them, in this order."""
    pixels = faces.pixels
    assert pixels is not None
    columns = {
        each.name: getattr(pixels, each.name)[rows]
        for each in dataclasses.fields(pixels)
        if each.name != "reasons"
    }
    return dataclasses.replace(
        faces,
        faces=faces.faces[rows],
        names=[faces.names[row] for row in rows],
        face_from_frame=faces.face_from_frame[rows],
        sides=faces.sides[rows],
        pixels=PixelMeasures(**columns, reasons={}),
    )


def sort(name: str, faces: SortFaces, **settings: Any) -> Sorting:
    """Sort beside another side with 20 faces."""
    other = make_faces(20, seed=5)
    return sorters[name](**settings).build()(dataclasses.replace(faces, other=other))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("count", [0, 1, 2, 90])
def test_every_sorter_gives_each_face_one_place(name, count):
    found = sort(name, make_faces(count))
    assert sorters[name].value_told
    assert np.array_equal(np.sort(found.order), np.arange(count))
    assert found.value.shape == found.group.shape == found.chosen.shape == (count,)
    assert found.chosen.dtype == bool
    assert ((found.group >= -1) & (found.group < len(found.groups))).all()
    # A group is in one piece, the groups come as they are listed, and no two are called alike.
    ranks = np.where(found.group < 0, len(found.groups), found.group)[found.order]
    assert (np.diff(ranks) >= 0).all()
    assert len(set(found.groups)) == len(found.groups) and all(found.groups)


@pytest.mark.parametrize("name", ALL)
def test_every_sorter_is_the_same_each_time_and_keeps_equal_faces_as_they_come(name):
    faces = make_faces(40)
    first, second = sort(name, faces), sort(name, faces)
    assert np.array_equal(first.order, second.order)
    assert np.array_equal(first.chosen, second.chosen)
    same = taken(faces, [7] * 12)
    if name != "near-duplicates":
        assert sort(name, same).order.tolist() == list(range(12))


@pytest.mark.parametrize("name", ALL)
def test_every_sorter_puts_last_what_it_cannot_measure(name):
    faces = make_faces(40)
    assert faces.pixels is not None and faces.faces.identity is not None
    for column in (
        faces.faces.landmarks,
        faces.faces.raw,
        faces.faces.pose,
        faces.faces.score,
        faces.faces.identity,
        faces.face_from_frame,
        faces.pixels.detail,
        faces.pixels.sharpness,
        faces.pixels.motion_blur,
        faces.pixels.brightness,
        faces.pixels.hue,
        faces.pixels.black,
        faces.pixels.light,
    ):
        column[[3, 30]] = np.nan
    faces.pixels.histogram[[3, 30]] = 0
    faces.pixels.thumbnail[[3, 30]] = 0
    found = sort(name, faces)
    lacks = np.isnan(found.value)
    if lacks.any():
        assert lacks[[3, 30]].all() and lacks[found.order[-lacks.sum() :]].all()
        # Nobody can tell it of other people either.
        assert lacks.sum() == 2 or name == "mirrored"
    assert np.array_equal(np.sort(found.order), np.arange(40))
    assert sorted(sort(name, taken(faces, [3, 30])).order.tolist()) == [0, 1]


def test_one_face_a_frame_is_chosen():
    faces = make_faces(4)
    faces.faces.frame[:] = [0, 1, 1, 1]
    faces.faces.footage[:] = [0, 0, 0, 1]
    faces.faces.box[:] = [[0, 0, 9, 9], [0, 0, 5, 5], [0, 0, 8, 8], [0, 0, 2, 2]]
    found = sort("one-face", faces)
    assert [found.groups[each] for each in found.group] == [
        "alone in the frame",
        "others of the frame",
        "largest of several",
        "alone in the frame",
    ]
    assert found.chosen.tolist() == [True, False, True, True]
    assert sort("one-face", faces, keep="alone").chosen.tolist() == [True, False, False, True]
    assert sort("original", taken(faces, [3, 1, 2, 0])).order.tolist() == [3, 2, 1, 0]


def test_sizes_are_of_the_head_in_the_frame_and_enlargement_of_the_picture():
    faces = make_faces(60)
    size = np.ptp(faces.faces.landmarks[..., 0], axis=1)
    order = sort("source-size", faces).order
    assert np.corrcoef(np.argsort(order), size)[0, 1] < -0.9 and size[order[0]] > size.mean()
    found = sort("upscale", faces)
    assert (np.diff(found.value[found.order]) >= 0).all()
    assert found.groups[found.group[found.order[0]]] == "not enlarged"


def test_expressions_come_in_groups_whose_names_say_what_they_are():
    faces = make_faces(60)
    faces.faces.landmarks[:] = 2 * HEAD_MODEL[:, :2] + 300
    lower = [6, 7, 8, 9, 10, 56, 57, 58, 65, 66, 67]
    faces.faces.landmarks[20:30, lower, 1] += 40
    faces.faces.lids[:] = 0.24
    faces.faces.lids[40:45] = 0.05
    found = sort("expression", faces)
    members = {
        name: np.flatnonzero(found.group == number).tolist()
        for number, name in enumerate(found.groups)
    }
    assert found.groups[0] == "usual" and len(found.groups) == 3
    alike = make_faces(60)
    alike.faces.landmarks[:] = faces.faces.landmarks
    alike.faces.lids[:] = faces.faces.lids
    eyes = alike.faces.landmarks[0, 45, 0] - alike.faces.landmarks[0, 36, 0]
    alike.faces.landmarks[25:30, 17:27, 1] -= 0.02 * eyes
    alike.faces.lids[43:45] = 0.03
    names = sort("expression", alike).groups
    mouth = next(name for name in names if name.startswith("mouth open"))
    assert f"{mouth}, brows a little up" in names and "eyes shut, more so" in names
    opened = next(rows for name, rows in members.items() if name.startswith("mouth open"))
    assert opened == list(range(20, 30)) and members["eyes shut"] == list(range(40, 45))
    eyes, mouth = sort("eyes-open", faces), sort("mouth-open", faces)
    assert sorted(eyes.order[-5:].tolist()) == list(range(40, 45))
    assert eyes.groups[eyes.group[40]] == "eyes shut"
    assert sorted(mouth.order[:10].tolist()) == list(range(20, 30))


def test_the_oddest_shape_comes_first_as_all_pairs_have_it():
    faces = make_faces(50)
    found = sort("face-dissim", faces)
    shape = FaceTraits.of(faces.faces).shape.astype(np.float64)
    pairs = np.abs(shape[:, None] - shape).sum(axis=(2, 3)).sum(axis=1) / 49
    assert found.order.tolist() == np.argsort(-pairs, kind="stable").tolist()
    np.testing.assert_allclose(found.value, pairs)


def test_the_main_person_comes_first_whoever_else_there_is():
    faces = make_faces(90)
    rng = np.random.default_rng(4)
    people = rng.standard_normal((3, 128)) / 11
    who = rng.permutation([0] * 40 + [1] * 30 + [2] * 20)
    near_main = people[0] + 0.2 * people[1]
    vectors = np.where(who[:, None] == 2, people[2], people[who])
    faces = dataclasses.replace(
        faces,
        faces=dataclasses.replace(
            faces.faces, identity=(vectors + rng.normal(0, 0.012, (90, 128))).astype(np.float32)
        ),
    )
    assert faces.faces.identity is not None
    faces.faces.identity[who.tolist().index(0)] = near_main
    found = sort("identity", faces)
    assert found.groups == ("main person", "person 2", "person 3", "like nobody")
    assert np.array_equal(found.group, who) and np.array_equal(found.chosen, who == 0)
    assert set(who[found.order[:40]].tolist()) == {0}
    assert found.order[39] == who.tolist().index(0)  # the least like the others of the person
    nobody = dataclasses.replace(faces, faces=dataclasses.replace(faces.faces, identity=None))
    with pytest.raises(BadProject, match="dlib"):
        sort("identity", nobody)


def test_poses_that_the_other_side_has_come_first_and_are_chosen():
    faces, other = make_faces(200), make_faces(3)
    other.faces.pose[:, :2] = np.radians([[0, 0], [0, 30], [10, 0]])
    found = sorters["match"](within=5).build()(dataclasses.replace(faces, other=other))
    far = np.degrees(
        np.linalg.norm(faces.faces.pose[:, None, :2] - other.faces.pose[:, :2], axis=-1)
    )
    assert np.abs(found.value - far.min(axis=1)).max() < 0.5
    assert (np.diff(found.value[found.order]) >= 0).all()
    assert np.array_equal(found.chosen, found.value <= 5)
    mirrored = sorters["match"](within=5, mirror=True).build()(
        dataclasses.replace(faces, other=other)
    )
    assert mirrored.chosen.sum() > found.chosen.sum()
    with pytest.raises(BadProject, match="extract SHOW"):
        sorters["match"]().build()(faces)
