import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from landmark_tools import mirror_landmarks

from understudy.core import affine
from understudy.core.face import align
from understudy.core.face.landmarks import MIRROR
from understudy.core.face.pose import HEAD_MODEL
from understudy.errors import DegeneratePoints
from understudy.types import AlignedFace, Face, FaceType

FRAME = (640, 360)
TYPES = get_args(FaceType)
ALIGNED = ("half", "mid-full", "full", "whole", "head")
CONTAINED = [(wide, narrow) for wide in TYPES for narrow in TYPES if align.contains(wide, narrow)]


def turned_head(pitch, yaw, roll, scale=1.0, x=300.0, y=170.0, noise=0.0, seed=0):
    """The 68 points of a rigid head, seen from far away; angles in radians."""
    nod = np.array(
        [[1, 0, 0], [0, math.cos(pitch), -math.sin(pitch)], [0, math.sin(pitch), math.cos(pitch)]]
    )
    shake = np.array(
        [[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]]
    )
    flat = (HEAD_MODEL @ shake.T @ nod.T)[:, :2] + np.random.default_rng(seed).normal(
        0, noise + 1e-9, (68, 2)
    )
    return affine.apply(
        affine.invert(affine.square_crop((0, 0), 1 / scale, roll, 1)), flat
    ) + np.array([x, y])


def stored(points, face_type, size=256):
    face = Face(0, affine.bounding_box(points), points, 1.0, -1, np.zeros(3, np.float32))
    return AlignedFace(
        face,
        np.zeros((size, size, 3), np.uint8),
        align.face_from_frame(points, face_type, size, FRAME),
        face_type,
    )


angles = st.floats(-1.3, 1.3)
heads = st.builds(
    turned_head,
    angles,
    angles,
    st.floats(-3, 3),
    st.floats(0.2, 4),
    noise=st.floats(0, 4),
    seed=st.integers(0, 99),
)
similarities = st.builds(
    lambda angle, scale, x, y: affine.invert(affine.square_crop((x, y), 1 / scale, angle, 1)),
    st.floats(-3, 3),
    st.floats(0.1, 8),
    st.floats(-500, 500),
    st.floats(-500, 500),
)


def face(shift=(0.0, 0.0), scale=200.0):
    points = np.zeros((68, 2))
    points[17:] = align.TEMPLATE * scale + shift
    return points.astype(np.float32)


@pytest.mark.parametrize(
    ("face_type", "side"), [("half", 1.0), ("mid-full", 1.19092), ("full", 1.59662)]
)
def test_a_face_type_shows_its_share_of_the_head(face_type, side):
    frame_from_face = affine.invert(align.face_from_frame(face((300, 100)), face_type, 256))
    corners = affine.apply(frame_from_face, affine.corners((256, 256)))
    middle = np.array([400, 200])
    assert np.allclose(corners[0], middle - 100 * side, atol=2e-3)
    assert np.allclose(corners[2], middle + 100 * side, atol=2e-3)


def test_the_average_face_lands_on_the_template():
    landed = affine.apply(align.face_from_frame(face((7.3, 9.1)), "full", 128), face((7.3, 9.1)))[
        17:
    ]
    assert np.allclose(landed, align.template_points("full", 128), atol=1e-3)


def test_a_tenth_of_a_pixel_in_the_frame_is_a_tenth_in_the_crop():
    still = affine.invert(align.face_from_frame(face((50, 50)), "half", 200))
    moved = affine.invert(align.face_from_frame(face((50.1, 50)), "half", 200))
    assert np.allclose((moved - still)[:, 2], (0.1, 0), atol=1e-4)


def test_a_talking_chin_does_not_move_the_crop():
    talking = face()
    talking[0:17] += 30
    talking[[*range(49, 54), *range(55, 68)]] += 30
    assert np.array_equal(
        align.face_from_frame(talking, "full", 256), align.face_from_frame(face(), "full", 256)
    )


def reach(points, face_type):
    """The corners of a face picture, in the frame."""
    return affine.apply(
        affine.invert(align.face_from_frame(points, face_type, 64, FRAME)), affine.corners((64, 64))
    )


@given(heads, similarities, st.sampled_from(ALIGNED))
def test_a_face_that_is_moved_turned_and_scaled_gives_the_same_picture(points, moved, face_type):
    there = align.face_from_frame(affine.apply(moved, points), face_type, 128)
    assert np.allclose(
        affine.compose(there, moved), align.face_from_frame(points, face_type, 128), atol=1e-5
    )


