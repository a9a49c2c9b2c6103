"""The bricks of the autoencoders: every one keeps (N, C, H, W)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Init = Literal["kaiming", "glorot", "aware"]
Curve = Literal["leaky", "cosine"]

SLOPE, RES_SLOPE = 0.1, 0.2
# How far two people's biases lie apart at the start.
APART = 0.1


class Cosine(nn.Module):
    """x cos(x): a bend that falls and rises again, so that a unit may answer to one band of
    values.
    """

    def forward(self, maps: Tensor) -> Tensor:
        return maps * maps.cos()


class Down(nn.Sequential):
    """Half the size, `outward` channels: convolution 5x5 of stride 2, then the curve."""

    def __init__(self, inward: int, outward: int, curve: Curve = "leaky") -> None:
        super().__init__(nn.Conv2d(inward, outward, 5, 2, 2), bend(curve, in_place=True))


# Where pixels and channels change places the curve comes last: the same numbers, and half of what
# is kept for the way back.
class Up(nn.Sequential):
    """Twice the size, `outward` channels: convolution 3x3, four channels become two by two pixels,
    then the curve.

    Sub-pixel convolution after Shi et al. (2016).
    """

    def __init__(self, inward: int, outward: int, curve: Curve = "leaky") -> None:
        super().__init__(
            nn.Conv2d(inward, 4 * outward, 3, 1, 1), nn.PixelShuffle(2), bend(curve, in_place=True)
        )


class Res(nn.Module):
    """What came in, and two convolutions 3x3 of it on top. After He et al. (2016), without a norm.

    shortened: with the second convolution alone.
    """

    def __init__(self, channels: int, curve: Curve = "leaky", shortened: bool = False) -> None:
        super().__init__()
        convolutions = (
            nn.Conv2d(channels, channels, 3, 1, 1) for _ in range(1 if shortened else 2)
        )
        first, *second = convolutions
        self.inner = nn.Sequential(
            first, *(layer for each in second for layer in (bend(curve, RES_SLOPE, True), each))
        )
        self.bend = bend(curve, RES_SLOPE, in_place=True)

    def forward(self, maps: Tensor) -> Tensor:
        bent: Tensor = self.bend(maps + self.inner(maps))
        return bent


class FoldDown(nn.Sequential):
    """Half the size, `outward` channels: a convolution at full size, two by two pixels become four
    channels, then the curve.
    """

    def __init__(self, inward: int, outward: int, kernel: int, dilation: int = 1) -> None:
        reach = dilation * (kernel // 2)
        look = nn.Conv2d(inward, outward // 4, kernel, padding=reach, dilation=dilation)
        super().__init__(look, nn.PixelUnshuffle(2), bend("leaky", in_place=True))


class Closer(nn.Module):
    """What came in, and on top what is seen at twice the size: an `Up`, a `Res` and a convolution
    5x5, folded back.

    channels: a multiple of 4.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        look = nn.Conv2d(channels // 2, channels // 4, 5, 1, 2)
        self.inner = nn.Sequential(
            Up(channels, channels // 2), Res(channels // 2), look, nn.PixelUnshuffle(2)
        )
        self.bend = bend("leaky", RES_SLOPE, in_place=True)

    def forward(self, maps: Tensor) -> Tensor:
        bent: Tensor = self.bend(maps + self.inner(maps))
        return bent


class SlimDown(nn.Sequential):
    """`Down` for little memory: each channel is looked at by itself, then they are mixed. After
    Chollet (2017).
    """

    def __init__(self, inward: int, outward: int) -> None:
        super().__init__(
            nn.Conv2d(inward, inward, 5, 2, 2, groups=inward, bias=False),
            nn.Conv2d(inward, outward, 1),
            bend("leaky", in_place=True),
        )


class Gained(nn.Module):
    """What came in, and two convolutions 3x3 of it on top, by a factor that is learnt from 0.1
    on.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        convolutions = (nn.Conv2d(channels, channels, 3, 1, 1) for _ in range(2))
        self.inner = nn.Sequential(
            *(layer for each in convolutions for layer in (bend("leaky", RES_SLOPE), each))
        )
        self.gain = nn.Parameter(torch.tensor(0.1))
        self.bend = bend("leaky", RES_SLOPE, in_place=True)

    def forward(self, maps: Tensor) -> Tensor:
        bent: Tensor = self.bend(maps + self.gain * self.inner(maps))
        return bent


def bend(curve: Curve, slope: float = SLOPE, in_place: bool = False) -> nn.Module:
    """What follows a convolution: leaky ReLU, or x cos(x). in_place: in the memory of what comes
    in, which nobody else needs.
    """
    return Cosine() if curve == "cosine" else nn.LeakyReLU(slope, in_place)


class Personas(nn.Module):
    """Feature maps (N, C, S, S) coloured by whose face it is: a gain a channel and a bias a place
    for each person.

    The maps come in blocks, one for each person, of `sizes` rows. Aligned faces have their features
    in the same places, so this is enough to tell two people apart.
    """

    def __init__(self, people: int, channels: int, size: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(people, channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(people, channels, size, size))

    def forward(self, maps: Tensor, sizes: tuple[int, ...]) -> Tensor:
        # In the maps' own format: fp32 parameters would double the memory that passes through here.
        gain, bias = (1 + self.gain).to(maps.dtype), self.bias.to(maps.dtype)
        present = [person for person, size in enumerate(sizes) if size]
        if len(present) == 1:
            return torch.addcmul(bias[present[0]], maps, gain[present[0]])
        blocks = zip(torch.split(maps, list(sizes)), gain, bias, strict=True)
        return torch.cat(
            [torch.addcmul(own_bias, block, own_gain) for block, own_gain, own_bias in blocks]
        )


class PixelNorm(nn.Module):
    """Each of N codes or maps scaled to a root mean square of 1 over all its values. After Karras
    et al. (2018).
    """

    def __init__(self, epsilon: float = 1e-8) -> None:
        super().__init__()
        self.epsilon = epsilon

    def forward(self, codes: Tensor) -> Tensor:
        # In fp32: the mean of squares loses too much in bf16.
        wide = codes.float()
        return wide * torch.rsqrt(
            wide.square().mean(tuple(range(1, wide.ndim)), keepdim=True) + self.epsilon
        )


@torch.no_grad()
def initialise(net: nn.Module, init: Init, generator: torch.Generator) -> None:
    """Fill every weight of `net` from `generator`, zero every bias and every buffer, in place.

    kaiming: normal, for leaky ReLU (He et al. 2015); from it a small net leaves the mean face
    within a minute. glorot: uniform (Glorot and Bengio 2010), the start of the classic models.
    aware: convolutions from `aware`, all else as glorot.
    """
    for buffer in net.buffers():
        buffer.zero_()
    for layer in net.modules():
        if isinstance(layer, Personas):
            nn.init.zeros_(layer.gain)
            nn.init.normal_(layer.bias, std=APART, generator=generator)
        if isinstance(layer, Gained):
            nn.init.constant_(layer.gain, 0.1)
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            if init == "kaiming":
                nn.init.kaiming_normal_(layer.weight, a=SLOPE, generator=generator)
            elif init == "aware" and isinstance(layer, nn.Conv2d):
                layer.weight.copy_(aware(tuple(layer.weight.shape), generator))
            else:
                nn.init.xavier_uniform_(layer.weight, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def reflect(net: nn.Module) -> None:
    """Let every convolution of `net` see its maps mirrored beyond their border in place of nought:
    no grey rim. In place.
    """
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            layer.padding_mode = "reflect"


def aware(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Kernels (out, in, height, width), those of one output orthogonal in frequency, with the
    variance 2 / fan-in.

    Convolution-aware initialisation after Aghajanyan (2017).
    """
    outward, inward, height, width = shape
    places = height * (width // 2 + 1)
    kernels = 0.05 * torch.randn(shape, generator=generator)
    if places > 1:
        drawn = torch.randn(outward, inward // places + 1, places, places, generator=generator)
        bases, _, _ = torch.linalg.svd(drawn.triu() + drawn.triu(1).mT)
        spectra = bases.mT.flatten(1, 2)[:, :inward].unflatten(2, (height, width // 2 + 1))
        kernels += torch.fft.irfft2(spectra.to(torch.complex64), (height, width))
    fan_in = inward * height * width
    return kernels * (2 / fan_in / kernels.var()).sqrt()
