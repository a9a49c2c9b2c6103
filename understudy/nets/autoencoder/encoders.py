"""From a face to a code, and from a code to the map that decoders start from."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from understudy.nets.autoencoder.blocks import Curve, Down, FoldDown, Gained, PixelNorm, Res, Up


class Encoder(nn.Sequential):
    """Faces (N, 3, R, R) as feature maps: one `Down` a width.

    fold: squares of so many pixels become channels first, which spares the costly work at full
    size. refined: after these of the widths comes a `Res`. normalised: bring each face's features
    to a root mean square of 1. Its `channels` and `size` describe what comes out for faces of
    `resolution` pixels.
    """

    def __init__(
        self,
        resolution: int,
        widths: tuple[int, ...],
        fold: int = 1,
        refined: tuple[int, ...] = (),
        normalised: bool = False,
        curve: Curve = "leaky",
    ) -> None:
        layers: list[nn.Module] = [nn.PixelUnshuffle(fold)] if fold > 1 else []
        for step, (inward, outward) in enumerate(zip((3 * fold**2, *widths), widths, strict=False)):
            layers += [
                Down(inward, outward, curve),
                *([Res(outward, curve)] if step in refined else []),
            ]
        super().__init__(*layers, *([PixelNorm(1e-6)] if normalised else []))
        self.channels, self.size = widths[-1], resolution // (fold * 2 ** len(widths))
        self.curve = curve


def deep_encoder(resolution: int, channels: int, depth: int) -> Encoder:
    """An encoder that first looks long at half the size: `depth` blocks and a way around all of
    them. channels: a multiple of 4.
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
            Around(*(Gained(channels) for _ in range(depth))),
            *gathered,
        ),
    )
    return encoder


class Columns(nn.Module):
    """Faces (N, 3, R, R) as feature maps: four encoders side by side, each of which sees another
    reach. As `Encoder` otherwise.
    """

    # Side and dilation of each column's convolutions.
    LOOKS = ((3, 1), (5, 1), (5, 2), (7, 2))
    curve: Curve = "leaky"

    def __init__(self, resolution: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.columns = nn.ModuleList(
            nn.Sequential(
                *(FoldDown(*step, *look) for step in zip((3, *widths), widths, strict=False))
            )
            for look in self.LOOKS
        )
        self.channels, self.size = len(self.LOOKS) * widths[-1], resolution // 2 ** len(widths)

    def forward(self, faces: Tensor) -> Tensor:
        return torch.cat([column(faces) for column in self.columns], 1)


class Inter(nn.Module):
    """Feature maps squeezed through a code and spread out again: dense to `code`, dense to size x
    size, then one `Up`.

    out: channels of that last step; None leaves it out. normalised: bring each code to a root mean
    square of 1, so that every face keeps the same say. size: side of what is spread; None = that of
    the features.
    """

    def __init__(
        self,
        encoder: Encoder | Columns,
        code: int,
        spread: int,
        out: int | None,
        normalised: bool = False,
        size: int | None = None,
    ) -> None:
        super().__init__()
        side = size or encoder.size
        self.squeeze = nn.Sequential(
            nn.Flatten(), nn.Linear(encoder.channels * encoder.size**2, code)
        )
        self.norm = PixelNorm() if normalised else nn.Identity()
        self.spread = Spread(code, spread, side)
        self.up = nn.Identity() if out is None else Up(spread, out, encoder.curve)
        self.channels, self.size = (spread, side) if out is None else (out, 2 * side)

    def code(self, features: Tensor) -> Tensor:
        """The codes (N, code) of feature maps."""
        code: Tensor = self.norm(self.squeeze(features))
        return code

    def maps(self, code: Tensor) -> Tensor:
        """What a decoder starts from, (N, channels, size, size)."""
        maps: Tensor = self.up(self.spread(code))
        return maps

    def forward(self, features: Tensor) -> Tensor:
        return self.maps(self.code(features))


class Spread(nn.Sequential):
    """Codes (N, code) as maps (N, channels, size, size), by one dense layer."""

    def __init__(self, code: int, channels: int, size: int) -> None:
        super().__init__(
            nn.Linear(code, channels * size**2), nn.Unflatten(1, (channels, size, size))
        )
        self.channels, self.size = channels, size


class Around(nn.Module):
    """What layers make of maps, on top of these maps."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.inner = nn.Sequential(*layers)

    def forward(self, maps: Tensor) -> Tensor:
        made: Tensor = self.inner(maps)
        return maps + made
