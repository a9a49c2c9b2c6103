"""Losses on light and surroundings, not on features. All in fp32; all return means."""

from __future__ import annotations

import torch
from torch import Tensor

from understudy.nets.losses.reconstruction import dssim, gaussian_blur, mse


def style_loss(ours: Tensor, theirs: Tensor, sigma: float) -> Tensor:
    """Return the squared differences of the channels' means and deviations, both pictures blurred.

    sigma: of the Gaussian in pixels, so that only broad light counts. After Huang and Belongie
    (2017).
    """
    mean, spread = _moments(gaussian_blur(ours, sigma))
    wanted_mean, wanted_spread = _moments(gaussian_blur(theirs, sigma))
    return ((mean - wanted_mean).square() + (spread - wanted_spread).square()).mean()


def background_loss(
    ours: Tensor, theirs: Tensor, outside: Tensor, weights: tuple[float, float] = (10, 10)
) -> Tensor:
    """Return how far pictures differ `outside` of the face, (N, 1, H, W).

    weights: of structure (DSSIM), and of squared differences.
    """
    return weights[0] * dssim(ours, theirs, outside) + weights[1] * mse(ours, theirs, outside)


def total_variation(pictures: Tensor, across_channels: bool = False) -> Tensor:
    """Return the squared differences of neighbouring pixels, summed over each picture, their mean.

    pictures: (N, C, H, W). across_channels: of neighbouring channels and rows instead, as a former
    tool had it. Total variation after Rudin et al. (1992).
    """
    wide = pictures.float()
    one, other = (1, 2) if across_channels else (2, 3)
    return (
        torch.diff(wide, dim=one).square().sum() + torch.diff(wide, dim=other).square().sum()
    ) / len(wide)


def _moments(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel, (N, C) each."""
    wide = pictures.float()
    return wide.mean((2, 3)), (wide.var((2, 3), correction=0) + 1e-5).sqrt()
