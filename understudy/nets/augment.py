"""Training pictures on the device: warped by the maps that OpenCV takes on the CPU, recoloured."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional


def remap(
    stored: Tensor, maps: Tensor, mode: Literal["bilinear", "bicubic"] = "bilinear"
) -> Tensor:
    """Sample stored pictures at the places that maps name, as `cv2.remap` does.

    Args:
        stored: (B, P, P, C) uint8.
        maps: (B, R, R, 2) xy pixels of `stored`; pixel centres lie at whole numbers. Beyond the
            border its pixels repeat.
        mode: The interpolation.

    Returns:
        (B, C, R, R) float32 in 0..1.
    """
    planes = stored.permute(0, 3, 1, 2).float() / 255
    # With corners aligned, -1 and 1 are the centres of the outermost pixels.
    grid = maps * (2 / (stored.shape[1] - 1)) - 1
    seen = functional.grid_sample(
        planes, grid, mode=mode, padding_mode="border", align_corners=True
    )
    return seen.clamp_(0, 1)


def adjust_contrast_brightness(pictures: Tensor, gain: Tensor, offset: Tensor) -> Tensor:
    """Change the contrast about mid-grey, and the brightness.

    Args:
        pictures: (B, 3, H, W) in 0..1.
        gain: (B,) factors of the contrast.
        offset: (B,) added to the brightness.

    Returns:
        (B, 3, H, W) in 0..1.
    """
    return ((pictures - 0.5) * gain.view(-1, 1, 1, 1) + 0.5 + offset.view(-1, 1, 1, 1)).clamp_(0, 1)


def apply_lut(pictures: Tensor, tables: Tensor) -> Tensor:
    """Give each picture the colours of its own 3D look-up table.

    Args:
        pictures: (B, 3, H, W) in 0..1.
        tables: (B, T, T, T, 3) in 0..1, see `core.color.maps.tabulate`.

    Returns:
        (B, 3, H, W) in 0..1.
    """
    places = pictures.permute(0, 2, 3, 1).unsqueeze(1) * 2 - 1
    planes = tables.permute(0, 4, 1, 2, 3)
    found = functional.grid_sample(
        planes, places, mode="bilinear", padding_mode="border", align_corners=True
    )
    return found.squeeze(2).clamp_(0, 1)


def shift_hsv(pictures: Tensor, hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Shift hue, saturation and value (HSV).

    Args:
        pictures: (B, 3, H, W) RGB or BGR in 0..1.
        hue: (B,) degrees to turn by.
        saturation: (B,) added to the saturation, which stays in 0..1.
        value: (B,) added to the value, which stays in 0..1.

    Returns:
        (B, 3, H, W) in 0..1.
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
