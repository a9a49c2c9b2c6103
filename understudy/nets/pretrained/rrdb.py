"""The network of ESRGAN: four times the size, from residual dense blocks.

After Wang et al. (2018); Real-ESRGAN, its weights for damaged photographs, after Wang et al.
(2021).
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

SCALE: Final = 4
# So much of what a block finds is added to what came into it.
_SHARE: Final = 0.2
_SLOPE: Final = 0.2


class DenseBlock(nn.Module):
    """Five convolutions 3x3, each of which sees all before it, as a residual."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        widths = [channels + place * growth for place in range(5)]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(width, channels if place == 4 else growth, 3, 1, 1)
            for place, width in enumerate(widths)
        )

    def forward(self, maps: Tensor) -> Tensor:
        *growing, last = self.convolutions
        seen = [maps]
        for convolution in growing:
            seen.append(functional.leaky_relu_(convolution(torch.cat(seen, 1)), _SLOPE))
        added: Tensor = last(torch.cat(seen, 1)).mul_(_SHARE).add_(maps)
        return added


class ResidualDenseBlocks(nn.Module):
    """Three dense blocks as a residual."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.dense = nn.Sequential(*(DenseBlock(channels, growth) for _ in range(3)))

    def forward(self, maps: Tensor) -> Tensor:
        added: Tensor = self.dense(maps).mul_(_SHARE).add_(maps)
        return added


class RRDB(nn.Module):
    """Pictures (N, 3, H, W), RGB in 0..1, to (N, 3, 4 H, 4 W), about 0..1. Works in place.

    Only to predict. Its layers lie in the order in which a picture passes them.
    """

    def __init__(self, blocks: int = 23, channels: int = 64, growth: int = 32) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, channels, 3, 1, 1)
        self.body = nn.Sequential(*(ResidualDenseBlocks(channels, growth) for _ in range(blocks)))
        self.neck = nn.Conv2d(channels, channels, 3, 1, 1)
        self.rises = nn.ModuleList(nn.Conv2d(channels, channels, 3, 1, 1) for _ in range(2))
        self.finish = nn.Conv2d(channels, channels, 3, 1, 1)
        self.out = nn.Conv2d(channels, 3, 3, 1, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        maps = self.head(pictures)
        maps = maps + self.neck(self.body(maps))
        for rise in self.rises:
            maps = functional.leaky_relu_(
                rise(functional.interpolate(maps, scale_factor=2.0, mode="nearest")), _SLOPE
            )
        larger: Tensor = self.out(functional.leaky_relu_(self.finish(maps), _SLOPE))
        return larger
