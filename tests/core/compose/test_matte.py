import cv2
import numpy as np
import pytest

from understudy.core.compose import matte


def ball(side, radius):
    """An anti-aliased disc; radius in shares of the side."""
    across = (np.arange(side) + 0.5) / side - 0.5
    return np.clip((radius - np.hypot(across[:, None], across)) * side + 0.5, 0, 1).astype(
        np.float32
    )


def radius_at(soft, level):
    """Distance from the middle at which the matte falls through `level`, in shares of the side."""
    side = soft.shape[0]
    row = soft[side // 2, side // 2 :]
    return np.interp(-level, -row, (np.arange(len(row)) + 0.5) / side)


@pytest.mark.parametrize("side", [64, 96, 256, 400])
def test_erode_and_blur_mean_the_same_at_every_resolution(side):
    soft = matte.shape_matte(ball(side, 0.35), erode=5, blur=10)
    assert radius_at(soft, 0.5) == pytest.approx(0.30, abs=0.006)
    # 95 % of the step within the width that was asked for.
    assert radius_at(soft, 0.025) - radius_at(soft, 0.975) == pytest.approx(0.10, abs=0.015)


def test_negative_erode_grows():
    assert radius_at(matte.shape_matte(ball(128, 0.3), erode=-4, blur=0), 0.5) == pytest.approx(
        0.34, abs=0.006
    )


def test_small_steps_of_erode_are_felt():
    radii = [
        radius_at(matte.shape_matte(ball(96, 0.35), erode=percent, blur=0), 0.5)
        for percent in np.arange(0, 2, 0.25)
    ]
    assert (np.diff(radii) < 0).all()


@pytest.mark.parametrize("blur", [0, 10, 40])
@pytest.mark.parametrize("erode", [-20, 0, 20])
def test_the_matte_ends_at_the_edge_of_the_square(erode, blur):
    soft = matte.shape_matte(np.ones((64, 64), np.float32), erode, blur)
    assert max(soft[0].max(), soft[-1].max(), soft[:, 0].max(), soft[:, -1].max()) == 0
    assert soft.max() <= 1
    if erode <= 0:
        assert soft[soft.shape[0] // 2, soft.shape[0] // 2] > 0.9


@pytest.mark.parametrize("side", [64, 128, 400])
def test_a_feather_goes_inwards_from_the_outline_and_nowhere_else(side):
    disc = ball(side, 0.35)
    soft = matte.shape_matte(disc, 0, 0, feather=10)
    assert radius_at(soft, 0.01) == pytest.approx(0.35, abs=0.006)
    assert radius_at(soft, 0.5) == pytest.approx(0.30, abs=0.006)
    assert radius_at(soft, 0.99) == pytest.approx(0.25, abs=0.008)
    plain = matte.shape_matte(disc, 0, 0)
    assert (soft <= plain).all() and not soft[plain < 0.5].any()


def test_a_feather_follows_the_outline_by_less_than_a_pixel():
    radii = np.arange(0.3, 0.31, 0.0005)
    mattes = [matte.shape_matte(ball(128, radius), 0, 0, feather=8) for radius in radii]
    grown = np.diff([np.sqrt(soft.mean() / np.pi) for soft in mattes])
    assert grown == pytest.approx(0.0005, abs=0.0002)
    assert [radius_at(soft, 0.5) for soft in mattes] - radii == pytest.approx(-0.04, abs=0.003)


def test_a_feather_begins_without_a_step():
    mask = ball(96, 0.35)
    steps = [matte.shape_matte(mask, 0, 0, feather=width) for width in (0, 0.01, 0.02)]
    assert np.abs(np.diff(steps, axis=0)).max() < 0.05


def test_half_seen_parts_stay_half_seen_under_a_feather():
    soft = matte.shape_matte(ball(128, 0.35) * np.float32(0.7), 0, 0, feather=10)
    assert soft[128, 128] == pytest.approx(0.7, abs=0.01)


@pytest.mark.parametrize("width", [0, 1.5, 5, 20])
def test_the_edge_fade_is_as_wide_as_told(width):
    soft = matte.shape_matte(np.ones((64, 64), np.float32), 0, 0, edge_fade=width)
    row = soft[len(soft) // 2, : len(soft) // 2]
    assert row[0] == 0
    assert np.interp(0.5, row, np.arange(len(row))) / len(soft) * 100 == pytest.approx(
        max(width, 0.4) / 2, abs=0.1
    )


@pytest.mark.parametrize("blur", [6, 18, 30])
def test_a_wide_blur_is_the_gaussian_that_it_stands_for(blur):
    mask = ball(256, 0.15)
    straight = cv2.GaussianBlur(mask, (0, 0), blur / 100 * 256 / 4)
    assert np.abs(matte.shape_matte(mask, 0, blur) - straight).max() < 0.02


def dfl(mask, erode, blur):
    """DeepFaceLab's way, straight: at four times the side, padded, with an elliptic kernel and
    OpenCV's own sigma.
    """
    side = len(mask)
    grown = np.pad(
        np.clip(cv2.resize(mask, (4 * side, 4 * side), interpolation=cv2.INTER_CUBIC), 0, 1), side
    )
    if erode:
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (abs(erode), abs(erode)))
        grown = (cv2.erode if erode > 0 else cv2.dilate)(grown, kernel)
    edge = side + blur // 2
    framed = np.zeros_like(grown)
    framed[edge:-edge, edge:-edge] = grown[edge:-edge, edge:-edge]
    if blur:
        framed = cv2.GaussianBlur(framed, (blur + 1 - blur % 2,) * 2, 0)
    return np.clip(framed[side:-side, side:-side], 0, 1)


@pytest.mark.parametrize("side", [64, 96])
@pytest.mark.parametrize(
    ("erode", "blur"),
    [(0, 0), (1, 0), (9, 0), (40, 0), (-41, 0), (0, 5), (0, 61), (30, 60), (-25, 140), (0, 150)],
)
def test_deepfacelabs_numbers_mean_what_they_meant(side, erode, blur):
    """Its even kernels are half a pixel off their middle, ours are not: a quarter pixel of the
    model at most.
    """
    mask = ball(side, 0.38)
    ours, theirs = matte.shape_matte_dfl(mask, erode, blur), dfl(mask, erode, blur)
    ours = cv2.resize(ours, theirs.shape, interpolation=cv2.INTER_CUBIC)
    assert np.abs(ours - theirs).mean() < 0.006
    assert np.abs(ours - theirs).max() < (0.05 if blur > 20 else 0.3)
    assert ours.mean() == pytest.approx(theirs.mean(), rel=0.012)


def test_deepfacelabs_full_mask_fades_by_its_blur_alone():
    ones = np.ones((64, 64), np.float32)
    assert (matte.shape_matte_dfl(ones, 0, 0) == 1).all()
    assert matte.shape_matte_dfl(ones, 0, 40)[0].max() < 0.03


def test_a_negative_blur_hardens_a_soft_edge_and_moves_no_outline():
    mask = cv2.GaussianBlur(ball(128, 0.3), (0, 0), 5)
    plain, hard, harder = (matte.shape_matte(mask, 0, blur) for blur in (0, -8, -16))
    widths = [((each > 0.05) & (each < 0.95)).mean() for each in (plain, hard, harder)]
    assert widths[2] < widths[1] < 0.9 * widths[0]
    for each in (hard, harder):
        assert each.min() >= 0 and each.max() <= 1 and abs((each > 0.5).mean() - 0.28) < 0.02
        assert each[0].max() == 0, "it still ends within the square"


def test_a_negative_blur_is_none_by_deepfacelabs_numbers():
    mask = ball(64, 0.3)
    np.testing.assert_array_equal(
        matte.shape_matte_dfl(mask, 3, -50), matte.shape_matte_dfl(mask, 3, 0)
    )


def mask_with_brows():
    """A mask, and dst's brows at its upper edge."""
    mask, brows = np.zeros((2, 128, 128), np.float32)
    mask[20:110, 20:108] = 1
    brows[20:40, 30:98] = 1
    return mask, brows


def test_brows_near_the_edge_are_covered_and_the_rest_is_as_it_was():
    mask, brows = mask_with_brows()
    plain = matte.shape_matte(mask, 2, 8)
    covered = matte.cover_brows(plain, mask, brows, 2, 8)
    scale = len(plain) // 128
    assert plain[24 * scale, 64 * scale] < 0.8 < 0.98 < covered[24 * scale, 64 * scale]
    assert (covered >= plain - 1e-6).all()
    np.testing.assert_array_equal(covered[60 * scale :], plain[60 * scale :])
    assert covered[plain == 0].max() < 0.01


def test_a_mask_that_is_eroded_far_leaves_no_islands_at_the_brows():
    mask, brows = mask_with_brows()
    plain = matte.shape_matte(mask, 25, 8)
    covered = matte.cover_brows(plain, mask, brows, 25, 8)
    np.testing.assert_allclose(covered, plain, atol=1e-3)
