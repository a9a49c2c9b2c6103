"""The network of XSeg: a U-Net that segments the face in a face picture.

U-Net after Ronneberger et al. (2015); its norm and its activation after Singh and Krishnan
(2020), its pooling after Zhang (2019).
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT_SIZE: Final = 256
# From the full size down: width in `base`, convolutions, size of the pooling filter, width of the
# step up in `base`.
_LEVELS: Final = (
    (1, 2, 4, 1),
    (2, 2, 3, 2),
    (4, 2, 2, 4),
    (8, 3, 2, 4),
    (8, 3, 2, 4),
    (8, 3, 2, 4),
)
_CODE: Final = 512


class FilterResponseNorm(nn.Module):
    """Maps (N, C, H, W) divided by the root of their own mean square plus a learnt |epsilon|.

    Then a gain and a shift.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma, self.beta = (
            nn.Parameter(torch.ones(channels)),
            nn.Parameter(torch.zeros(channels)),
        )
        self.epsilon = nn.Parameter(torch.tensor(1e-6))

    def forward(self, maps: Tensor) -> Tensor:
        # In fp32: the mean of squares loses too much in bf16.
        wide = maps.float()
        normed = wide * torch.rsqrt(wide.square().mean((2, 3), keepdim=True) + self.epsilon.abs())
        return normed * self.gamma[:, None, None] + self.beta[:, None, None]


class ThresholdedLinearUnit(nn.Module):
    """The maximum of maps (N, C, H, W) and a bound that each channel learns."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.tau = nn.Parameter(torch.zeros(channels))

    def forward(self, maps: Tensor) -> Tensor:
        return torch.maximum(maps, self.tau[:, None, None])


class BlurPool(nn.Module):
    """Half the size: every second pixel after a binomial filter of `size` x `size`, zero padded."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, maps: Tensor) -> Tensor:
        # Not a buffer: it is no weight, and a net that is built on the meta device would lose it.
        row = torch.tensor(
            [math.comb(self.size - 1, place) for place in range(self.size)],
            dtype=maps.dtype,
            device=maps.device,
        )
        kernel = torch.outer(row, row) / 4 ** (self.size - 1)
        channels, before, after = maps.shape[1], (self.size - 1) // 2, self.size // 2
        padded = functional.pad(maps, (before, after, before, after))
        return functional.conv2d(
            padded, kernel.expand(channels, 1, -1, -1), stride=2, groups=channels
        )


class ConvBlock(nn.Sequential):
    """The same size, `out_channels` channels: convolution 3x3, norm, threshold."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, 1, 1),
            FilterResponseNorm(out_channels),
            ThresholdedLinearUnit(out_channels),
        )


class UpBlock(nn.Module):
    """Twice the size, joined with the skip from the way down, through blocks of `out_channels`."""

    def __init__(self, in_channels: int, up: int, out_channels: int, count: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(in_channels, up, 3, 2)
        self.norm, self.threshold = FilterResponseNorm(up), ThresholdedLinearUnit(up)
        self.blocks = _conv_blocks(up + out_channels, out_channels, count)

    def forward(self, maps: Tensor, across: Tensor) -> Tensor:
        # The full result has one row and one column more than twice the size.
        wide = self.threshold(self.norm(self.up(maps)[..., :-1, :-1]))
        risen: Tensor = self.blocks(torch.cat([wide, across], 1))
        return risen


class XSeg(nn.Module):
    """Faces (N, 3, size, size), BGR in 0..1, to logits (N, 1, size, size) of face.

    size: a multiple of 64. Its layers lie in the order in which a picture passes them.
    """

    def __init__(self, base: int = 32, size: int = INPUT_SIZE) -> None:
        super().__init__()
        factors, counts, filters, up_factors = zip(*_LEVELS, strict=True)
        widths, ups = [base * each for each in factors], [base * each for each in up_factors]
        self.down = nn.ModuleList(map(_conv_blocks, (3, *widths), widths, counts))
        self.pools = nn.ModuleList(BlurPool(each) for each in filters)
        bottom = (widths[-1], size // 2 ** len(_LEVELS), size // 2 ** len(_LEVELS))
        self.code = nn.Linear(math.prod(bottom), _CODE)
        self.centre = nn.Sequential(nn.Linear(_CODE, math.prod(bottom)), nn.Unflatten(1, bottom))
        in_channels = (*widths[1:], widths[-1])
        self.rises = nn.ModuleList(reversed([*map(UpBlock, in_channels, ups, widths, counts)]))
        self.head = nn.Conv2d(base, 1, 3, 1, 1)

    def forward(self, faces: Tensor) -> Tensor:
        maps, passed = faces, []
        for level, pool in zip(self.down, self.pools, strict=True):
            passed.append(level(maps))
            maps = pool(passed[-1])
        maps = self.centre(self.code(maps.flatten(1)))
        for rise, across in zip(self.rises, reversed(passed), strict=True):
            maps = rise(maps, across)
        logits: Tensor = self.head(maps)
        return logits


def _conv_blocks(in_channels: int, out_channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(
        *(
            ConvBlock(in_channels if place == 0 else out_channels, out_channels)
            for place in range(count)
        )
    )
