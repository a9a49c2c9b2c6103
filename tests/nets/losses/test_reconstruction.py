import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

from understudy.nets.losses import reconstruction
from understudy.types import Floats


def pictures(seed: int, size: int = 40) -> tuple[Floats, Floats, Floats]:
    """Two (3, size, size) pictures that are alike, and a mask."""
    rng = np.random.default_rng(seed)
    one = rng.random((3, size, size), np.float32)
    other = np.clip(one + rng.normal(0, 0.1, one.shape), 0, 1).astype(np.float32)
    return one, other, rng.random((1, size, size), np.float32)


def on(*arrays: Floats) -> list[torch.Tensor]:
    return [torch.from_numpy(array)[None] for array in arrays]


def scikit_ssim(one: Floats, other: Floats) -> Floats:
    """The map of a window of 11 pixels, the only one that scikit-image has with sigma 1.5."""
    full = structural_similarity(
        one.astype(np.float64),
        other.astype(np.float64),
        data_range=1,
        channel_axis=0,
        full=True,
        gaussian_weights=True,
        sigma=reconstruction.SIGMA,
        use_sample_covariance=False,
    )[1]
    return np.asarray(full[:, 5:-5, 5:-5], np.float32)


def test_ssim_equals_scikit_image() -> None:
    one, other, _ = pictures(0)
    ours = reconstruction.ssim(*on(one, other), 11)[0].numpy()
    assert np.allclose(ours, scikit_ssim(one, other), atol=2e-4)


@pytest.mark.parametrize("window", [5, 8, 17])
def test_ssim_equals_the_formula_with_any_window(window: int) -> None:
    one, other, _ = pictures(7)
    places = np.arange(window) - (window - 1) / 2
    bell = np.exp(-0.5 * (places / 2) ** 2)
    weights = np.outer(bell, bell) / bell.sum() ** 2

    def seen(picture: Floats) -> np.ndarray:
        windows = np.lib.stride_tricks.sliding_window_view(
            picture.astype(np.float64), (window, window), (1, 2)
        )
        return np.einsum("cyxij,ij->cyx", windows, weights)

    ours, theirs = seen(one), seen(other)
    cross, squares = (
        seen(one * other) - ours * theirs,
        seen(one * one) - ours**2 + seen(other * other) - theirs**2,
    )
    expected = (
        (2 * ours * theirs + 1e-4)
        / (ours**2 + theirs**2 + 1e-4)
        * (2 * cross + 9e-4)
        / (squares + 9e-4)
    )
    assert np.allclose(
        reconstruction.ssim(*on(one, other), window, 2)[0].numpy(), expected, atol=5e-4
    )


def test_structure_is_one_scale_or_the_mean_of_two() -> None:
    one, other, mask = on(*pictures(8, 128))
    assert float(reconstruction.multiscale_dssim(one, other, mask, 1)) == pytest.approx(
        float(reconstruction.dssim(one, other, mask))
    )
    fine, coarse = (
        reconstruction.dssim(one, other, mask, 5),
        reconstruction.dssim(one, other, mask, 11, 3),
    )
    assert float(reconstruction.multiscale_dssim(one, other, mask, 2)) == pytest.approx(
        float(fine + coarse) / 2
    )
    compat = reconstruction.dssim(one, other, mask, 11) + reconstruction.dssim(one, other, mask, 5)
    assert float(
        reconstruction.multiscale_dssim(one, other, mask, 2, compat=True)
    ) == pytest.approx(float(compat) / 2)
    even = [torch.nn.functional.interpolate(each, 96) for each in (one, other, mask)]
    assert float(reconstruction.multiscale_dssim(*even, 1, compat=True)) == pytest.approx(
        float(reconstruction.dssim(*even, 8))
    )


def test_dssim_equals_the_formula_on_masked_pictures() -> None:
    one, other, mask = pictures(1, 128)
    expected = (1 - scikit_ssim(one * mask, other * mask).mean()) / 2
    assert float(reconstruction.dssim(*on(one, other, mask))) == pytest.approx(expected, abs=1e-4)


def test_pixel_losses_equal_numpy() -> None:
    one, other, mask = pictures(2)
    assert float(reconstruction.l1(*on(one, other, mask))) == pytest.approx(
        np.mean(np.abs(one - other) * mask), rel=1e-5
    )
    assert float(reconstruction.mse(*on(one, other, mask))) == pytest.approx(
        np.mean(((one - other) * mask) ** 2), rel=1e-5
    )
    assert float(reconstruction.mse(*on(one, other))) == pytest.approx(
        np.mean((one - other) ** 2), rel=1e-5
    )


def test_within_counts_only_the_mask() -> None:
    one, _, mask = pictures(3)
    expected = (one * mask).sum() / (mask.sum() * 3)
    assert float(reconstruction.masked_mean(*on(one, mask))) == pytest.approx(expected, rel=1e-5)
    cropped = one[:, 4:-4, 4:-4]
    expected = (cropped * mask[:, 4:-4, 4:-4]).sum() / (mask[:, 4:-4, 4:-4].sum() * 3)
    assert float(reconstruction.masked_mean(*on(cropped, mask))) == pytest.approx(
        expected, rel=1e-5
    )


