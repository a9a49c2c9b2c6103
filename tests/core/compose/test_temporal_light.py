import cv2
import numpy as np
import pytest

from understudy.core import affine
from understudy.core.compose import blend, temporal_light

SIDE, SIZE, FRAMES, AROUND = 64, 160, 16, 5
ROI_FROM_FACE = affine.scaling(SIZE / SIDE)


def scene():
    rng = np.random.default_rng(0)
    both = [
        cv2.GaussianBlur(rng.random((SIZE, SIZE, 3)).astype(np.float32), (0, 0), 4)
        for _ in range(2)
    ]
    slope = np.linspace(-0.1, 0.1, SIZE, dtype=np.float32)[:, None, None]
    return both[0], both[1] * 0.8 + slope


def trembling(rng):
    """A round matte whose outline is off by a pixel or two, elsewhere in every frame."""
    rows, columns = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    bumps = rng.normal(0, 1.0, 40)
    angles = np.linspace(-np.pi, np.pi, 41)
    radius = 0.36 * SIZE + np.interp(np.arctan2(rows, columns), angles, np.append(bumps, bumps[0]))
    return np.clip((radius - np.hypot(columns, 0.85 * rows)) / 1.5 + 0.5, 0, 1).astype(np.float32)


def opencv(plate, face, matte):
    inside = matte > 0.1
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    middle = tuple(int(each[0] + (each[-1] + 1 - each[0]) // 2) for each in (columns, rows))
    eight = [np.rint(255 * each).astype(np.uint8) for each in (face, plate)]
    return cv2.seamlessClone(
        *eight, inside.astype(np.uint8) * 255, middle, cv2.NORMAL_CLONE
    ) / np.float32(255)


def flicker(frames, inside):
    return np.abs(np.diff(frames, axis=0))[:, inside].mean()


def test_a_trembling_outline_flickers_far_less_than_with_opencv():
    plate, face = scene()
    rng = np.random.default_rng(1)
    mattes = [trembling(rng) for _ in range(FRAMES)]
    lights = [blend.SEAMLESS.light(plate, face, matte) for matte in mattes]
    told = [
        temporal_light.sample_light(light, ROI_FROM_FACE, SIDE, matte > blend.CORE)
        for light, matte in zip(lights, mattes, strict=True)
    ]
    ours, theirs = [], []
    for at, (light, matte) in enumerate(zip(lights, mattes, strict=True)):
        mean = np.mean(told[max(0, at - AROUND) : at + AROUND + 1], axis=0)
        steady = temporal_light.correct_light(light, told[at], mean, ROI_FROM_FACE, SIDE)
        ours.append(plate + (face + steady - plate) * matte[..., None])
        theirs.append(plate + (opencv(plate, face, matte) - plate) * matte[..., None])
    inside = np.min(mattes, axis=0) > 0.999
    assert flicker(ours, inside) * 4 < flicker(theirs, inside)


def test_equal_light_stays_exactly_as_it_is():
    plate, face = scene()
    matte = trembling(np.random.default_rng(2))
    light = blend.SEAMLESS.light(plate, face, matte)
    told = temporal_light.sample_light(light, ROI_FROM_FACE, SIDE, matte > blend.CORE)
    assert np.array_equal(
        temporal_light.correct_light(light, told, told.copy(), ROI_FROM_FACE, SIDE), light
    )


def test_a_change_of_light_is_taken_over_up_to_the_outline():
    """Also where the two mattes differ, and in a face that lies turned in a region that does not
    begin at its corner.
    """
    roi_from_face = affine.invert(affine.square_crop((90, 70), 130, 0.3, SIDE))
    rows, columns = np.mgrid[:150, :170]
    inside = np.hypot(columns - 90, rows - 70) < 50
    light = np.zeros((150, 170, 3), np.float32)
    own = temporal_light.sample_light(light, roi_from_face, SIDE, inside)
    other = temporal_light.sample_light(
        light + np.float32([0.1, 0, -0.1]), roi_from_face, SIDE, np.roll(inside, 2, axis=1)
    )
    moved = temporal_light.correct_light(light, own, other, roi_from_face, SIDE)
    assert moved[inside] == pytest.approx(np.tile([0.1, 0, -0.1], (inside.sum(), 1)), abs=0.002)


def test_what_only_one_of_them_knows_changes_nothing():
    light = np.zeros((SIZE, SIZE, 3), np.float32)
    nowhere = np.zeros((SIZE, SIZE), bool)
    own = temporal_light.sample_light(light + 1, ROI_FROM_FACE, SIDE, nowhere)
    other = temporal_light.sample_light(light + 1, ROI_FROM_FACE, SIDE, ~nowhere)
    assert np.array_equal(
        temporal_light.correct_light(light, own, other, ROI_FROM_FACE, SIDE), light
    )
    assert np.isfinite(own).all() and own.shape == other.shape
