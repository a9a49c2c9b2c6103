import cv2
import numpy as np
import pytest

from understudy.core.compose.sharpen import missing_detail, sharpen


def soft_noise(side, sigma, seed=3):
    noise = cv2.GaussianBlur(np.random.default_rng(seed).random((side, side, 3)), (0, 0), sigma)
    return (0.2 + 0.6 * (noise - noise.min()) / np.ptp(noise)).astype(np.float32)


def around(picture, side):
    """The side x side pixels around every pixel, the edge mirrored without itself as OpenCV does:
    (H, W, C, side, side).
    """
    reach = side // 2
    return np.lib.stride_tricks.sliding_window_view(
        np.pad(picture, ((reach, reach), (reach, reach), (0, 0)), "reflect"), (side, side), (0, 1)
    )


def test_nothing_asked_nothing_done():
    face = soft_noise(64, 2)
    assert sharpen(face, 0) is face
    assert missing_detail(face, face, np.ones((64, 64), np.float32)) == 0


@pytest.mark.parametrize("blur", [0.7, 1.0, 1.3])
def test_matched_faces_are_as_sharp_as_what_they_replace(blur):
    like, other, weight = (
        soft_noise(128, 1.6),
        soft_noise(128, 1.6, seed=9),
        np.ones((128, 128), np.float32),
    )
    soft = np.asarray(cv2.GaussianBlur(other, (0, 0), blur), np.float32)

    def steep(picture):
        return np.abs(np.diff(picture, axis=1)).mean()

    (more,), (less,) = missing_detail(soft, like, weight), missing_detail(like, soft, weight)
    assert more > 0.1 and less < -0.1
    apart = abs(steep(soft) / steep(like) - 1)
    assert abs(steep(sharpen(soft, 100 * more, "match")) / steep(like) - 1) < apart / 2
    assert abs(steep(sharpen(like, 100 * less, "match")) / steep(soft) - 1) < apart / 2


def test_strong_features_are_no_sharpness():
    """A face of twice the contrast has twice the detail, and is not to be softened for it."""
    face, weight = soft_noise(96, 1.6), np.ones((96, 96), np.float32)
    assert abs(missing_detail(0.5 + (face - 0.5), 0.5 + (face - 0.5) / 2, weight)[0]) < 1e-3


def test_a_face_without_detail_does_not_become_noise():
    like, weight = soft_noise(64, 1), np.ones((64, 64), np.float32)
    assert missing_detail(np.full_like(like, 0.5), like, weight) == 0
    assert (
        missing_detail(np.asarray(cv2.GaussianBlur(like, (0, 0), 2.5), np.float32), like, weight)
        == 2
    )


def test_only_what_shows_says_how_sharp():
    like, weight = soft_noise(64, 1), np.zeros((64, 64), np.float32)
    weight[:, :32] = 1
    face = like.copy()
    face[:, 40:] = 0.5
    assert abs(missing_detail(face, like, weight)[0]) < 1e-3


@pytest.mark.parametrize("amount", [-100, -40, 50])
def test_unsharp_looks_the_same_at_every_resolution(amount):
    large = soft_noise(384, 7)
    small = cv2.resize(large, (128, 128), interpolation=cv2.INTER_AREA)
    seen = cv2.resize(sharpen(large, amount), (128, 128), interpolation=cv2.INTER_AREA)
    change = np.abs(seen - small).mean()
    assert change > 0.003
    assert np.abs(seen - sharpen(small, amount)).mean() < 0.12 * change


def test_sharper_and_softer():
    face = soft_noise(128, 3)
    steep = [
        np.abs(np.diff(sharpen(face, amount), axis=1)).mean() for amount in (-100, -50, 0, 50, 100)
    ]
    assert (np.diff(steep) > 0).all()


def test_box_and_gaussian_are_kernels_of_three_pixels():
    face = soft_noise(48, 3)
    mean = around(face, 3).mean((-2, -1))
    np.testing.assert_allclose(sharpen(face, 60, "box"), face + 0.6 * (face - mean), atol=2e-6)
    line = np.exp(-np.array([1, 0, 1]) / (2 * 0.8**2))
    kernel = np.outer(line, line) / line.sum() ** 2
    soft = (around(face, 3) * kernel).sum((-2, -1))
    np.testing.assert_allclose(sharpen(face, 60, "gaussian"), face + 0.6 * (face - soft), atol=2e-6)


def test_deepfacelabs_gains():
    face = soft_noise(48, 6)
    # Its kernel: a point, and the point less the mean, so many times.
    np.testing.assert_allclose(
        sharpen(face, 3, "box", dfl=True),
        np.clip(face + 3 * (face - around(face, 3).mean((-2, -1))), 0, 1),
        atol=2e-6,
    )
    np.testing.assert_allclose(
        sharpen(face, 3, "gaussian", dfl=True),
        np.clip(2.5 * face - 1.5 * cv2.GaussianBlur(face, (3, 3), 0.8), 0, 1),
        atol=2e-6,
    )


def test_deepfacelab_softens_by_medians():
    face = np.random.default_rng(0).random((24, 24, 3)).astype(np.float32)

    def median(picture):
        padded = np.pad(picture, ((2, 2), (2, 2), (0, 0)), "edge")
        return np.median(
            np.lib.stride_tricks.sliding_window_view(padded, (5, 5), (0, 1)), axis=(-2, -1)
        )

    twice = median(median(face))
    for mode in ("box", "gaussian", "match", "unsharp"):
        np.testing.assert_allclose(
            sharpen(face, -25, mode, dfl=True), (twice + median(twice)) / 2, atol=1e-6
        )
