from dataclasses import replace

import cv2
import numpy as np
import pytest

from understudy.core import affine, image
from understudy.core.color import maps, transfer
from understudy.core.compose import blend
from understudy.core.compose.composite import Swap, composite
from understudy.core.compose.options import CompositeOptions

SIZE = 64
TRANSFERS = {"none": transfer.UNCHANGED, "rct": transfer.lab_transfer(maps.fit_lab_moments)}


def plain(**more):
    """Options that lay the face in as it is."""
    nothing = {
        "color_transfer": "none",
        "erode": 0,
        "blur": 0,
        "texture": 0,
        "sharpen": 0,
        "grain": 0,
    }
    return CompositeOptions(**{**nothing, **more})


OPTIONS = {
    "overlay": plain(blur=10),
    "seamless": plain(mode="seamless", color_transfer="rct", erode=2, blur=8),
}


def picture(dtype=np.uint8, height=150, width=200, seed=0):
    """A soft plate, as a camera would give."""
    soft = cv2.GaussianBlur(np.random.default_rng(seed).random((height, width, 3)), (0, 0), 4)
    soft = (0.1 + 0.8 * (soft - soft.min()) / np.ptp(soft)).astype(np.float32)
    full = {np.uint8: 255, np.uint16: 65535}.get(dtype)
    return soft if full is None else np.rint(soft * full).astype(dtype)


def swap_at(plate, x, y, side=60.0, angle=0.2, face=None, mask=1.0):
    """A swap of the square of `side` px around (x, y); without `face` the plate's own."""
    matrix = affine.square_crop((x, y), side, angle, SIZE)
    dst = image.as_float(image.warp(plate, matrix, (SIZE, SIZE)))
    new = dst if face is None else np.broadcast_to(np.float32(face), dst.shape)
    return Swap(
        matrix,
        new,
        dst,
        np.full((SIZE, SIZE), mask, np.float32),
        plain(),
        TRANSFERS["none"],
        blend.OVERLAY,
    )


