"""Encoders: from a face to a code, and from a code to the maps that decoders start from."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from understudy.nets.autoencoder.blocks import (
    Activation,
    Down,
    PixelNorm,
    ResBlock,
    ScaledResidual,
    UnshuffleDown,
    Up,
)


class Encoder(nn.Sequential):
    """Faces (N, 3, R, R) to feature maps (N, `channels`, `size`, `size`), by one `Down` a width.

    fold: factor of a pixel unshuffle at the start, which spares the costly work at full size.
    residual_at: a `ResBlock` follows these of the widths. pixel_norm: bring each face's features to
    a root mean square of 1. `channels` and `size` hold for faces of `resolution` pixels.
    """

    def __init__(
        self,
        resolution: int,
        widths: tuple[int, ...],
        fold: int = 1,
        residual_at: tuple[int, ...] = (),
        pixel_norm: bool = False,
        activation: Activation = "leaky",
    ) -> None:
        layers: list[nn.Module] = [nn.PixelUnshuffle(fold)] if fold > 1 else []
        for step, (in_channels, out_channels) in enumerate(
            zip((3 * fold**2, *widths), widths, strict=False)
        ):
            layers += [
                Down(in_channels, out_channels, activation),
                *([ResBlock(out_channels, activation)] if step in residual_at else []),
            ]
        super().__init__(*layers, *([PixelNorm(1e-6)] if pixel_norm else []))
        self.channels, self.size = widths[-1], resolution // (fold * 2 ** len(widths))
        self.activation = activation


def deep_encoder(resolution: int, channels: int, depth: int) -> Encoder:
    """Return an encoder that starts at half the size: `depth` residual blocks and one long skip.

    channels: a multiple of 4.
    """
    encoder = Encoder(resolution // 2, tuple(channels * 2**step for step in range(4)))
    encoder[0] = Down(channels // 4, channels)
    gathered = [
        Down(channels, channels),
        nn.PixelShuffle(2),
        Down(channels // 4, channels),
        nn.PixelShuffle(2),
    ]
    encoder.insert(
        0,
        nn.Sequential(
            nn.Conv2d(3, channels, 5, 2, 2),
            Residual(*(ScaledResidual(channels) for _ in range(depth))),
            *gathered,
        ),
    )
    return encoder


class MultiColumnEncoder(nn.Module):
    """Four encoders side by side, each with another receptive field. Otherwise as `Encoder`.

    widths: of each column. strided: steps of stride 2, in place of `UnshuffleDown`.
    """

    # Side and dilation of each column's convolutions.
    COLUMNS = ((3, 1), (5, 1), (5, 2), (7, 2))
    activation: Activation = "leaky"

    def __init__(
        self, resolution: int, widths: tuple[tuple[int, ...], ...], strided: bool = False
    ) -> None:
        super().__init__()
        self.columns = nn.ModuleList(
            nn.Sequential(
                *(
                    Down(before, after, kernel=kernel, dilation=dilation)
                    if strided
                    else UnshuffleDown(before, after, kernel, dilation)
                    for before, after in zip((3, *column), column, strict=False)
                )
            )
            for (kernel, dilation), column in zip(self.COLUMNS, widths, strict=True)
        )
        self.channels = sum(column[-1] for column in widths)
        self.size = resolution // 2 ** len(widths[0])

    def forward(self, faces: Tensor) -> Tensor:
        return torch.cat([column(faces) for column in self.columns], 1)


class Inter(nn.Module):
    """The bottleneck: feature maps to a code and back to maps, by two dense layers, then one `Up`.

    out: channels of that last step; None leaves it out. pixel_norm: bring each code to a root mean
    square of 1, so that every face keeps the same weight. size: side of the maps after the code;
    None = that of the features.
    """

    def __init__(
        self,
        encoder: Encoder | MultiColumnEncoder,
        code: int,
        spread: int,
        out: int | None,
        pixel_norm: bool = False,
        size: int | None = None,
    ) -> None:
        super().__init__()
        side = size or encoder.size
        self.squeeze = nn.Sequential(
            nn.Flatten(), nn.Linear(encoder.channels * encoder.size**2, code)
        )
        self.norm = PixelNorm() if pixel_norm else nn.Identity()
        self.spread = CodeToMaps(code, spread, side)
        self.up = nn.Identity() if out is None else Up(spread, out, encoder.activation)
        self.channels, self.size = (spread, side) if out is None else (out, 2 * side)

    def code(self, features: Tensor) -> Tensor:
        """Return the codes (N, code) of feature maps (N, C, S, S)."""
        code: Tensor = self.norm(self.squeeze(features))
        return code

    def maps(self, code: Tensor) -> Tensor:
        """Return what a decoder starts from, (N, channels, size, size), from codes (N, code)."""
        maps: Tensor = self.up(self.spread(code))
        return maps

    def forward(self, features: Tensor) -> Tensor:
        return self.maps(self.code(features))


class CodeToMaps(nn.Sequential):
    """Codes (N, code) to maps (N, channels, size, size), by one dense layer."""

    def __init__(self, code: int, channels: int, size: int) -> None:
        super().__init__(
            nn.Linear(code, channels * size**2), nn.Unflatten(1, (channels, size, size))
        )
        self.channels, self.size = channels, size


class Residual(nn.Module):
    """Layers with a skip around all of them."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.inner = nn.Sequential(*layers)

    def forward(self, maps: Tensor) -> Tensor:
        made: Tensor = self.inner(maps)
        return maps + made
