"""How far a decoded face is from the true one: all in fp32 whatever autocast says, all means."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from understudy.nets.device import no_autocast

SIGMA = 1.5
# From here on two passes of a row each are faster than one of a square, on a CPU.
SEPARABLE_FROM = 11


def dssim_window(resolution: float) -> int:
    """Return the odd width of the DSSIM window for faces of `resolution` pixels: 11 at 128."""
    return max(3, int(resolution / 11.6) // 2 * 2 + 1)


def ssim(ours: Tensor, theirs: Tensor, window: int = 11, sigma: float = SIGMA) -> Tensor:
    """Return the map of structural similarity after Wang et al. (2004).

    Args:
        ours: (N, C, H, W) in 0..1.
        theirs: (N, C, H, W) in 0..1.
        window: Width of the Gaussian window in pixels.
        sigma: Of the Gaussian window, in pixels.

    Returns:
        (N, C, H - window + 1, W - window + 1) with k1 0.01, k2 0.03, population variances.
    """
    with no_autocast(ours.device):
        one, other = ours.float(), theirs.float()
        # The four maps in one convolution: twice as fast as four. bf16 would cancel in E[x²] -
        # E[x]².
        maps = torch.cat([one, other, one * one + other * other, one * other], 1)
        channels = maps.shape[1]
        row = _gaussian_window(window, sigma, one.device).expand(channels, 1, 1, window)
        if window > SEPARABLE_FROM:
            seen = functional.conv2d(
                functional.conv2d(maps, row, groups=channels), row.mT, groups=channels
            )
        else:
            seen = functional.conv2d(maps, row.mT * row, groups=channels)
        mean_one, mean_other, squares, product = seen.chunk(4, 1)
        c1, c2 = 0.01**2, 0.03**2
        means, powers = mean_one * mean_other, mean_one * mean_one + mean_other * mean_other
        return (
            (2 * means + c1)
            / (powers + c1)
            * (2 * (product - means) + c2)
            / (squares - powers + c2)
        )


def dssim(
    ours: Tensor, theirs: Tensor, mask: Tensor, window: int | None = None, sigma: float = SIGMA
) -> Tensor:
    """Return the structural dissimilarity, (1 - SSIM) / 2, of faces multiplied by a mask.

    Args:
        ours: (N, C, H, W) in 0..1.
        theirs: (N, C, H, W) in 0..1.
        mask: (N, 1, H, W) in 0..1.
        window: Width in pixels; None = by the size of the faces.
        sigma: Of the Gaussian window, in pixels.

    Returns:
        A scalar; 0 = alike.
    """
    shown = mask.float()
    similarity = ssim(
        ours.float() * shown, theirs.float() * shown, window or dssim_window(ours.shape[-1]), sigma
    )
    return (1 - similarity).mean() / 2


def multiscale_dssim(
    ours: Tensor, theirs: Tensor, mask: Tensor, scales: int, compat: bool = False, side: int = 0
) -> Tensor:
    """Return `dssim` at one scale, or the mean of two, the coarser with twice the reach.

    Args:
        ours: (N, C, H, W) in 0..1.
        theirs: (N, C, H, W) in 0..1.
        mask: (N, 1, H, W) in 0..1.
        scales: 1 or 2.
        compat: Windows as a former tool had them: some even, all with the fine scale's sigma.
        side: Side of the faces whose windows to use; 0 = of these.
    """
    side = side or ours.shape[-1]
    if compat:
        widths = [max(2, int(side / reach)) for reach in (11.6, 23.2)[:scales]]
        return torch.stack([dssim(ours, theirs, mask, width) for width in widths]).mean()
    fine = [dssim(ours, theirs, mask, dssim_window(side / 2))] if scales > 1 else []
    return torch.stack(
        [*fine, dssim(ours, theirs, mask, dssim_window(side), SIGMA * scales)]
    ).mean()


def l1(ours: Tensor, theirs: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return the mean absolute difference, weighted by a mask (N, 1, H, W) where given."""
    distance = (ours.float() - theirs.float()).abs()
    return distance.mean() if mask is None else (distance * mask.float()).mean()