@given(heads)
def test_a_type_that_contains_another_shows_all_of_it_however_the_head_is_held(points):
    for wide, narrow in CONTAINED:
        seen = reach(points, narrow)
        if wide == "mark-only":
            # It shows the frame, and beyond that there is nothing to show.
            seen = np.clip(seen, -0.5, np.array(FRAME) - 0.5)
        within = affine.apply(align.face_from_frame(points, wide, 64, FRAME), seen)
        assert within.min() > -0.5 - 1e-4 and within.max() < 63.5 + 1e-4, (wide, narrow)


def test_what_contains_what():
    for place, name in enumerate(ALIGNED):
        assert [align.contains(name, other) for other in ALIGNED] == [
            other <= place for other in range(5)
        ]
        assert align.contains("mark-only", name) and not align.contains(name, "mark-only")
        assert not align.contains(name, "no-align")
    assert align.contains("no-align", "half") and not align.contains("no-align", "mid-full")


@given(heads, st.sampled_from(CONTAINED))
def test_a_stored_face_can_be_cut_down_to_another_type(points, pair):
    wide, narrow = pair
    face = stored(points, wide)
    again = affine.compose(align.face_from_face(face, narrow, 96), face.face_from_frame)
    assert np.allclose(again, align.face_from_frame(points, narrow, 96, FRAME), atol=1e-6)


def test_whole_shows_more_of_the_forehead_and_head_all_of_the_hair():
    top = {name: reach(turned_head(0, 0, 0), name)[0, 1] for name in ALIGNED}
    side = 1 / affine.scale_of(align.face_from_frame(turned_head(0, 0, 0), "half", 1))
    assert (top["full"] - top["whole"]) / side == pytest.approx(
        (2.131 - 1.597) / 2 + 0.07, abs=1e-2
    )
    assert (top["full"] - top["head"]) / side == pytest.approx(
        (2.980 - 1.597) / 2 + 0.494, abs=1e-2
    )


@pytest.mark.parametrize("yaw", [-0.8, 0.8])
def test_a_turned_head_is_shown_with_its_back(yaw):
    points = turned_head(0, yaw, 0)
    to_the_back = reach(points, "head").mean(0)[0] - reach(points, "full").mean(0)[0]
    nose = points[30, 0] - points[[0, 16], 0].mean()
    assert np.sign(to_the_back) == -np.sign(nose) and abs(to_the_back) > 20
    ahead = turned_head(0, 0.02, 0)
    assert abs(reach(ahead, "head").mean(0)[0] - reach(ahead, "full").mean(0)[0]) < 1


@given(heads)
def test_no_align_is_upright_as_large_as_full_and_around_its_middle(points):
    upright, full = reach(points, "no-align"), reach(points, "full")
    assert (
        np.allclose(upright[0, 1], upright[1, 1])
        and upright[0, 0] < upright[1, 0]
        and upright[0, 1] < upright[3, 1]
    )
    assert np.allclose(upright.mean(0), full.mean(0), atol=1e-6)
    assert upright[1, 0] - upright[0, 0] == pytest.approx(np.linalg.norm(full[1] - full[0]))


def test_mark_only_is_the_whole_frame_between_bars():
    corners = affine.apply(
        align.face_from_frame(np.zeros((68, 2), np.float32), "mark-only", 128, FRAME),
        affine.corners(FRAME),
    )
    assert np.allclose(corners[0], (-0.5, 63.5 - 36)) and np.allclose(
        corners[2], (127.5, 63.5 + 36)
    )


@pytest.mark.parametrize("bad", [np.zeros((68, 2)), np.full((68, 2), np.inf), np.zeros((5, 2))])
def test_landmarks_without_an_alignment_are_refused(bad):
    with pytest.raises(DegeneratePoints):
        align.face_from_frame(bad, "full", 256)


def test_mirroring_twice_changes_nothing():
    points = np.random.default_rng(3).uniform(0, 100, (68, 2)).astype(np.float32)
    assert np.array_equal(MIRROR[MIRROR], np.arange(68))
    assert np.allclose(mirror_landmarks(mirror_landmarks(points, 640), 640), points, atol=1e-4)
