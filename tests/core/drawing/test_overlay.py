"""The overlay shows what was found, on small frames and on large ones."""

from dataclasses import replace

import numpy as np
import pytest

from understudy.core import affine
from understudy.core.drawing.overlay import draw_overlay, track_color
from understudy.core.face import align
from understudy.core.synthetic.clip import PORTRAIT_LANDMARKS
from understudy.types import Face, Faces

FACE = PORTRAIT_LANDMARKS[:68].astype(np.float32)
FACE = (FACE - FACE.mean(axis=0)) / np.ptp(FACE[:, 0]) * 100 + 200


def face(track: int = 0, filled: bool = False, points: np.ndarray = FACE) -> Face:
    box = np.concatenate([points.min(0) - 10, points.max(0) + 10])
    return Face(0, box, points, 0.87, track, np.zeros(3, np.float32), person=1, filled=filled)


def grey(height: int = 480, width: int = 640) -> np.ndarray:
    return np.full((height, width, 3), 120, np.uint8)


def drawn(faces: list[Face], picture: np.ndarray, size: int = 0) -> np.ndarray:
    maps = (
        np.stack([align.face_from_frame(each.landmarks, "full", size) for each in faces])
        if size
        else None
    )
    return draw_overlay(picture, Faces.of(faces), maps, size)


def test_without_faces_the_frame_stays_and_is_a_copy():
    plate = grey()
    result = draw_overlay(plate, Faces.empty())
    assert np.array_equal(result, plate) and result is not plate


def test_every_landmark_is_bright_and_the_plate_is_left_alone():
    plate = grey()
    result = drawn([face()], plate)
    assert plate.max() == 120
    assert all(result[round(y), round(x)].min() > 180 for x, y in FACE)


def test_the_outline_of_the_face_picture_has_its_mark_at_the_top():
    plain, outlined = drawn([face()], grey()), drawn([face()], grey(), 256)
    frame_from_face = affine.invert(align.face_from_frame(FACE, "full", 256))
    for at, is_drawn in (
        ((127.5, -12), True),
        ((127.5, 267), False),
        ((-0.5, 200), True),
        ((255.5, 60), True),
    ):
        x, y = np.rint(affine.apply(frame_from_face, at)).astype(int)
        near = (slice(y - 1, y + 2), slice(x - 1, x + 2))
        assert np.array_equal(plain[near], outlined[near]) != is_drawn, at


def test_raw_points_show_beside_the_steady_ones():
    moved = replace(face(), raw=FACE + np.float32([0, 25]))
    assert (drawn([moved], grey()) != drawn([face()], grey())).any(axis=2).sum() > 68


def test_a_filled_face_looks_different():
    seen, filled = drawn([face()], grey()), drawn([face(filled=True)], grey())
    middle_of_the_side = (round(float(FACE[:, 1].mean())), round(float(FACE[:, 0].min() - 10)))
    assert tuple(filled[middle_of_the_side]) == (120, 120, 120) != tuple(seen[middle_of_the_side])


def test_tracks_in_a_row_have_colours_far_apart():
    colors = np.array([track_color(track) for track in range(30)], float)
    assert np.linalg.norm(np.diff(colors, axis=0), axis=1).min() > 100
    assert len({*track_color(-1)}) == 1


def test_lines_grow_with_the_frame():
    small = drawn([face()], grey(480, 480))
    large = drawn([face(points=FACE * 4.5)], grey(2160, 2160))
    shares = [(picture != 120).any(axis=2).mean() for picture in (small, large)]
    assert shares[1] == pytest.approx(shares[0], rel=0.35)


@pytest.mark.parametrize("far", [(-5000, 0), (0, 1e6), (600, 440), (-180, -180)])
def test_a_face_at_or_beyond_the_edge_does_no_harm(far):
    drawn([face(points=FACE + np.float32(far))], grey(), 256)


def test_labels_do_not_lie_upon_each_other():
    def plates(faces: list[Face]) -> int:
        return int((drawn(faces, grey()) == 12).all(axis=2).sum())

    beside = face(1, points=FACE + np.float32([3, 0]))
    assert plates([face(0), beside]) > 1.8 * plates([face(0)])


def test_small_faces_are_drawn_finely():
    small, large = (
        (drawn([face(points=FACE * scale)], grey()) == 255).all(axis=2).sum()
        for scale in (0.4, 1.6)
    )
    assert 0 < small < large
