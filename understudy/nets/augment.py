"""Training pictures on the device: seen through the same maps that the CPU follows with OpenCV, and
in other colours.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional


def sampled(
    stored: Tensor, maps: Tensor, mode: Literal["bilinear", "bicubic"] = "bilinear"
) -> Tensor:
    """Stored pictures (B, P, P, C) uint8 seen through maps (B, R, R, 2) of xy pixels: (B, C, R, R)
    float in 0..1.

    Pixel centres lie at whole numbers. Beyond the border its pixels repeat.
    """
    planes = stored.permute(0, 3, 1, 2).float() / 255
    # With corners aligned, -1 and 1 are the centres of the outermost pixels.
    grid = maps * (2 / (stored.shape[1] - 1)) - 1
    seen = functional.grid_sample(
        planes, grid, mode=mode, padding_mode="border", align_corners=True
    )
    return seen.clamp_(0, 1)


def recoloured(pictures: Tensor, gain: Tensor, offset: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) in 0..1 with other contrast about mid-grey and other brightness; gain
    and offset: (B,).
    """
    return ((pictures - 0.5) * gain.view(-1, 1, 1, 1) + 0.5 + offset.view(-1, 1, 1, 1)).clamp_(0, 1)


def through(pictures: Tensor, tables: Tensor) -> Tensor:
    """Each picture (B, 3, H, W) in 0..1 in the colours of its table (B, T, T, T, 3), see
    `core.color.maps.table`.
    """
    places = pictures.permute(0, 2, 3, 1).unsqueeze(1) * 2 - 1
    planes = tables.permute(0, 4, 1, 2, 3)
    found = functional.grid_sample(
        planes, places, mode="bilinear", padding_mode="border", align_corners=True
    )
    return found.squeeze(2).clamp_(0, 1)


def hue_shifted(pictures: Tensor, hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) in 0..1 with another hue (B,) in degrees, and (B,) added to saturation
    and value (HSV, 0..1).
    """
    turn, plus, more = (each.view(-1, 1, 1) for each in (hue, saturation, value))
    red, green, blue = pictures.unbind(1)
    top, bottom = pictures.amax(1), pictures.amin(1)
    spread = (top - bottom).clamp(min=1e-6)
    sixth = torch.where(
        top == red,
        (green - blue) / spread,
        torch.where(top == green, 2 + (blue - red) / spread, 4 + (red - green) / spread),
    )
    strength = ((top - bottom) / top.clamp(min=1e-6) + plus).clamp_(0, 1)
    bright = (top + more).clamp_(0, 1)
    # Each channel falls from the full value by its distance from the hue: the same formula for all
    # three, a third of a turn apart.
    places = torch.stack([(offset + sixth + turn / 60) % 6 for offset in (5.0, 3.0, 1.0)], 1)
    fall = torch.minimum(places, 4 - places).clamp_(0, 1)
    return bright.unsqueeze(1) * (1 - strength.unsqueeze(1) * fall)
