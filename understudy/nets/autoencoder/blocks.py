"""Building blocks of the autoencoders: all take and give feature maps (N, C, H, W)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Init = Literal["kaiming", "glorot", "aware"]
Activation = Literal["leaky", "cosine"]

SLOPE, RES_SLOPE = 0.1, 0.2
# How far two people's biases lie apart at the start.
PERSON_BIAS_STD = 0.1


class GrowingCosine(nn.Module):
    """x cos(x): it falls and rises again, so that a unit may answer to one band of values."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps * maps.cos()


class Down(nn.Sequential):
    """Half the size: convolution of stride 2, mostly 5x5, then the activation."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        activation: Activation = "leaky",
        kernel: int = 5,
        dilation: int = 1,
    ) -> None:
        reach = dilation * (kernel // 2)
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel, 2, reach, dilation),
            make_activation(activation, in_place=True),
        )


# The activation follows the pixel shuffle: the same numbers, and half of what the backward pass
# must keep.
class Up(nn.Sequential):
    """Twice the size: convolution 3x3, pixel shuffle, then the activation.

    Sub-pixel convolution after Shi et al. (2016).
    """

    def __init__(
        self, in_channels: int, out_channels: int, activation: Activation = "leaky"
    ) -> None:
        super().__init__(
            nn.Conv2d(in_channels, 4 * out_channels, 3, 1, 1),
            nn.PixelShuffle(2),
            make_activation(activation, in_place=True),
        )


class ResBlock(nn.Module):
    """A residual block of two convolutions 3x3, after He et al. (2016), without a norm.

    single_conv: with one convolution only.
    """

    def __init__(
        self, channels: int, activation: Activation = "leaky", single_conv: bool = False
    ) -> None:
        super().__init__()
        convolutions = (
            nn.Conv2d(channels, channels, 3, 1, 1) for _ in range(1 if single_conv else 2)
        )
        first, *second = convolutions
        self.inner = nn.Sequential(
            first,
            *(
                layer
                for each in second
                for layer in (make_activation(activation, RES_SLOPE, True), each)
            ),
        )
        self.activation = make_activation(activation, RES_SLOPE, in_place=True)

    def forward(self, maps: Tensor) -> Tensor:
        activated: Tensor = self.activation(maps + self.inner(maps))
        return activated


class UnshuffleDown(nn.Sequential):
    """Half the size: a convolution at full size, pixel unshuffle, then the activation."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, dilation: int = 1) -> None:
        reach = dilation * (kernel // 2)
        look = nn.Conv2d(in_channels, out_channels // 4, kernel, padding=reach, dilation=dilation)
        super().__init__(look, nn.PixelUnshuffle(2), make_activation("leaky", in_place=True))


class HighResResidual(nn.Module):
    """A residual computed at twice the size: `Up`, `ResBlock`, convolution 5x5, pixel unshuffle.

    channels: a multiple of 4.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        look = nn.Conv2d(channels // 2, channels // 4, 5, 1, 2)
        self.inner = nn.Sequential(
            Up(channels, channels // 2), ResBlock(channels // 2), look, nn.PixelUnshuffle(2)
        )
        self.activation = make_activation("leaky", RES_SLOPE, in_place=True)

    def forward(self, maps: Tensor) -> Tensor:
        activated: Tensor = self.activation(maps + self.inner(maps))
        return activated


class UpDownResidual(nn.Module):
    """A residual computed at twice the size, which is given on as well.

    `Up` to half the channels, `ResBlock`, convolution 5x5 of stride 2. channels: even.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.up = nn.Sequential(Up(channels, channels // 2), ResBlock(channels // 2))
        self.down = nn.Conv2d(channels // 2, channels, 5, 2, 2)
        self.activation = make_activation("leaky", RES_SLOPE, in_place=True)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Return the maps (N, C, H, W), and those at twice the size, (N, C / 2, 2 H, 2 W)."""
        larger = self.up(maps)
        return self.activation(maps + self.down(larger)), larger


class DepthwiseDown(nn.Sequential):
    """`Down` for little memory: a depthwise, then a pointwise convolution. After Chollet (2017)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, in_channels, 5, 2, 2, groups=in_channels, bias=False),
            nn.Conv2d(in_channels, out_channels, 1),
            make_activation("leaky", in_place=True),
        )


class ScaledResidual(nn.Module):
    """A residual block of two convolutions 3x3, scaled by a factor that is learnt from 0.1 on."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        convolutions = (nn.Conv2d(channels, channels, 3, 1, 1) for _ in range(2))
        self.inner = nn.Sequential(
            *(
                layer
                for each in convolutions
                for layer in (make_activation("leaky", RES_SLOPE), each)
            )
        )
        self.gain = nn.Parameter(torch.tensor(0.1))
        self.activation = make_activation("leaky", RES_SLOPE, in_place=True)

    def forward(self, maps: Tensor) -> Tensor:
        activated: Tensor = self.activation(maps + self.gain * self.inner(maps))
        return activated


def make_activation(
    activation: Activation, slope: float = SLOPE, in_place: bool = False
) -> nn.Module:
    """Return what follows a convolution: leaky ReLU, or x cos(x).

    in_place: write into the memory of the input, which nobody else may need then.
    """
    return GrowingCosine() if activation == "cosine" else nn.LeakyReLU(slope, in_place)


class PersonModulation(nn.Module):
    """Feature maps modulated by whose face it is: a gain per channel and a bias per place.

    The maps (N, C, S, S) come in blocks of `sizes` rows, one block for each person. Aligned faces
    have their features in the same places, so this is enough to tell two people apart.
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
    """Scale each of N codes or maps to a root mean square of 1. After Karras et al. (2018)."""

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
def init_weights(net: nn.Module, init: Init, generator: torch.Generator) -> None:
    """Fill every weight of `net` from `generator`; zero every bias and every buffer. In place.

    kaiming: normal, for leaky ReLU (He et al. 2015); a small net leaves the mean face within a
    minute. glorot: uniform (Glorot and Bengio 2010), as the classic models start. aware:
    convolutions from `convolution_aware`, all else as glorot.
    """
    for buffer in net.buffers():
        buffer.zero_()
    for layer in net.modules():
        if isinstance(layer, PersonModulation):
            nn.init.zeros_(layer.gain)
            nn.init.normal_(layer.bias, std=PERSON_BIAS_STD, generator=generator)
        if isinstance(layer, ScaledResidual):
            nn.init.constant_(layer.gain, 0.1)
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            if init == "kaiming":
                nn.init.kaiming_normal_(layer.weight, a=SLOPE, generator=generator)
            elif init == "aware" and isinstance(layer, nn.Conv2d):
                layer.weight.copy_(convolution_aware(tuple(layer.weight.shape), generator))
            else:
                nn.init.xavier_uniform_(layer.weight, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def use_reflection_padding(net: nn.Module) -> None:
    """Pad every convolution of `net` by reflection in place of zeros: no grey rim. In place."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            layer.padding_mode = "reflect"


def convolution_aware(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Draw convolution-aware kernels, after Aghajanyan (2017).

    Args:
        shape: (out, in, height, width) of the kernels.
        generator: Where the numbers come from.

    Returns:
        Kernels of that shape, those of one output orthogonal in frequency; variance 2 / fan-in.
    """
    out_channels, in_channels, height, width = shape
    places = height * (width // 2 + 1)
    kernels = 0.05 * torch.randn(shape, generator=generator)
    if places > 1:
        drawn = torch.randn(
            out_channels, in_channels // places + 1, places, places, generator=generator
        )
        bases, _, _ = torch.linalg.svd(drawn.triu() + drawn.triu(1).mT)
        spectra = bases.mT.flatten(1, 2)[:, :in_channels].unflatten(2, (height, width // 2 + 1))
        kernels += torch.fft.irfft2(spectra.to(torch.complex64), (height, width))
    fan_in = in_channels * height * width
    return kernels * (2 / fan_in / kernels.var()).sqrt()
