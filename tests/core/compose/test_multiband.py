import cv2
import numpy as np
import pytest

from understudy.core.compose import multiband


def scene(size, seed=0):
    """A plate, a face of other light and texture, and an elliptic matte with a soft edge."""
    rng = np.random.default_rng(seed)
    plate, face = (
        cv2.GaussianBlur(rng.random((size, size, 3)).astype(np.float32), (0, 0), size / 60)
        for _ in range(2)
    )
    down, across = (np.mgrid[:size, :size] + 0.5) / size - 0.5
    matte = np.clip((0.4 - np.hypot(across, 0.8 * down)) * 40, 0, 1).astype(np.float32)
    return plate, face * 0.8 + np.float32(0.25), matte


def test_the_seam_is_softer_than_the_overlays_and_the_middle_the_faces():
    plate, face, matte = scene(240)
    layer = multiband.blend_bands(plate, face, matte)
    edge = (matte > 0) & (matte < 1)
    assert np.abs(layer - plate)[edge].mean() < 0.35 * np.abs(face - plate)[edge].mean()
    assert np.abs(layer - face)[110:130, 110:130].max() < 0.03


def test_fine_detail_of_the_face_reaches_the_edge():
    plate, _, matte = scene(240)
    stripes = np.tile(np.float32([0.05, -0.05]), 120)[None, :, None]
    layer = multiband.blend_bands(plate, plate + stripes, matte)
    assert np.abs(layer - plate - stripes)[matte > 0.99].max() < 0.02


@pytest.mark.parametrize("size", [120, 480])
def test_it_looks_the_same_at_any_resolution(size):
    small, large = (
        multiband.blend_bands(
            *(cv2.resize(each, (side, side), interpolation=cv2.INTER_AREA) for each in scene(480))
        )
        for side in (120, size)
    )
    back = cv2.resize(large, (120, 120), interpolation=cv2.INTER_AREA)
    assert np.abs(back - small).mean() < 0.004


def test_a_face_that_grows_makes_no_step():
    """No octave begins all at once."""
    plate, face, matte = scene(300)
    layers = []
    for side in np.arange(150, 262, 4):
        grown = [
            cv2.warpAffine(each, np.float32([[side / 300, 0, 0], [0, side / 300, 0]]), (side, side))
            for each in (plate, face, matte)
        ]
        layers.append(
            cv2.resize(multiband.blend_bands(*grown), (100, 100), interpolation=cv2.INTER_AREA)
        )
    steps = np.abs(np.diff(layers, axis=0)).mean((1, 2, 3))
    assert steps.max() < 3 * np.median(steps)
