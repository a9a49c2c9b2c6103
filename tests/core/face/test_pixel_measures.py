"""Measures of a face picture: the face's own, whatever its size, its crop and what lies around."""

import cv2
import numpy as np
import pytest

from understudy.core import affine
from understudy.core.face import align
from understudy.core.face.pixel_measures import measure_picture, share_outside
from understudy.core.image import blur, warp


@pytest.fixture(scope="module")
def frame(people):
    """A frame (480, 640, 3) and its landmarks."""
    image, points = people["a"][3]
    return warp(image, affine.scaling(2), (640, 480)), points * 2 + 0.5


def cut(frame, size, face_type="full", border="black"):
    image, points = frame
    matrix = align.face_from_frame(points, face_type, size)
    return warp(image, matrix, (size, size), border), points.astype(np.float32), matrix


def softened(frame, radius):
    image, points = frame
    return blur(image.astype(np.float32), radius).round().astype(np.uint8), points


def smeared(frame, length, angle=0.0):
    image, points = frame
    kernel = np.zeros((31, 31), np.float32)
    way = (length / 2) * np.array([np.cos(angle), np.sin(angle)])
    ends = (np.rint((15 + sign * way) * 16).astype(int).tolist() for sign in (-1, 1))
    cv2.line(kernel, *ends, 1, 1, cv2.LINE_AA, 4)
    return cv2.filter2D(image, -1, kernel / kernel.sum()), points


def ranks(values):
    return np.argsort(np.argsort(values))


def test_sharpness_falls_with_blur_at_every_size_and_is_the_same_at_each(frame):
    radii = np.array([0.5, 1, 1.5, 2, 3, 4, 6, 8])
    found = np.array(
        [
            [measure_picture(*cut(softened(frame, radius), size))["sharpness"] for radius in radii]
            for size in (128, 256, 512)
        ]
    )
    assert all(np.corrcoef(ranks(row), ranks(-radii))[0, 1] > 0.99 for row in found)
    # All sizes as one: the face is blurred as much, however large its picture is.
    pooled = np.corrcoef(ranks(found.ravel()), ranks(np.tile(-radii, 3)))[0, 1]
    assert pooled > 0.98


def test_neither_the_crop_nor_what_surrounds_a_face_makes_it_sharp(frame):
    soft = softened(frame, 4)
    plain = measure_picture(*cut(soft, 256))["sharpness"]
    image, points, matrix = cut(soft, 256, "whole")
    assert measure_picture(image, points, matrix)["sharpness"] == pytest.approx(plain, abs=0.02)
    hull = affine.apply(matrix, points)
    outside = np.ones(image.shape[:2], np.uint8)
    cv2.fillConvexPoly(outside, cv2.convexHull(np.rint(hull).astype(np.int32)), 0)
    outside = cv2.erode(outside, np.ones((9, 9), np.uint8))
    noisy = np.where(
        outside[..., None] > 0, np.random.default_rng(0).integers(0, 255, (256, 256, 1)), image
    )
    found = measure_picture(noisy.astype(np.uint8), points, matrix)["sharpness"]
    assert found == pytest.approx(plain, abs=0.02)


def test_motion_is_told_from_focus(frame):
    still, out_of_focus = (
        measure_picture(*cut(each, 256))["motion_blur"] for each in (frame, softened(frame, 4))
    )
    for angle in (0, 1, 2):
        moved = [
            measure_picture(*cut(smeared(frame, length, angle), 256))["motion_blur"]
            for length in (4, 8, 16)
        ]
        assert still < moved[0] < moved[1] < moved[2] and moved[1] > out_of_focus + 0.2


def test_light_and_colour_are_those_of_the_face(frame):
    image, points = frame
    ramp = np.linspace(0.4, 1, image.shape[1])[None, :, None]
    plain, lit, blue = (
        measure_picture(*cut((each.round().astype(np.uint8), points), 256))
        for each in (image * 1.0, image * ramp, image * np.array([0.3, 0.3, 1.0]))
    )
    assert lit["light"][0] > plain["light"][0] + 0.03 and lit["brightness"] < plain["brightness"]
    assert abs(blue["hue"] - 2 / 3) < 0.05
    grey = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2).round().astype(np.uint8)
    assert np.isnan(measure_picture(*cut((grey, points), 256))["hue"])
    assert np.allclose(plain["histogram"].sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("border", ["black", "replicate"])
def test_how_much_the_screen_cuts_off(frame, border):
    image, points = frame
    middle = points[:, 0].mean()
    rows = []
    for kept in (slice(0, int(middle)), slice(int(middle), None)):
        shift = np.array([kept.start, 0], np.float32)
        rows.append(cut((image[:, kept], points - shift), 128, border=border))
    sizes = np.array([[int(middle), 480], [640 - int(middle), 480]], np.float64)
    screen = np.array([measure_picture(*row)["screen"] for row in rows])
    matrices = np.array([row[2] for row in rows])
    found = share_outside(screen, matrices, np.array([128, 128]), np.array([0, 1]), sizes)
    assert np.all(np.abs(found - 0.5) < 0.1)
    if border == "black":
        alone = share_outside(screen, matrices, np.array([128, 128]), np.array([-1, -1]))
        assert np.allclose(alone, found, atol=0.04)