def laid_in(plate, swaps, options):
    named = {
        "options": options,
        "transfer": TRANSFERS[options.color_transfer],
        "blender": getattr(blend, options.blender.upper()),
    }
    return composite(plate, [replace(swap, **named) for swap in swaps])


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_an_empty_mask_leaves_the_plate_untouched(dtype, options):
    plate = picture(dtype)
    layers = laid_in(plate, [swap_at(plate, 100, 75, face=1, mask=0)], options)
    assert layers.image.dtype == plate.dtype
    assert np.array_equal(layers.image, plate)
    assert not layers.matte.any()


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_what_the_matte_does_not_cover_stays_bit_for_bit(dtype, options):
    plate = picture(dtype)
    before = plate.copy()
    layers = laid_in(plate, [swap_at(plate, 100, 75, face=(1, 0, 0))], options)
    assert np.array_equal(layers.image[layers.matte == 0], before[layers.matte == 0])
    assert np.array_equal(plate, before)
    assert not np.array_equal(layers.image, plate)
    assert (layers.matte > 0).sum() < 61**2


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize(("dtype", "full"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_a_face_that_equals_dsts_gives_the_plate(dtype, full, options):
    plate = picture(dtype)
    layers = laid_in(plate, [swap_at(plate, 100, 75, side=58)], options)
    assert np.abs(layers.image.astype(float) - plate).max() / full <= 1 / 255
    assert layers.matte.max() > 0.99


def test_sixteen_bits_are_not_halved():
    plate = np.full((100, 100, 3), 20000, np.uint16)
    layers = laid_in(plate, [swap_at(plate, 50, 50, face=20100 / 65535)], OPTIONS["overlay"])
    assert len(np.unique(layers.image)) > 50
    assert layers.image.max() == 20100


def test_values_are_rounded_not_cut():
    plate = np.full((80, 80, 3), 100, np.uint8)
    layers = laid_in(plate, [swap_at(plate, 40, 40, face=100.7 / 255)], plain())
    assert layers.image[40, 40].tolist() == [101, 101, 101]


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("place", [(0, 0), (199, 70), (100, 149), (-10, 75), (205, 155)])
def test_a_face_may_be_cut_by_the_frames_border(place, options):
    plate = picture()
    layers = laid_in(plate, [swap_at(plate, *place, face=0.9)], options)
    assert np.isfinite(layers.face).all()
    assert layers.matte.any()
    assert not np.array_equal(layers.image, plate)


@pytest.mark.parametrize("place", [(-100, 75), (100, 400), (1e6, 1e6)])
def test_a_face_outside_the_frame_changes_nothing(place):
    plate = picture()
    assert np.array_equal(
        laid_in(plate, [swap_at(plate, *place, face=0.9)], OPTIONS["seamless"]).image, plate
    )


@pytest.mark.parametrize("side", [2.0, 5.0, 700.0])
def test_tiny_and_huge_faces_work(side):
    plate = picture()
    layers = laid_in(plate, [swap_at(plate, 100, 75, side=side, face=0.9)], OPTIONS["seamless"])
    assert layers.image.shape == plate.shape
    assert np.isfinite(layers.face).all()


def test_the_nearer_face_lies_on_top():
    plate = picture()
    near, far = (
        swap_at(plate, 100, 75, side=80, face=(1, 0, 0)),
        swap_at(plate, 110, 75, side=50, face=(0, 0, 1)),
    )
    layers = laid_in(plate, [near, far], plain())
    assert layers.image[75, 110].tolist() == [255, 0, 0]
    assert np.array_equal(layers.image, laid_in(plate, [far, near], plain()).image)


def test_two_faces_side_by_side_both_appear():
    plate = picture()
    swaps = [
        swap_at(plate, 50, 75, side=50, face=(1, 0, 0)),
        swap_at(plate, 150, 75, side=50, face=(0, 0, 1)),
    ]
    result = laid_in(plate, swaps, plain()).image
    assert result[75, 50].tolist() == [255, 0, 0]
    assert result[75, 150].tolist() == [0, 0, 255]


def test_the_layers_rebuild_the_image():
    plate = picture(np.float32)
    swaps = [
        swap_at(plate, 90, 75, side=70, face=(1, 0, 0)),
        swap_at(plate, 120, 75, side=60, face=(0, 0, 1)),
    ]
    layers = laid_in(plate, swaps, plain(blur=20))
    soft = layers.matte[..., None]
    assert np.allclose(layers.image, plate * (1 - soft) + layers.face * soft, atol=1e-5)


def test_positive_face_scale_is_larger():
    plate = picture()
    areas = [
        laid_in(plate, [swap_at(plate, 100, 75)], plain(face_scale=percent)).matte.sum()
        for percent in (-20, 0, 20)
    ]
    assert areas[0] == pytest.approx(areas[1] * 0.64, rel=0.03)
    assert areas[2] == pytest.approx(areas[1] * 1.44, rel=0.03)


def test_sharpen_raises_contrast_only_when_asked():
    plate = picture()
    swap = swap_at(plate, 100, 75, side=64, angle=0)
    even, crisp = (
        laid_in(plate, [swap], plain(sharpen=percent, sharpen_mode="unsharp")).image.astype(float)
        for percent in (0, 200)
    )
    assert (
        np.abs(np.diff(crisp[60:90, 85:115], axis=0)).sum()
        > 1.01 * np.abs(np.diff(even[60:90, 85:115], axis=0)).sum()
    )


def test_a_prediction_that_is_not_finite_is_refused():
    plate = picture()
    swap = swap_at(plate, 100, 75)
    with pytest.raises(ValueError, match="not finite"):
        laid_in(plate, [replace(swap, face=np.full_like(swap.face, np.nan))], plain())


def test_a_small_move_of_the_face_is_a_small_change():
    """No step when a box crosses a pixel: rounding a centre would shake the face."""
    plate = np.full((150, 200, 3), 0.5, np.float32)
    sums = []
    for x in np.arange(100, 101, 0.1):
        layers = laid_in(plate, [swap_at(plate, x, 75, angle=0, face=1)], OPTIONS["overlay"])
        sums.append((layers.matte * np.arange(200)).sum() / layers.matte.sum())
    assert np.diff(sums) == pytest.approx(0.1, abs=0.01)
