import numpy as np
import pytest

from understudy.core import align, geometry
from understudy.core.landmarks import MIRROR, mirrored
from understudy.errors import DegeneratePoints


def face(shift=(0.0, 0.0), scale=200.0):
    points = np.zeros((68, 2))
    points[17:] = align.TEMPLATE * scale + shift
    return points.astype(np.float32)


@pytest.mark.parametrize(("face_type", "side"), [("half", 1.0), ("mid-full", 1.19092), ("full", 1.59662)])
def test_a_face_type_shows_its_share_of_the_head(face_type, side):
    frame_from_face = geometry.invert(align.face_from_frame(face((300, 100)), face_type, 256))
    corners = geometry.apply(frame_from_face, geometry.corners((256, 256)))
    middle = np.array([400, 200])
    assert np.allclose(corners[0], middle - 100 * side, atol=2e-3)
    assert np.allclose(corners[2], middle + 100 * side, atol=2e-3)


def test_the_average_face_lands_on_the_template():
    landed = geometry.apply(align.face_from_frame(face((7.3, 9.1)), "full", 128), face((7.3, 9.1)))[17:]
    assert np.allclose(landed, align.template("full", 128), atol=1e-3)


def test_a_tenth_of_a_pixel_in_the_frame_is_a_tenth_in_the_crop():
    still = geometry.invert(align.face_from_frame(face((50, 50)), "half", 200))
    moved = geometry.invert(align.face_from_frame(face((50.1, 50)), "half", 200))
    assert np.allclose((moved - still)[:, 2], (0.1, 0), atol=1e-4)


def test_a_talking_chin_does_not_move_the_crop():
    talking = face()
    talking[0:17] += 30
    talking[[*range(49, 54), *range(55, 68)]] += 30
    assert np.array_equal(align.face_from_frame(talking, "full", 256), align.face_from_frame(face(), "full", 256))


def test_a_wider_type_contains_a_narrower_one():
    assert align.contains("full", "half") and align.contains("half", "half")
    assert not align.contains("mid-full", "full")


def test_a_stored_face_can_be_cut_down_to_another_type():
    full, half = align.face_from_frame(face((20, 30)), "full", 256), align.face_from_frame(face((20, 30)), "half", 96)
    assert np.allclose(geometry.compose(align.face_from_face("full", 256, "half", 96), full), half, atol=1e-6)


@pytest.mark.parametrize("bad", [np.zeros((68, 2)), np.full((68, 2), np.inf), np.zeros((5, 2))])
def test_landmarks_without_an_alignment_are_refused(bad):
    with pytest.raises(DegeneratePoints):
        align.face_from_frame(bad, "full", 256)


def test_mirroring_twice_changes_nothing():
    points = np.random.default_rng(3).uniform(0, 100, (68, 2)).astype(np.float32)
    assert np.array_equal(MIRROR[MIRROR], np.arange(68))
    assert np.allclose(mirrored(mirrored(points, 640), 640), points, atol=1e-4)
