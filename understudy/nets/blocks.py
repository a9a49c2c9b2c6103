"""The bricks of the autoencoders: every one keeps (N, C, H, W)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Init = Literal["kaiming", "glorot"]

SLOPE = 0.1
# How far two people's biases lie apart at the start.
APART = 0.1


class Down(nn.Sequential):
    """Half the size, `outward` channels: convolution 5x5 of stride 2, then leaky ReLU."""

    def __init__(self, inward: int, outward: int) -> None:
        super().__init__(nn.Conv2d(inward, outward, 5, 2, 2), nn.LeakyReLU(SLOPE))


class Up(nn.Sequential):
    """Twice the size, `outward` channels: convolution 3x3, leaky ReLU, then four channels become two by two pixels.

    Sub-pixel convolution after Shi et al. (2016).
    """

    def __init__(self, inward: int, outward: int) -> None:
        super().__init__(nn.Conv2d(inward, 4 * outward, 3, 1, 1), nn.LeakyReLU(SLOPE), nn.PixelShuffle(2))


class Personas(nn.Module):
    """Feature maps (N, C, S, S) coloured by whose face it is: a gain a channel and a bias a place for each person.

    The maps come in blocks, one for each person, of `sizes` rows. Aligned faces have their features in the same places, so
    this is enough to tell two people apart.
    """

    def __init__(self, people: int, channels: int, size: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(people, channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(people, channels, size, size))

    def forward(self, maps: Tensor, sizes: tuple[int, ...]) -> Tensor:
        # In the maps' own format: fp32 parameters would double the memory that passes through here.
        gain, bias = (1 + self.gain).to(maps.dtype), self.bias.to(maps.dtype)
        blocks = zip(torch.split(maps, list(sizes)), gain, bias, strict=True)
        return torch.cat([torch.addcmul(own_bias, block, own_gain) for block, own_gain, own_bias in blocks])


class PixelNorm(nn.Module):
    """Vectors (N, C) scaled to a root mean square of 1. After Karras et al. (2018)."""

    def forward(self, codes: Tensor) -> Tensor:
        # In fp32: the mean of squares loses too much in bf16.
        wide = codes.float()
        return wide * torch.rsqrt(wide.square().mean(1, keepdim=True) + 1e-8)


@torch.no_grad()
def initialise(net: nn.Module, init: Init, generator: torch.Generator) -> None:
    """Fill every weight of `net` from `generator` and zero every bias, in place.

    kaiming: normal, for leaky ReLU (He et al. 2015); from it a small net leaves the mean face within a minute. glorot: uniform
    (Glorot and Bengio 2010), the start of the classic models.
    """
    for layer in net.modules():
        if isinstance(layer, Personas):
            nn.init.zeros_(layer.gain)
            nn.init.normal_(layer.bias, std=APART, generator=generator)
        if isinstance(layer, nn.Conv2d | nn.Linear):
            if init == "kaiming":
                nn.init.kaiming_normal_(layer.weight, a=SLOPE, generator=generator)
            else:
                nn.init.xavier_uniform_(layer.weight, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
