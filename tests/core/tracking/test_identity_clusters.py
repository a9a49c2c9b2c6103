"""Tracks of one person are found together, those of two never, and a photograph finds its
person.
"""

from __future__ import annotations

import numpy as np
import pytest

from understudy.core.tracking import identity_clusters
from understudy.core.tracking.link import IdentitySamples
from understudy.types import Floats


def someone(number: int, count: int, spread: float = 0.02, seed: int = 0) -> Floats:
    """Samples of one person's identity: 0.8 from anybody else's, and about 0.27 from each other."""
    rng = np.random.default_rng([seed, number])
    return (np.eye(128)[number] * 0.57 + rng.normal(0, spread * 0.85, (count, 128))).astype(
        np.float32
    )


def test_tracks_are_gathered_and_the_most_seen_person_is_number_0() -> None:
    track = np.repeat([0, 1, 2, 3], [10, 20, 15, 5])
    seen = IdentitySamples(
        np.array([0, 5, 10, 15, 30, 35]),
        np.concatenate([someone(0, 2), someone(1, 2), someone(0, 2, seed=1)]),
    )
    person = identity_clusters.cluster_identities(track, np.arange(50), seen)
    assert person.tolist() == [0] * 10 + [1] * 20 + [0] * 15 + [-1] * 5


def test_two_faces_in_one_frame_are_two_people_however_alike() -> None:
    track = np.repeat([0, 1, 2], 10)
    frame = np.concatenate([np.arange(10), np.arange(10), np.arange(20, 30)])
    seen = IdentitySamples(np.arange(30), np.repeat(someone(0, 1), 30, axis=0))
    person = identity_clusters.cluster_identities(track, frame, seen)
    assert person[0] != person[10]
    assert person[20] in (person[0], person[10])


def test_a_group_takes_in_nobody_whom_one_of_its_tracks_has_met() -> None:
    # 0 and 1 are surely one; 2 lies nearer to 0 than the threshold, but stands beside 1.
    track = np.array([0, 1, 2])
    apart = np.array([[0, 0], [0.05, 0], [0.2, 0]], np.float32)
    assert identity_clusters.cluster_identities(
        track, np.array([0, 5, 5]), IdentitySamples(np.arange(3), apart)
    ).tolist() == [0, 0, 1]


def test_what_is_on_no_track_is_nobody() -> None:
    person = identity_clusters.cluster_identities(
        np.array([-1, 0]), np.zeros(2, np.int64), IdentitySamples(np.array([0, 1]), someone(0, 2))
    )
    assert person.tolist() == [-1, 0]
    assert identity_clusters.cluster_identities(
        np.array([0, 0]), np.arange(2), IdentitySamples.empty()
    ).tolist() == [
        -1,
        -1,
    ]


@pytest.mark.parametrize("count", [1, 40])
def test_many_people_stay_apart(count: int) -> None:
    track = np.repeat(np.arange(2 * count), 3)
    vectors = np.concatenate(
        [someone(number % count, 3, seed=number) for number in range(2 * count)]
    )
    person = identity_clusters.cluster_identities(
        track, np.arange(len(track)), IdentitySamples(np.arange(len(track)), vectors)
    )
    assert len(np.unique(person)) == count
    assert (person[: 3 * count] == person[3 * count :]).all()


def test_a_photograph_finds_its_person_or_nobody() -> None:
    person = np.array([0, 0, 1, 1, -1])
    vectors = np.concatenate([someone(3, 2), someone(4, 2), someone(5, 1)])
    assert (
        identity_clusters.match_identity(person, vectors, someone(4, 1, spread=0.03, seed=9)[0])
        == 1
    )
    assert identity_clusters.match_identity(person, vectors, someone(7, 1)[0]) is None
    assert identity_clusters.match_identity(person[:0], vectors[:0], someone(4, 1)[0]) is None
