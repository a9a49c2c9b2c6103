"""The network of FANSeg, the segmenter of DeepFaceLab 1: a U-Net on the layers of VGG 11.

TernausNet after Iglovikov and Shvets (2018), its pooling after Zhang (2019).
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy.nets.pretrained.xseg import BlurPool

INPUT_SIZE: Final = 256
# From the full size down, in 64 channels: width and convolutions of each level.
_LEVELS: Final = ((1, 1), (2, 1), (4, 2), (8, 2), (8, 2))
# From the smallest maps up, in 32 channels: width of the step up to each level, and of the
# convolution before it.
_RISES: Final = ((8, 16), (8, 16), (4, 16), (2, 8), (1, 4))


class Rise(nn.Module):
    """Twice the size: a convolution of `inner` channels, then a transposed one of `out`."""

    def __init__(self, in_channels: int, inner: int, out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, inner, 3, 1, 1)
        self.up = nn.ConvTranspose2d(inner, out, 3, 2)

    def forward(self, maps: Tensor) -> Tensor:
        # The full result has one row and one column more than twice the size.
        return functional.relu(self.up(functional.relu(self.conv(maps)))[..., :-1, :-1])


class FanSeg(nn.Module):
    """Faces (N, 3, size, size), BGR in 0..1, to (N, 1, size, size), whose (tanh + 1) / 2 is face.

    size: a multiple of 32. Its layers lie in the order in which a picture passes them.
    """

    def __init__(self, base: int = 64) -> None:
        super().__init__()
        widths = [base * factor for factor, _ in _LEVELS]
        self.down = nn.ModuleList(
            nn.ModuleList(
                nn.Conv2d(before if place == 0 else width, width, 3, 1, 1) for place in range(count)
            )
            for before, width, (_, count) in zip((3, *widths), widths, _LEVELS, strict=False)
        )
        self.pool = BlurPool(3)
        unit = base // 2
        # What comes in is what rose before, and what came across from the way down.
        risen = [0, *(unit * up for up, _ in _RISES[:-1])]
        across = [widths[-1], *reversed(widths[1:])]
        self.rises = nn.ModuleList(
            Rise(before + skip, unit * inner, unit * up)
            for before, skip, (up, inner) in zip(risen, across, _RISES, strict=True)
        )
        self.last = nn.Conv2d(unit * _RISES[-1][0] + base, base, 3, 1, 1)
        self.head = nn.Conv2d(base, 1, 3, 1, 1)

    def forward(self, faces: Tensor) -> Tensor:
        maps, passed = faces, []
        for level in self.down:
            assert isinstance(level, nn.ModuleList)
            for conv in level:
                maps = functional.relu(conv(maps))
            passed.append(maps)
            maps = self.pool(maps)
        for rise in self.rises:
            maps = torch.cat([rise(maps), passed.pop()], 1)
        found: Tensor = self.head(functional.relu(self.last(maps)))
        return found
