import numpy as np
import pytest

from understudy.core import affine, image

IDENTITY = np.eye(2, 3)


def noise(dtype, shape=(40, 50, 3)):
    full = {np.uint8: 255, np.uint16: 65535, np.float32: 1}[dtype]
    return (np.random.default_rng(5).random(shape) * full).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(40, 50), (40, 50, 1), (40, 50, 3)])
@pytest.mark.parametrize("filter", ["cubic", "linear"])
def test_the_identity_returns_the_picture_bit_for_bit(dtype, shape, filter):
    picture = noise(dtype, shape)
    same = image.warp(picture, IDENTITY, (50, 40), filter=filter)
    assert same.dtype == picture.dtype and np.array_equal(same, picture)


def test_a_whole_shift_moves_pixels_untouched_and_leaves_black():
    picture = noise(np.uint8)
    moved = image.warp(picture, [[1, 0, 7], [0, 1, -3]], (50, 40))
    assert np.array_equal(moved[:37, 7:], picture[3:, :43])
    assert not moved[:, :7].any() and not moved[37:].any()


@pytest.mark.parametrize("scale", [3.0, 1.0, 0.7, 0.3, 0.12, 0.04])
def test_a_ramp_stays_in_its_place_at_every_scale(scale):
    across = np.arange(3000, dtype=np.float32)[None].repeat(600, 0)
    seen_from_frame = affine.square_crop((1500, 300), 64 / scale, 0, 64)
    true = affine.apply(
        affine.invert(seen_from_frame), np.stack([np.arange(64), np.full(64, 32)], 1)
    )[:, 0]
    seen = image.warp(across, seen_from_frame, (64, 64), border="replicate")[32]
    inside = (true > 100) & (true < 2900)
    assert np.abs(seen - true)[inside].max() < 0.06 / min(scale, 1)


@pytest.mark.parametrize("scale", [0.4, 0.1])
def test_fine_stripes_turn_grey_instead_of_moire(scale):
    stripes = (np.arange(1200)[None].repeat(1200, 0) % 2 * 255).astype(np.uint8)
    plain = image.warp(stripes, affine.square_crop((600, 600), 100 / scale, 0.2, 100), (100, 100))
    assert abs(plain.mean() - 127.5) < 3 and plain.std() < 12


def test_a_slow_zoom_does_not_flicker_at_scale_one():
    picture = noise(np.float32, (200, 200))
    contrast = [
        image.warp(picture, affine.square_crop((100, 100), side, 0, 64), (64, 64)).std()
        for side in np.linspace(62, 67, 21)
    ]
    assert np.abs(np.diff(contrast)).max() < 0.1 * contrast[0]


def test_only_border_in_sight():
    picture = np.full((30, 30, 3), 200, np.uint8)
    away = affine.square_crop((500, -400), 20, 0.4, 16)
    assert not image.warp(picture, away, (16, 16)).any()
    assert (image.warp(picture, away, (16, 16), border="replicate") == 200).all()


def test_a_linear_mask_never_leaves_zero_to_one():
    matte = (noise(np.float32, (60, 60)) > 0.5).astype(np.float32)
    bent = image.warp(matte, affine.square_crop((30, 30), 20, 0.3, 90), (90, 90), filter="linear")
    assert bent.min() >= 0 and bent.max() <= 1


def test_bytes_and_floats_go_back_and_forth():
    picture = noise(np.uint8)
    assert np.array_equal(image.as_bytes(image.as_float(picture)), picture)
    assert image.as_float(np.array([65535], np.uint16))[0] == pytest.approx(1)
    assert np.array_equal(image.as_bytes(np.array([-1, 0.5, 2], np.float32)), [0, 128, 255])


def test_resizing_keeps_the_mean_and_dtype():
    picture = noise(np.uint16)
    small = image.resize(picture, (10, 8))
    assert small.shape == (8, 10, 3) and small.dtype == np.uint16
    assert small.mean() == pytest.approx(picture.mean(), rel=0.01)
