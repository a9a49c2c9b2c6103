"""Plates as pictures and back: outside of a face nothing changes, inside nothing is left."""

from fractions import Fraction

import numpy as np
import pytest

from understudy.core.plate import as_seen, lay_into, square_size, whole_field

SHAPES = [((60, 48), Fraction(2)), ((90, 48), Fraction(64, 45)), ((96, 30), Fraction(1, 2))]
WOVEN = [((96, 48), Fraction(1)), ((60, 48), Fraction(2)), ((96, 30), Fraction(1, 2))]


def noise(size, dtype=np.uint8, seed=0):
    full = np.iinfo(dtype).max
    rng = np.random.default_rng(seed)
    return rng.integers(0, full + 1, (size[1], size[0], 3)).astype(dtype)


@pytest.mark.parametrize(
    ("size", "aspect", "seen"),
    [
        ((720, 576), "64/45", (1024, 576)),
        ((720, 576), "16/15", (768, 576)),
        ((720, 480), "8/9", (720, 540)),
        ((1440, 1080), "4/3", (1920, 1080)),
        ((960, 540), "1/2", (960, 1080)),
        ((1920, 1080), "1001/1000", (1920, 1080)),
    ],
)
def test_no_plate_loses_samples_in_square_pixels(size, aspect, seen):
    assert square_size(size, Fraction(aspect)) == seen


@pytest.mark.parametrize("field", ["top", "bottom"])
def test_a_field_keeps_its_lines_in_their_places(field):
    plate, at = noise((32, 24)), 0 if field == "top" else 1
    assert (whole_field(plate, field)[at::2] == plate[at::2]).all()
    # Lines between lie where they belong: a slope stays one, whatever the other field holds.
    slope = np.repeat(np.arange(24, dtype=np.uint8)[:, None, None] * 8, 3, 2) + np.zeros(
        (1, 32, 1), np.uint8
    )
    woven = noise((32, 24))
    woven[at::2] = slope[at::2]
    assert (whole_field(woven, field)[4:-4] == slope[4:-4]).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("size", "aspect", "fields"),
    [(*each, None) for each in SHAPES] + [(*each, "top") for each in WOVEN],
)
def test_outside_of_the_matte_the_plate_stays_and_inside_nothing_of_it(dtype, size, aspect, fields):
    plate = noise(size, dtype)
    before = as_seen(plate, square_size(size, aspect), fields)
    height, width = before.shape[:2]
    matte = np.zeros((height, width), np.float32)
    matte[12:36, 30:70] = 1
    matte[11, 30:70] = matte[36, 30:70] = 0.5
    new = np.iinfo(dtype).max // 3
    after = np.rint(before * (1 - matte[..., None]) + new * matte[..., None]).astype(dtype)
    laid = lay_into(plate, before, after, matte)
    x, y = width / size[0], height / size[1]
    inside = np.s_[int(12 / y) + 2 : int(36 / y) - 2, int(30 / x) + 2 : int(70 / x) - 2]
    assert np.abs(laid[inside].astype(int) - new).max() <= 1
    around = np.ones(laid.shape[:2], bool)
    around[int(11 / y) - 1 : int(37 / y) + 1, int(30 / x) - 1 : int(70 / x) + 1] = False
    assert (laid[around] == plate[around]).all()
    assert laid.dtype == dtype and laid.shape == plate.shape


def test_a_picture_that_nobody_changed_leaves_the_plate_as_it_is():
    plate = noise((60, 48))
    before = as_seen(plate, (120, 48), None)
    assert lay_into(plate, before, before.copy(), np.ones((48, 120), np.float32)) is plate
