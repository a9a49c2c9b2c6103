"""What a face has besides its features: the light and colours of its surroundings. All in fp32;
everything returns means.
"""

from __future__ import annotations

import torch
from torch import Tensor

from understudy.nets.losses.reconstruction import blurred, dssim, mse


def style(ours: Tensor, theirs: Tensor, sigma: float) -> Tensor:
    """How far the light of two pictures (N, C, H, W) is apart: squared differences of their
    channels' means and deviations.

    sigma: pixels of the Gaussian under which both are looked at, so that only broad light counts.
    After Huang and Belongie (2017).
    """
    mean, spread = _moments(blurred(ours, sigma))
    wanted_mean, wanted_spread = _moments(blurred(theirs, sigma))
    return ((mean - wanted_mean).square() + (spread - wanted_spread).square()).mean()


def background(
    ours: Tensor, theirs: Tensor, outside: Tensor, weights: tuple[float, float] = (10, 10)
) -> Tensor:
    """How far pictures differ `outside` of the face, (N, 1, H, W); weights: of structure and of
    squared pixels.
    """
    return weights[0] * dssim(ours, theirs, outside) + weights[1] * mse(ours, theirs, outside)


def roughness(pictures: Tensor, across_channels: bool = False) -> Tensor:
    """The squared differences of neighbouring pixels, summed over each picture (N, C, H, W); total
    variation, Rudin et al. (1992).

    across_channels: of neighbouring channels and rows instead, which is what a former tool took.
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
