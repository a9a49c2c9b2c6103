"""Takes that are mirrored against the others are told by what makes a face uneven."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.core.face.mirrored import TOLD, compare_evenness, takes_to_compare
from understudy.types import Bytes, Faces, Floats

TAKES, EACH = 6, 12


def face(seed: int) -> Bytes:
    """A picture of somebody, mostly even, with features of their own left and right."""
    rng = np.random.default_rng(seed)
    fine = cv2.GaussianBlur(rng.uniform(-1, 1, (16, 16)), (0, 0), 0.8)
    own = cv2.GaussianBlur(rng.uniform(-1, 1, (16, 16)), (0, 0), 0.8)
    return 120 + 120 * (fine + fine[:, ::-1]) + 120 * own


def takes(people: list[int], mirrored: set[int]) -> tuple[Bytes, Floats, NDArray[np.int64]]:
    """So many faces a take, each take lit from another side, and some of them mirrored."""
    rng, pictures = np.random.default_rng(3), []
    for number, person in enumerate(people):
        light = 1 + 0.4 * rng.uniform(-1, 1) * np.linspace(-1, 1, 16)
        for _ in range(EACH):
            picture = face(person) * light + rng.normal(0, 6, (16, 16))
            pictures.append(picture[:, ::-1] if number in mirrored else picture)
    shown = np.clip(np.array(pictures), 1, 255).astype(np.uint8)
    yaw = rng.uniform(-0.15, 0.15, len(shown)).astype(np.float32)
    return shown, yaw, np.repeat(np.arange(len(people)), EACH)


def test_a_mirrored_take_is_told_from_the_others_in_any_light() -> None:
    pictures, yaw, take = takes([1] * TAKES, {2, 5})
    value = compare_evenness(pictures, yaw, take)
    assert np.array_equal(value < -TOLD, np.isin(take, [2, 5]))
    assert np.array_equal(value > TOLD, ~np.isin(take, [2, 5]))
    # Of two, the smaller one is.
    rows = np.isin(take, [2, 3]) & (np.arange(len(take)) > 2 * EACH + 2)
    value = compare_evenness(pictures[rows], yaw[rows], take[rows])
    assert np.array_equal(value < -TOLD, take[rows] == 2)


def test_nothing_is_told_of_other_people_single_faces_and_profiles() -> None:
    pictures, yaw, take = takes([1, 1, 1, 2], {3})
    assert (np.abs(compare_evenness(pictures, yaw, take)[take == 3]) < TOLD).all()
    assert np.isnan(compare_evenness(pictures, yaw, np.arange(len(take)))).all()
    assert np.isnan(compare_evenness(pictures, yaw + 1, take)).all()
    assert np.isnan(compare_evenness(pictures, yaw, np.full(len(take), -1))).all()
    assert np.isnan(compare_evenness(pictures, yaw, np.zeros(len(take), np.int64))).all()
    assert len(compare_evenness(pictures[:0], yaw[:0], take[:0])) == 0


def test_other_people_are_not_compared_where_it_is_known_who_they_are() -> None:
    take = np.repeat(np.arange(4), EACH)
    points = np.zeros((len(take), 68, 2), np.float32)
    faces = Faces(
        frame=np.arange(len(take)),
        box=points[:, :2].reshape(-1, 4),
        landmarks=points,
        score=points[:, 0, 0],
        track=take,
        pose=points[:, :3, 0],
        identity=np.eye(128, dtype=np.float32)[np.where(take == 3, 1, 0)],
        person=np.zeros(len(take), np.int64),
        filled=np.zeros(len(take), bool),
        raw=points,
    )
    assert np.array_equal(takes_to_compare(faces), np.where(take == 3, -1, take))
    assert np.array_equal(takes_to_compare(replace(faces, identity=None)), take)
