"""Decoders: from maps to a face (N, 3, R, R) and its mask (N, 1, R, R), both in 0..1."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from understudy.nets.autoencoder.blocks import (
    Activation,
    HighResResidual,
    PersonModulation,
    ResBlock,
    ScaledResidual,
    Up,
    UpDownResidual,
)


@dataclass(frozen=True)
class DecoderConfig:
    """How a decoder is built.

    residuals: `ResBlock`s after each step of the face. kernel: side of the last convolution.
    pixel_shuffle_head: four heads make one pixel each of every two by two. single_conv: of the
    `ResBlock`s. scaled_residual, highres_residual: such a block after each step. cross_fed: the
    steps of the face are `CrossFedSteps`, with nothing else. multiscale: also make the face at half
    and at a quarter of its size, for the loss.
    """

    residuals: int = 0
    kernel: int = 5
    pixel_shuffle_head: bool = False
    activation: Activation = "leaky"
    single_conv: bool = False
    scaled_residual: bool = False
    highres_residual: bool = False
    cross_fed: bool = False
    multiscale: bool = False


class FaceMaskDecoder(nn.Module):
    """A decoder whose face and mask share nothing but the maps they start from.

    face, mask: widths of their steps, each of which doubles the size. Without `mask` everything
    counts as face.
    """

    def __init__(
        self,
        in_channels: int,
        face: tuple[int, ...],
        mask: tuple[int, ...],
        config: DecoderConfig | None = None,
    ) -> None:
        super().__init__()
        config = config or DecoderConfig()
        head = (
            PixelShuffleHead(face[-1], 3)
            if config.pixel_shuffle_head
            else _output_conv(face[-1], 3, config.kernel)
        )
        steps = (
            [CrossFedSteps(in_channels, face)]
            if config.cross_fed
            else _upsampling_blocks(in_channels, face, config)
        )
        self.face = nn.Sequential(*steps, head)
        plain = replace(config, residuals=0, scaled_residual=False, highres_residual=False)
        self.mask = (
            nn.Sequential(
                *_upsampling_blocks(in_channels, mask, plain),
                _output_conv(mask[-1], 1, config.kernel),
            )
            if mask
            else None
        )
        # After so many layers the maps have a quarter of the face's size, and half of it.
        per_step = 1 + config.residuals + config.scaled_residual + config.highres_residual
        self.after = [per_step * (len(face) - back) for back in (2, 1)] if config.multiscale else []
        self.smaller = nn.ModuleList(
            _output_conv(face[-1 - back], 3, config.kernel) for back in (2, 1)[: len(self.after)]
        )

    def forward(self, maps: Tensor) -> tuple[Tensor, ...]:
        """Return face and mask; if multiscale also the face at a quarter and at half its size."""
        # In fp32: bf16 knows but 128 steps between a half and one.
        smaller: list[Tensor] = []
        features = maps
        for count, layer in enumerate(self.face, 1):
            features = layer(features)
            if count in self.after:
                smaller.append(self.smaller[len(smaller)](features).float().sigmoid())
        face = features.float().sigmoid()
        # The clamp makes ones: a sigmoid is never above. `ones_like` would fix the batch's size
        # where this becomes a graph.
        mask = (
            face[:, :1].detach().clamp(min=1)
            if self.mask is None
            else self.mask(maps).float().sigmoid()
        )
        return face, mask, *smaller


class CrossFedSteps(nn.Module):
    """Steps of `Up` and `UpDownResidual`; what each residual saw at twice the size feeds the next.

    widths: each half of the one before.
    """

    def __init__(self, in_channels: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.ups = nn.ModuleList(
            Up(before, after) for before, after in zip((in_channels, *widths), widths, strict=False)
        )
        self.residuals = nn.ModuleList(UpDownResidual(width) for width in widths)

    def forward(self, maps: Tensor) -> Tensor:
        larger: Tensor | None = None
        for up, residual in zip(self.ups, self.residuals, strict=True):
            maps = up(maps) if larger is None else up(maps) + larger
            maps, larger = residual(maps)
        return maps


class PixelShuffleHead(nn.Module):
    """Maps (N, in_channels, H, W) to (N, channels, 2 H, 2 W); each pixel of two by two has a head.

    The first head is a convolution 1x1, the others are 3x3.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            _output_conv(in_channels, channels, side) for side in (1, 3, 3, 3)
        )
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, maps: Tensor) -> Tensor:
        faces: Tensor = self.shuffle(
            torch.stack([head(maps) for head in self.heads], 2).flatten(1, 2)
        )
        return faces


class ConditionalDecoder(nn.Module):
    """One decoder for several people: only `PersonModulation` tells it whose face to make.

    All convolutions are shared, so an open mouth seen with one person can be made for the other.
    Maps (N, in_channels, size, size) come in blocks of `sizes`, one for each person. Face and mask
    come from the same features. fold: factor of the last pixel shuffle.
    """

    def __init__(
        self, people: int, in_channels: int, size: int, widths: tuple[int, ...], fold: int = 1
    ) -> None:
        super().__init__()
        self.ups = nn.ModuleList(
            Up(before, after) for before, after in zip((in_channels, *widths), widths, strict=False)
        )
        sizes = [size * 2**step for step in range(len(widths) + 1)]
        self.personas = nn.ModuleList(
            PersonModulation(people, *place)
            for place in zip((in_channels, *widths), sizes, strict=True)
        )
        self.head = nn.Sequential(
            nn.Conv2d(widths[-1], 4 * fold**2, 3, 1, 1), nn.PixelShuffle(fold)
        )

    def forward(self, maps: Tensor, sizes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        maps = self.personas[0](maps, sizes)
        for up, personas in zip(self.ups, self.personas[1:], strict=True):
            maps = personas(up(maps), sizes)
        both = self.head(maps).float().sigmoid()
        return both[:, :3], both[:, 3:]


def _upsampling_blocks(
    in_channels: int, widths: tuple[int, ...], config: DecoderConfig
) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for before, after in zip((in_channels, *widths), widths, strict=False):
        layers += [
            Up(before, after, config.activation),
            *(
                ResBlock(after, config.activation, config.single_conv)
                for _ in range(config.residuals)
            ),
        ]
        layers += [
            *([ScaledResidual(after)] if config.scaled_residual else []),
            *([HighResResidual(after)] if config.highres_residual else []),
        ]
    return layers


def _output_conv(in_channels: int, channels: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, channels, kernel, 1, kernel // 2)
