import cv2
import numpy as np
import pytest

from understudy.core.compose import degrade

EVERY = (degrade.denoise, degrade.resample_bicubic, degrade.compress_jpeg, degrade.quantize_palette)


@pytest.fixture(scope="module")
def picture():
    """Coloured blobs, an edge and a little grain, (120, 160, 3)."""
    rng = np.random.default_rng(5)
    blobs = cv2.GaussianBlur(rng.random((120, 160, 3)), (0, 0), 6)
    blobs = 0.15 + 0.7 * (blobs - blobs.min()) / np.ptp(blobs)
    blobs[40:80, 60:110] *= 0.5
    return np.clip(blobs + rng.standard_normal(blobs.shape) * 0.004, 0, 1).astype(np.float32)


@pytest.mark.parametrize("worse", EVERY)
def test_nothing_asked_nothing_done(worse, picture):
    assert worse(picture, 0) is picture


@pytest.mark.parametrize("worse", EVERY)
def test_more_power_takes_more_and_a_little_takes_little(worse, picture):
    lost = [np.abs(worse(picture, power) - picture).mean() for power in (0.1, 20, 50, 80, 100)]
    assert 0 < lost[0] < 0.3 / 255
    assert (np.diff(lost) > 0).all()


@pytest.mark.parametrize("worse", EVERY)
def test_sixteen_bits_stay_sixteen_bits(worse):
    """A ramp over two levels of 8 bits still has far more levels."""
    ramp = np.repeat(
        np.linspace(0.5, 0.5 + 2 / 255, 256, dtype=np.float32)[None, :, None].repeat(64, 0), 3, 2
    )
    assert len(np.unique(worse(ramp, 2)[32, :, 0])) > 20


def test_denoising_is_passes_of_a_median(picture):
    def median(pixels):
        padded = np.pad(pixels, ((2, 2), (2, 2), (0, 0)), "edge")
        return np.median(
            np.lib.stride_tricks.sliding_window_view(padded, (5, 5), (0, 1)), axis=(-2, -1)
        )

    small = picture[:40, :40]
    once = small + (median(small) - small) * 0.15
    np.testing.assert_allclose(
        degrade.denoise(small, 15), once + (median(once) - once) * 0.05, atol=1e-6
    )


@pytest.mark.parametrize(("power", "likeness"), [(50, 0.9), (80, 0.94), (97, 0.9999)])
def test_compression_is_jpegs(picture, power, likeness):
    """What is lost is what libjpeg loses; that it also rounds to 8 bits on the way matters less,
    the more is lost.
    """
    settings = [
        cv2.IMWRITE_JPEG_QUALITY,
        100 - power,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    stored = cv2.imencode(".jpg", np.rint(picture[..., ::-1] * 255).astype(np.uint8), settings)[1]
    theirs = cv2.imdecode(stored, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32) / 255
    ours = degrade.compress_jpeg(picture, power)
    assert np.abs(ours - theirs).mean() < 0.8 / 255
    assert np.corrcoef((ours - picture).ravel(), (theirs - picture).ravel())[0, 1] > likeness


def test_grey_stays_grey(picture):
    grey = np.repeat(picture[..., :1], 3, 2)
    for worse in EVERY:
        assert np.ptp(worse(grey, 80), axis=-1).max() < 1e-5


def test_a_smaller_picture_is_small_again_and_back(picture):
    small = cv2.resize(picture, (80, 60), interpolation=cv2.INTER_AREA)
    theirs = cv2.resize(small, (160, 120), interpolation=cv2.INTER_CUBIC)
    ours = degrade.resample_bicubic(picture, 50.5)
    assert np.abs(ours - theirs).mean() < 0.45 * np.abs(picture - theirs).mean()


@pytest.mark.parametrize("worse", [degrade.resample_bicubic, degrade.compress_jpeg])
def test_blocks_and_pixels_belong_to_the_frame_not_to_the_region(worse, picture):
    """A region that begins elsewhere gives the same pixels: no flicker from a trembling border."""
    region = worse(picture[13:, 21:], 60, (21, 13))
    np.testing.assert_allclose(
        region[16:-16, 16:-16], worse(picture, 60)[29:-16, 37:-16], atol=1e-5
    )


def test_a_palette_has_256_colours_and_fits_the_picture(picture):
    ours = degrade.quantize_palette(picture, 100)
    assert len(np.unique(ours.reshape(-1, 3), axis=0)) <= 256
    pixels = picture.reshape(-1, 3)
    _, labels, best = cv2.kmeans(
        pixels, 256, None, (cv2.TERM_CRITERIA_COUNT, 10, 0), 1, cv2.KMEANS_PP_CENTERS
    )
    least = np.square(best[labels[:, 0]] - pixels).mean()
    fixed = np.square((np.floor(pixels * (8, 8, 4)) + 0.5) / (8, 8, 4) - pixels).mean()
    assert np.square(ours - picture).mean() < min(2 * least, 0.2 * fixed)


def test_the_palette_is_steady(picture):
    grain = np.random.default_rng(9).standard_normal(picture.shape).astype(np.float32) * 0.001
    step = np.abs(degrade.quantize_palette(picture, 100) - picture).mean()
    assert (
        np.abs(
            degrade.quantize_palette(picture + grain, 100) - degrade.quantize_palette(picture, 100)
        ).mean()
        < 0.35 * step
    )
