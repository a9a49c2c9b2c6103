"""What a face does is measured the same from every side, and mirrored in a mirror."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from understudy.core.face.landmarks import MIRROR
from understudy.core.face.pose import HEAD_MODEL
from understudy.core.face.traits import FaceTraits
from understudy.types import Doubles, Face, Faces

_LOWER_LIP_AND_CHIN = [6, 7, 8, 9, 10, 56, 57, 58, 65, 66, 67]
_POSES = [(0, 0), (0, 0.5), (0, -1.1), (0.35, 0.3), (-0.4, -0.6), (0.3, 1.0)]


def _seen(head: Doubles, pitch: float, yaw: float, roll: float = 0.3) -> Doubles:
    """(68, 2): the head before a camera at some distance."""
    turns = [cv2.Rodrigues(np.eye(3)[axis] * angle)[0] for axis, angle in enumerate((pitch, yaw))]
    in_plane = cv2.Rodrigues(np.array([0, 0, roll]))[0]
    points = head @ (in_plane @ turns[1] @ turns[0]).T
    return np.asarray(points[:, :2] * (1000 / (points[:, 2:] + 900)) + 300)


def _shut(head: Doubles) -> Doubles:
    moved = head.copy()
    moved[[37, 38, 43, 44]] = moved[[41, 40, 47, 46]]
    return moved


def _shout(head: Doubles) -> Doubles:
    moved = head.copy()
    moved[_LOWER_LIP_AND_CHIN, 1] += 25
    return moved


def _raise_brows(head: Doubles) -> Doubles:
    moved = head.copy()
    moved[17:27, 1] -= 10
    return moved


def _purse(head: Doubles) -> Doubles:
    moved = head.copy()
    moved[48:68, 0] *= 0.6
    return moved


@pytest.mark.parametrize(
    ("move", "name"),
    [
        (_shut, "eyes_open"),
        (_shout, "mouth_open"),
        (_raise_brows, "brow"),
        (_purse, "mouth_wide"),
    ],
)
def test_what_a_face_does_is_measured_the_same_from_every_side(move, name) -> None:  # type: ignore[no-untyped-def]
    still = FaceTraits.of(np.stack([_seen(HEAD_MODEL, *pose) for pose in _POSES]))
    moved = FaceTraits.of(np.stack([_seen(move(HEAD_MODEL), *pose) for pose in _POSES]))
    before, after = getattr(still, name), getattr(moved, name)
    change = abs(float(after.mean() - before.mean()))
    assert change > 0.3
    # Turning the head changes far less than the movement does, and nothing else seems to move.
    assert np.ptp(before) < change / 3 and np.ptp(after) < change / 3
    others = {"eyes_open", "mouth_open", "brow", "mouth_wide"} - {name}
    for other in others:
        np.testing.assert_allclose(getattr(moved, other), getattr(still, other), atol=0.05)
    # So faces with one expression are closer to each other than to those with the other.
    apart = np.linalg.norm(moved.expression[:, None] - still.expression, axis=-1).min()
    within = np.linalg.norm(moved.expression[:, None] - moved.expression, axis=-1).max()
    assert within < apart


def test_a_mirrored_face_does_the_same_mirrored() -> None:
    rng = np.random.default_rng(0)
    points = np.stack([_seen(HEAD_MODEL, *pose) for pose in _POSES]) + rng.normal(0, 3, (6, 68, 2))
    found = FaceTraits.of(points[:, MIRROR] * (-1, 1) + (640, 0))
    expected = FaceTraits.of(points).mirrored()
    for name in ("eyes", "eyes_open", "mouth_open", "mouth_wide", "brow", "expression", "shape"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-5)


def test_lids_that_were_measured_go_before_the_points() -> None:
    face = Face(
        0,
        np.zeros(4, np.float32),
        _seen(HEAD_MODEL, 0, 0).astype(np.float32),
        1,
        0,
        np.zeros(3, np.float32),
    )
    shut = replace(face, lids=np.array([0.07, 0.26], np.float32))
    unmeasured, measured = FaceTraits.of(Faces.of([face, shut])).eyes
    assert unmeasured.min() > 0.6
    assert measured[0] < 0.1 and measured[1] > 1


def test_points_that_fit_no_head_have_no_traits() -> None:
    points = np.stack([_seen(HEAD_MODEL, 0, 0), np.full((68, 2), 7.0), np.full((68, 2), np.nan)])
    found = FaceTraits.of(points)
    assert np.isnan(found.eyes_open).tolist() == [False, True, True]
    assert np.isnan(found.expression[1:]).all()
    assert len(FaceTraits.of(points[:0])) == 0
