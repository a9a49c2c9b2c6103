import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from understudy.nets.losses import reconstruction, style


def pictures(seed: int, count: int = 2, size: int = 24) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    one, other = (torch.rand(count, 3, size, size, generator=rng) for _ in range(2))
    return one, 0.5 * other + 0.1


def test_style_equals_the_formula() -> None:
    one, other = pictures(0, size=8)

    def moments(picture: np.ndarray) -> np.ndarray:
        soft = gaussian_filter(picture.astype(np.float64), 2, mode="nearest", truncate=3)
        return np.array([soft.mean(), np.sqrt(soft.var() + 1e-5)])

    expected = [
        np.square(moments(one[n, c].numpy()) - moments(other[n, c].numpy())).sum()
        for n in range(len(one))
        for c in range(3)
    ]
    assert float(style.style_loss(one, other, 2)) == pytest.approx(np.mean(expected), rel=1e-4)


def test_style_is_blind_to_features_and_sees_light() -> None:
    one, _ = pictures(1)
    assert float(style.style_loss(one, one.flip(3), 3)) < 1e-9
    assert float(style.style_loss(one, one + 0.1, 3)) == pytest.approx(0.01, rel=1e-3)


def test_the_gradient_of_style_is_that_of_small_steps() -> None:
    one, other = pictures(2, 1, 12)
    one.requires_grad_()
    style.style_loss(one, other, 1).backward()
    assert one.grad is not None
    rng = torch.Generator().manual_seed(3)
    for _ in range(3):
        way = torch.randn(one.shape, generator=rng) + 1
        with torch.no_grad():
            ahead, behind = (
                float(style.style_loss(one + step * way, other, 1)) for step in (1e-2, -1e-2)
            )
        assert (ahead - behind) / 2e-2 == pytest.approx(float((one.grad * way).sum()), rel=0.02)


def test_the_background_counts_outside_alone() -> None:
    one, other = pictures(4, size=32)
    outside = torch.ones(2, 1, 32, 32)
    outside[..., 8:24, 8:24] = 0
    elsewhere = torch.where(outside > 0, one, other)
    assert float(style.background_loss(one, elsewhere, outside)) == pytest.approx(0, abs=1e-6)
    expected = 10 * reconstruction.dssim(one, other, outside) + 10 * reconstruction.mse(
        one, other, outside
    )
    assert float(style.background_loss(one, other, outside)) == pytest.approx(
        float(expected), rel=1e-6
    )
    assert float(style.background_loss(one, other, outside, (0, 50))) == pytest.approx(
        50 * float(reconstruction.mse(one, other, outside))
    )


def test_roughness_is_that_of_neighbouring_pixels() -> None:
    one, _ = pictures(5)
    values = one.numpy().astype(np.float64)
    down, across = (np.square(np.diff(values, axis=axis)).sum() / 2 for axis in (2, 3))
    assert float(style.total_variation(one)) == pytest.approx(down + across, rel=1e-5)
    colours = np.square(np.diff(values, axis=1)).sum() / 2
    assert float(style.total_variation(one, across_channels=True)) == pytest.approx(
        colours + down, rel=1e-5
    )


def test_autocast_does_not_coarsen_the_styles() -> None:
    one, other = pictures(6)
    plain = style.style_loss(one, other, 2)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(style.style_loss(one, other, 2), plain)
