import numpy as np
from skimage.color import lab2rgb, rgb2lab

from understudy.core.color.lab import lab_from_rgb, rgb_from_lab, weighted_mean_std
from understudy.core.color.reinhard import fit_lab_shift, shift_lab


def test_lab_equals_an_independent_reference() -> None:
    picture = np.random.default_rng(0).random((32, 32, 3)).astype(np.float32)
    lab = lab_from_rgb(picture)
    assert np.abs(lab - rgb2lab(picture)).max() < 0.6
    assert np.abs(rgb_from_lab(lab) - lab2rgb(lab.astype(np.float64))).max() < 2 / 255
    assert np.array_equal(lab_from_rgb(picture.reshape(-1, 3)).reshape(picture.shape), lab)


def test_statistics_are_numpys_with_weights() -> None:
    rng = np.random.default_rng(1)
    picture, weight = (
        rng.random((24, 24, 3)).astype(np.float32),
        rng.random((24, 24)).astype(np.float32),
    )
    mean, spread = weighted_mean_std(picture, weight)
    expected = np.average(picture.reshape(-1, 3), axis=0, weights=weight.ravel())
    assert np.allclose(mean, expected, atol=1e-6)
    assert np.allclose(
        spread**2,
        np.average((picture.reshape(-1, 3) - expected) ** 2, axis=0, weights=weight.ravel()),
        atol=1e-6,
    )


def test_lab_moves_by_gain_and_shift_and_stays_within_its_bounds() -> None:
    moments = np.float32([50, 10, -10]), np.float32([10, 5, 5])
    wanted = np.float32([60, 0, 20]), np.float32([15, 20, 5])
    shift = fit_lab_shift(moments, wanted)
    lab = np.float32([[50, 10, -10], [60, 15, -5], [99, 120, 120]])
    # The second gain would be 4.
    assert np.allclose(
        shift_lab(lab, shift), [[60, 0, 20], [75, 10, 25], [100, 127, 127]], atol=1e-4
    )
    assert np.array_equal(fit_lab_shift(moments, moments), [[1, 1, 1], [0, 0, 0]])
