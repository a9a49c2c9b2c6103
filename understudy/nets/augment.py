"""Sampling of training pictures on the device: the same maps that the CPU follows with OpenCV."""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn import functional


def sampled(stored: Tensor, maps: Tensor, mode: Literal["bilinear", "bicubic"] = "bilinear") -> Tensor:
    """Stored pictures (B, P, P, C) uint8 seen through maps (B, R, R, 2) of xy pixels: (B, C, R, R) float in 0..1.

    Pixel centres lie at whole numbers. Beyond the border its pixels repeat.
    """
    planes = stored.permute(0, 3, 1, 2).float() / 255
    # With corners aligned, -1 and 1 are the centres of the outermost pixels.
    grid = maps * (2 / (stored.shape[1] - 1)) - 1
    seen = functional.grid_sample(planes, grid, mode=mode, padding_mode="border", align_corners=True)
    return seen.clamp_(0, 1)


def recoloured(pictures: Tensor, gain: Tensor, offset: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) in 0..1 with other contrast about mid-grey and other brightness; gain and offset: (B,)."""
    return ((pictures - 0.5) * gain.view(-1, 1, 1, 1) + 0.5 + offset.view(-1, 1, 1, 1)).clamp_(0, 1)