def test_outside_the_mask_nothing_counts() -> None:
    one, other, _ = pictures(4)
    mask = np.zeros((1, 40, 40), np.float32)
    mask[:, 10:30, 10:30] = 1
    elsewhere = np.where(mask > 0, one, other)
    for loss in (reconstruction.dssim, reconstruction.l1, reconstruction.mse):
        assert float(loss(*on(one, elsewhere, mask))) == pytest.approx(0, abs=1e-6)
        assert float(loss(*on(one, other, mask))) > 1e-3


def test_autocast_does_not_coarsen_the_losses() -> None:
    one, other, mask = pictures(5)
    plain = reconstruction.dssim(*on(one, other, mask))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(reconstruction.dssim(*on(one, other, mask)), plain)


def test_blurred_keeps_the_sum_and_softens_the_edge() -> None:
    mask = torch.zeros(1, 1, 41, 41)
    mask[..., 15:26, 15:26] = 1
    soft = reconstruction.gaussian_blur(mask, 2)
    assert soft.shape == mask.shape and float(soft.sum()) == pytest.approx(121, rel=1e-3)
    assert 0.35 < float(soft[0, 0, 20, 14]) < 0.5 and float(soft[0, 0, 20, 20]) > 0.95


def test_blurred_equals_scipy_on_pictures_too() -> None:
    one, _, _ = pictures(9)
    expected = np.stack(
        [gaussian_filter(plane.astype(np.float64), 2, mode="nearest", truncate=3) for plane in one]
    )
    assert np.allclose(reconstruction.gaussian_blur(*on(one), 2)[0].numpy(), expected, atol=1e-5)


def test_a_ramp_is_whole_within_the_mask_and_fades_beyond() -> None:
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., :32] = 1
    row = reconstruction.feather(mask, 3)[0, 0, 30]
    assert (
        bool((row[:32] > 0.999).all())
        and 0.5 < float(row[33]) < 0.95
        and float(row[42:].max()) < 1e-3
    )
    assert bool((row.diff() <= 1e-6).all())


def test_blurred_out_keeps_the_face_and_lets_none_of_it_out() -> None:
    picture = torch.full((1, 3, 32, 32), 0.2)
    picture[..., 10:22, 10:22] = 1
    picture[..., 0:2, :] += 0.4
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 10:22, 10:22] = 1
    seen = reconstruction.blur_background(picture, mask, 1.5)
    inside = mask.expand_as(seen) > 0
    assert torch.equal(seen[inside], picture[inside])
    assert torch.allclose(seen[..., 9, 10:22], torch.tensor(0.2), atol=1e-4)
    assert 0.25 < float(seen[0, 0, 2, 16]) < 0.55


def test_windows_are_odd_and_grow_with_the_face() -> None:
    assert [reconstruction.dssim_window(side) for side in (32, 64, 96, 128, 160)] == [
        3,
        5,
        9,
        11,
        13,
    ]


def test_energy_distance_is_nought_for_one_law_and_grows_with_the_gap():
    rng = np.random.default_rng(5)
    near, other = (torch.from_numpy(rng.standard_normal((400, 8), np.float32)) for _ in range(2))
    assert abs(float(reconstruction.energy_distance(near, other))) < 0.02
    gaps = [float(reconstruction.energy_distance(near, other + shift)) for shift in (0.5, 1.0, 2.0)]
    assert 0.02 < gaps[0] < gaps[1] < gaps[2]


def test_energy_distance_gives_a_cloud_nothing_for_shrinking():
    rng = np.random.default_rng(6)
    one = torch.from_numpy(rng.standard_normal((400, 8), np.float32))
    other = torch.from_numpy(rng.standard_normal((400, 8), np.float32))
    assert (
        float(reconstruction.energy_distance(one * 0.5, other))
        > float(reconstruction.energy_distance(one, other)) + 0.02
    )


def test_energy_distance_of_single_codes_is_their_distance():
    assert float(
        reconstruction.energy_distance(torch.zeros(1, 4), torch.ones(1, 4))
    ) == pytest.approx(2)


def test_a_face_takes_on_the_colours_of_another_and_keeps_its_structure():
    rng = torch.Generator().manual_seed(3)
    picture, model = (0.3 + 0.2 * torch.rand(2, 3, 16, 16, generator=rng) for _ in range(2))
    model = model * torch.tensor([0.5, 1.0, 1.2])[None, :, None, None]
    mask = (torch.rand(2, 1, 16, 16, generator=rng) > 0.4).float()
    changed = reconstruction.transfer_color(picture, model.requires_grad_(), mask)
    assert not changed.requires_grad
    model, inside = model.detach(), mask.expand_as(changed).bool()
    for one in range(2):
        for channel in range(3):
            ours, theirs = (side[one, channel][inside[one, channel]] for side in (changed, model))
            assert float(ours.mean()) == pytest.approx(float(theirs.mean()), abs=1e-4)
            assert float(ours.std()) == pytest.approx(float(theirs.std()), rel=0.01)
            straight = torch.corrcoef(
                torch.stack([changed[one, channel].ravel(), picture[one, channel].ravel()])
            )[0, 1]
            assert float(straight) == pytest.approx(1, abs=1e-4)
