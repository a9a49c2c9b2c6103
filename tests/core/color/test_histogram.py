import numpy as np
import pytest
from skimage.exposure import match_histograms

from understudy.core.color import histogram
from understudy.core.color.transfer import weighted_mean
from understudy.types import Floats

Three = tuple[Floats, Floats, Floats]


@pytest.fixture
def faces() -> Three:
    """A face, one under other light, both before something bright, and a mask."""
    rng = np.random.default_rng(1)
    down, across = np.mgrid[:96, :96] / 96
    weight = np.clip((40 - np.hypot(96 * down - 47.5, 96 * across - 47.5)) / 4, 0, 1)
    face = (
        0.3
        + 0.3 * np.stack([down, across**2, np.sqrt(across)], -1)
        + rng.normal(0, 0.02, (96, 96, 3))
    )
    like = np.stack([0.2 + 0.4 * down**2, 0.3 + 0.3 * across, 0.2 + 0.3 * down], -1) + rng.normal(
        0, 0.02, (96, 96, 3)
    )
    face[weight == 0], like[weight == 0] = 0.85, 0.9
    return face.astype(np.float32), like.astype(np.float32), weight.astype(np.float32)


def ranked(values: Floats, weight: Floats, wanted: Floats, share: float = 1) -> Floats:
    """The values (N,) with the weighted distribution of the wanted ones, by sorting both."""
    order, order_there = np.argsort(values), np.argsort(wanted)
    rank, there = (
        (np.cumsum(weight[each]) - weight[each] / 2) / weight.sum() for each in (order, order_there)
    )
    found = np.empty_like(values)
    found[order] = np.interp(share * rank, there, wanted[order_there])
    return found


def test_equals_scikit_images_match_over_the_whole_square(faces: Three) -> None:
    face, like, weight = faces
    expected = match_histograms(face, like, channel_axis=-1)
    error = np.abs(histogram.histogram_match(masked=False)(face, like, weight) - expected)
    assert error.mean() < 0.1 / 255 and np.quantile(error, 0.99) < 0.5 / 255


@pytest.mark.parametrize("threshold", [255, 200])
def test_equals_sorting_with_weights_within_the_mask(faces: Three, threshold: int) -> None:
    face, like, weight = faces
    moved, inside = (
        histogram.histogram_match(masked=True, threshold=threshold)(face, like, weight),
        weight > 0,
    )
    for channel in range(3):
        values = (each[..., channel][inside] for each in (face, weight[..., None] + 0 * face, like))
        error = np.abs(moved[..., channel][inside] - ranked(*values, threshold / 255))
        assert error.mean() < 0.1 / 255 and np.quantile(error, 0.99) < 0.5 / 255


def test_a_threshold_cuts_the_highlights_off(faces: Three) -> None:
    face, like, weight = faces
    moved, inside = (
        histogram.histogram_match(masked=True, threshold=127)(face, like, weight),
        weight == 1,
    )
    assert np.abs(moved[inside].max(0) - np.median(like[inside], axis=0)).max() < 0.02


def test_a_face_that_has_the_values_already_stays_to_the_last_bit(faces: Three) -> None:
    face, _, weight = faces
    for masked in (True, False):
        assert np.array_equal(histogram.histogram_match(masked)(face, face, weight), face)
    match = histogram.histogram_match(masked=True)
    found = match.fit(face, faces[1], weight)
    assert found.shape == (3, 256) and np.array_equal(weighted_mean([found] * 5, [1] * 5), found)
    assert np.array_equal(match(face, faces[1], 0 * weight), face)


def test_flat_faces_give_numbers_and_no_noise(faces: Three) -> None:
    face, like, weight = faces
    flat = np.full_like(face, 0.5)
    nearly = flat + np.random.default_rng(0).normal(0, 1e-3, face.shape).astype(np.float32)
    for one, other in (
        (flat, like),
        (face, flat),
        (flat, flat),
        (0 * face, like),
        (face, 0 * like),
    ):
        assert np.isfinite(histogram.histogram_match(masked=True)(one, other, weight)).all()
    assert (
        histogram.histogram_match(masked=True)(nearly, like, weight)[weight == 1].std(0).max()
        < 0.01
    )


def test_grey_keeps_the_lightness_and_takes_dsts_colours_when_matched(faces: Three) -> None:
    face, like, weight = faces
    grey = histogram.to_grey(face)
    assert np.ptp(grey, axis=-1).max() == 0 and grey.shape == face.shape
    inside = weight == 1
    moved = histogram.histogram_match(masked=True)(grey, like, weight)
    assert np.abs(moved[inside].mean(0) - like[inside].mean(0)).max() < 0.01


@pytest.mark.parametrize("masked", [True, False])
def test_dfls_formula_to_the_last_value(faces: Three, masked: bool) -> None:
    face, like, weight = faces
    inside = weight > 0
    white = np.where(inside[..., None] | (not masked), 1, 0)
    ours, theirs = (each * white + 1 - white for each in (face, like))
    expected = match_histograms(ours, theirs, channel_axis=-1)
    assert (
        np.abs(histogram.histogram_match_dfl(masked)(face, like, weight) - expected)[inside].max()
        < 1e-5
    )
    darker = histogram.histogram_match_dfl(masked, 238)(face, like, weight)[inside]
    for channel in range(3):
        below = np.searchsorted(
            np.sort(ours[..., channel], axis=None), face[inside][:, channel], side="right"
        )
        wanted = np.quantile(theirs[..., channel], below / weight.size * 238 / 255)
        assert np.abs(darker[:, channel] - wanted).max() < 2 / 255