def mse(ours: Tensor, theirs: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return the mean squared difference, of pictures times a mask (N, 1, H, W) if given."""
    distance = ours.float() - theirs.float()
    return (distance if mask is None else distance * mask.float()).square().mean()


def transfer_color(picture: Tensor, model: Tensor, mask: Tensor) -> Tensor:
    """Return `picture` with the mean and deviation of `model` within `mask`, channel by channel.

    Args:
        picture: (N, C, H, W) in 0..1.
        model: (N, C, H, W) in 0..1, whose colours to take.
        mask: (N, 1, H, W) in 0..1.

    Returns:
        (N, C, H, W) in 0..1, without gradient. After Reinhard et al. (2001), in RGB.
    """
    with torch.no_grad():
        mean, spread = _moments(picture, mask)
        wanted_mean, wanted_spread = _moments(model, mask)
        return ((picture.float() - mean) / spread * wanted_spread + wanted_mean).clamp(0, 1)


def energy_distance(ones: Tensor, others: Tensor) -> Tensor:
    """Return the energy distance of two clouds of points (N, C) and (M, C), in norms of a point.

    About 0 when both are drawn from one distribution. Székely and Rizzo (2013), without bias: the
    distances within a cloud count against those between, so a cloud gains nothing by shrinking. It
    may be slightly below 0 by chance.
    """
    with no_autocast(ones.device):
        scale = ones.shape[1] ** -0.5
        one, other = ones.float() * scale, others.float() * scale
        return 2 * torch.cdist(one, other).mean() - _mean_distance(one) - _mean_distance(other)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of values (N, C, H, W) inside a soft mask (N, 1, H, W).

    A mask of another size is cropped about its middle.
    """
    height, width = values.shape[-2:]
    top, left = (mask.shape[-2] - height) // 2, (mask.shape[-1] - width) // 2
    weights = mask.float()[..., top : top + height, left : left + width].expand_as(values)
    return (values.float() * weights).sum() / weights.sum().clamp_min(1e-6)


def gaussian_blur(planes: Tensor, sigma: float) -> Tensor:
    """Return pictures or masks (N, C, H, W) blurred by `sigma` pixels; their border repeats."""
    with no_autocast(planes.device):
        reach, channels = max(1, round(3 * sigma)), planes.shape[1]
        row = _gaussian_window(2 * reach + 1, sigma, planes.device).expand(channels, 1, 1, -1)
        padded = functional.pad(planes.float(), (reach, reach, reach, reach), mode="replicate")
        return functional.conv2d(
            functional.conv2d(padded, row, groups=channels), row.mT, groups=channels
        )


def feather(mask: Tensor, sigma: float) -> Tensor:
    """Return a mask whole up to its edge, which fades beyond it over about twice `sigma` pixels."""
    return 2 * gaussian_blur(mask, sigma).clamp(max=0.5)


def blur_background(pictures: Tensor, mask: Tensor, sigma: float) -> Tensor:
    """Return pictures blurred by `sigma` pixels outside the mask; the face does not bleed out."""
    outside = 1 - mask.float()
    share = gaussian_blur(outside, sigma)
    surroundings = gaussian_blur(pictures.float() * outside, sigma) / torch.where(
        share > 0, share, 1
    )
    return torch.lerp(surroundings, pictures.float(), mask.float())


def _gaussian_window(width: int, sigma: float, device: torch.device) -> Tensor:
    places = torch.arange(width, device=device, dtype=torch.float32) - (width - 1) / 2
    heights = torch.exp(-0.5 * (places / sigma) ** 2)
    return heights / heights.sum()


def _moments(picture: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel within the mask, (N, C, 1, 1) each."""
    values, weights = picture.float(), mask.float()
    total = weights.sum((2, 3), keepdim=True).clamp_min(1e-3)
    mean = (values * weights).sum((2, 3), keepdim=True) / total
    variance = ((values - mean).square() * weights).sum((2, 3), keepdim=True) / total
    return mean, (variance + 1e-6).sqrt()


def _mean_distance(points: Tensor) -> Tensor:
    """The mean distance between different points of a cloud (N, C); 0 for a single one."""
    distances = torch.pdist(points)
    return distances.sum() / max(1, distances.numel())
