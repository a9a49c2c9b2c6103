"""Faces keep their track through crossings, gaps and doubles, and never over a cut."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from synthetic_crossing import Crossing, crossing

from understudy.core.face.pose import HEAD_MODEL
from understudy.core.tracking import identity_clusters, link
from understudy.core.tracking.link import Gap, IdentitySamples
from understudy.io.weights import fetch
from understudy.stages.demo import load_portrait
from understudy.types import Face, Faces, Floats

FPS = 25.0
Rows = NDArray[np.int64]
Placed = tuple[int, float, float]  # frame, x, y of a face 100 pixels wide


@pytest.fixture(scope="module")
def scene() -> list[Crossing]:
    return list(crossing(load_portrait(), frames=30, fps=15))


def table(
    landmarks: Sequence[Floats], frames: Sequence[int], scores: Sequence[float] | None = None
) -> Faces:
    sure = scores if scores is not None else [1.0] * len(frames)
    rows = zip(frames, landmarks, sure, strict=True)
    return Faces.of(
        [
            Face(at, np.r_[p.min(0), p.max(0)], p, score, -1, np.zeros(3, np.float32))
            for at, p, score in rows
        ]
    )


def placed(*faces: Placed, scores: Sequence[float] | None = None) -> Faces:
    shape = (HEAD_MODEL[:, :2] * 0.68).astype(np.float32)
    return table(
        [shape + np.float32([x, y]) for _, x, y in faces], [frame for frame, _, _ in faces], scores
    )


def tracked(faces: Faces, seen: IdentitySamples | None = None, cut: int | None = None) -> Rows:
    shot = np.arange(1 + max(faces.frame)) >= (len(faces.frame) + 99 if cut is None else cut)
    return link.link_tracks(faces, shot.astype(np.int64), FPS, seen or IdentitySamples.empty())


def told_apart(who: Rows, rows: Rows) -> IdentitySamples:
    """Identities as far apart as those of real people."""
    return IdentitySamples(rows, (0.6 * np.eye(max(who) + 1)[who[rows]]).astype(np.float32))


def visible(scene: list[Crossing], most: float) -> tuple[Faces, Rows]:
    """The true points of whoever is not hidden by more than that, and the true person of each."""
    rows = [
        (at, each.landmarks[who], who)
        for at, each in enumerate(scene)
        for who in (0, 1)
        if each.hidden[who] <= most
    ]
    return table([points for _, points, _ in rows], [at for at, _, _ in rows]), np.array(
        [who for *_, who in rows]
    )


def test_two_people_who_cross_keep_their_tracks_by_movement_alone(scene: list[Crossing]) -> None:
    faces, who = visible(scene, most=0.3)
    assert (
        link.link_tracks(faces, np.zeros(30, np.int64), 15.0, IdentitySamples.empty()).tolist()
        == who.tolist()
    )


def test_two_people_who_swap_places_unseen_keep_their_tracks_by_identity() -> None:
    def at(frame: int, x: float) -> Placed:
        return (frame, x if frame < 15 else 400.0 - x, 100.0)

    faces = placed(
        *[at(frame, x) for x in (150.0, 250.0) for frame in range(30) if not 10 <= frame < 20]
    )
    who = np.repeat([0, 1], 20)
    assert tracked(faces).tolist() != who.tolist(), "by place alone both have stayed"
    assert tracked(faces, told_apart(who, np.arange(0, 40, 3))).tolist() == who.tolist()


def test_a_crossing_in_doubt_is_not_guessed_when_identities_exist() -> None:
    both = [(at, 100.0 + 10 * at, 100.0) for at in range(30)] + [
        (at, 390.0 - 10 * at, 100.0) for at in range(30)
    ]
    faces = placed(*[face for face in both if not 8 <= face[0] < 22])
    who = (np.arange(len(faces)) >= len(faces) // 2).astype(np.int64)
    track = tracked(faces, IdentitySamples(np.array([0]), np.ones((1, 4), np.float32)))
    assert len(np.unique(track)) == 4
    for each in np.unique(track):
        assert len(np.unique(who[track == each])) == 1


def test_two_people_in_one_place_are_told_apart_where_one_follows_the_other() -> None:
    # As in a dissolve: the points hardly move, the face becomes another.
    faces = placed(*[(at, 100.0 + 4 * (at >= 13), 100.0) for at in range(26)])
    who = (np.arange(26) >= 13).astype(np.int64)
    assert tracked(faces, told_apart(who, np.arange(0, 26, 2))).tolist() == who.tolist()


@pytest.mark.parametrize(("seconds", "count"), [(0.2, 1), (0.8, 1), (1.5, 2)])
def test_a_face_may_be_hidden_for_up_to_a_second(seconds: float, count: int) -> None:
    hidden = round(seconds * FPS)
    faces = placed(*[(at, 50.0 + 3 * at, 90.0) for at in range(80) if not 30 <= at < 30 + hidden])
    assert len(np.unique(tracked(faces))) == count


def test_who_is_hidden_for_longer_is_the_same_person_on_another_track() -> None:
    faces = placed(*[(at, 50.0, 90.0) for at in range(100) if not 30 <= at < 70])
    seen = told_apart(np.zeros(len(faces), np.int64), np.array([0, 40]))
    track = tracked(faces, seen)
    assert len(np.unique(track)) == 2 and set(
        identity_clusters.cluster_identities(track, faces.frame, seen)
    ) == {0}


def test_no_track_goes_on_over_a_cut() -> None:
    faces = placed(*[(at, 100.0, 100.0) for at in range(20)])
    assert tracked(faces, cut=12).tolist() == [0] * 12 + [1] * 8


def test_a_face_that_was_found_twice_makes_one_track() -> None:
    twice = [
        face for at in range(20) for face in ((at, 100.0 + at, 100.0), (at, 104.0 + at, 103.0))
    ]
    track = tracked(placed(*twice, scores=[0.9, 0.8] * 20))
    assert track.tolist() == [0, -1] * 20


def test_faces_that_flicker_or_were_looked_for_in_every_third_frame_stay_together() -> None:
    rng = np.random.default_rng(0)
    found = [
        (at, 100.0 + 300 * who, 100.0) for at in range(100) for who in (0, 1) if rng.random() < 0.5
    ]
    track = tracked(placed(*found))
    assert {(int(each), x) for each, (_, x, _) in zip(track, found, strict=True)} in (
        {(0, 100), (1, 400)},
        {(1, 100), (0, 400)},
    )
    assert set(tracked(placed(*[(at, 100.0 + 2 * at, 100.0) for at in range(0, 90, 3)]))) == {0}


def test_a_fast_face_is_followed() -> None:
    assert set(tracked(placed(*[(at, 60.0 * at, 100.0) for at in range(20)]))) == {0}


def test_the_order_of_rows_does_not_matter(scene: list[Crossing]) -> None:
    faces, _ = visible(scene, most=0.5)
    mixed = np.random.default_rng(1).permutation(len(faces))
    shot = np.zeros(30, np.int64)
    straight, shuffled = (
        link.link_tracks(each, shot, 15.0, IdentitySamples.empty())
        for each in (faces, faces[mixed])
    )
    assert shuffled.tolist() == straight[mixed].tolist()


def test_no_faces_no_tracks() -> None:
    assert link.link_tracks(
        Faces.empty(), np.zeros(5, np.int64), FPS, IdentitySamples.empty()
    ).shape == (0,)


def test_gaps_are_listed_up_to_a_length() -> None:
    faces = placed(
        *[(at, 100.0, 100.0) for at in (0, 1, 3, 4, 9, 10)], *[(at, 500.0, 100.0) for at in (0, 5)]
    )
    track = np.array([0] * 6 + [-1] * 2)
    assert link.find_gaps(faces, track, most=4) == [Gap(0, 1, 2), Gap(0, 3, 4)]
    assert link.find_gaps(faces, track, most=3) == [Gap(0, 1, 2)]


def test_a_long_film_takes_seconds() -> None:
    frames = np.repeat(np.arange(10_000), 2)
    side = np.tile([0, 300], 10_000)
    points = (HEAD_MODEL[None, :, :2] * 0.68 + np.stack([side, side], 1)[:, None]).astype(
        np.float32
    )
    faces = table(points, frames.tolist())[np.random.default_rng(0).random(20_000) < 0.95]
    began = time.process_time()
    track = tracked(
        faces,
        IdentitySamples(
            np.arange(0, len(faces), 25), np.zeros((len(range(0, len(faces), 25)), 4), np.float32)
        ),
    )
    assert len(np.unique(track)) == 2 and time.process_time() - began < 4, (
        "0.5 s alone on the machine"
    )


@pytest.mark.skipif(
    importlib.util.find_spec("dlib") is None, reason="the extra 'dlib' is not installed"
)
def test_two_people_who_cross_keep_their_tracks_as_found_and_recognised(
    scene: list[Crossing],
) -> None:
    from understudy.parts.detectors.blazeface import BlazeFace
    from understudy.parts.identities.dlib_resnet import DlibResnet
    from understudy.parts.landmarkers.facemesh import FaceMesh

    if missing := [
        name
        for name in ("blazeface-full", "facemesh", "dlib-resnet")
        if fetch.weight_status(name) == "missing"
    ]:
        pytest.skip(f"weights not on this machine: {missing}")
    detect, locate, embed = (
        BlazeFace(rotations="none").build(),
        FaceMesh(passes=2, crops=1).build(),
        DlibResnet().build(),
    )
    rows, who, sampled, vectors = [], [], [], []
    for at, each in enumerate(scene):
        for detection in detect(each.image):
            if (found := locate(each.image, detection)) is None:
                continue
            if at % 6 == 0:
                sampled.append(len(rows))
                vectors.append(embed(each.image, found.landmarks))
            who.append(
                int(np.linalg.norm(each.landmarks - found.landmarks, axis=-1).mean(axis=1).argmin())
            )
            rows.append(
                Face(at, detection.box, found.landmarks, found.score, -1, np.zeros(3, np.float32))
            )
    faces, seen = Faces.of(rows), IdentitySamples(np.array(sampled), np.stack(vectors))
    track = link.link_tracks(faces, np.zeros(30, np.int64), 15.0, seen)
    person = identity_clusters.cluster_identities(track, faces.frame, seen)
    for each in (0, 1):
        mine = np.array(who) == each
        assert mine.sum() > 20
        assert len(np.unique(track[mine])) == 1 and len(np.unique(person[mine])) == 1
    assert len(np.unique(track)) == 2 and set(person) == {0, 1}
