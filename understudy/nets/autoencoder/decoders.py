"""From a map to a face and its mask, both in 0..1: (N, 3, R, R) and (N, 1, R, R)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from understudy.nets.autoencoder.blocks import Closer, Curve, Gained, Personas, Res, Up


@dataclass(frozen=True)
class Brush:
    """How a decoder paints. residuals: `Res` after each step of the face. kernel: side of the last
    convolution.

    quartered: four heads paint a pixel each of every two by two. shortened: of the `Res`. gained,
    closer: a `Gained`, a `Closer` after each step. multiscale: paint the face at half and at a
    quarter of its size, too, to learn from.
    """

    residuals: int = 0
    kernel: int = 5
    quartered: bool = False
    curve: Curve = "leaky"
    shortened: bool = False
    gained: bool = False
    closer: bool = False
    multiscale: bool = False


class TwoBranches(nn.Module):
    """A decoder whose face and mask share nothing but the map they start from.

    face, mask: widths of their steps, each of which doubles the size. Without `mask` everything
    counts as face.
    """

    def __init__(
        self, inward: int, face: tuple[int, ...], mask: tuple[int, ...], brush: Brush | None = None
    ) -> None:
        super().__init__()
        brush = brush or Brush()
        head = Quarters(face[-1], 3) if brush.quartered else _head(face[-1], 3, brush.kernel)
        self.face = nn.Sequential(*_steps(inward, face, brush), head)
        plain = replace(brush, residuals=0, gained=False, closer=False)
        self.mask = (
            nn.Sequential(*_steps(inward, mask, plain), _head(mask[-1], 1, brush.kernel))
            if mask
            else None
        )
        # After so many layers the maps have a quarter of the face's size, and half of it.
        per_step = 1 + brush.residuals + brush.gained + brush.closer
        self.after = [per_step * (len(face) - back) for back in (2, 1)] if brush.multiscale else []
        self.smaller = nn.ModuleList(
            _head(face[-1 - back], 3, brush.kernel) for back in (2, 1)[: len(self.after)]
        )

    def forward(self, maps: Tensor) -> tuple[Tensor, ...]:
        """Face and mask; and, to learn from, the face at a quarter and at half of the size where it
        paints these, too.
        """
        # In fp32: bf16 knows but 128 steps between a half and one.
        painted: list[Tensor] = []
        seen = maps
        for count, layer in enumerate(self.face, 1):
            seen = layer(seen)
            if count in self.after:
                painted.append(self.smaller[len(painted)](seen).float().sigmoid())
        face = seen.float().sigmoid()
        # The clamp makes ones: a sigmoid is never above. `ones_like` would fix the batch's size
        # where this becomes a graph.
        mask = (
            face[:, :1].detach().clamp(min=1)
            if self.mask is None
            else self.mask(maps).float().sigmoid()
        )
        return face, mask, *painted


class Quarters(nn.Module):
    """Maps (N, inward, H, W) as (N, channels, 2 H, 2 W): four convolutions, the first 1x1, each
    with its pixel of every square.
    """

    def __init__(self, inward: int, channels: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(_head(inward, channels, side) for side in (1, 3, 3, 3))
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, maps: Tensor) -> Tensor:
        painted: Tensor = self.shuffle(
            torch.stack([head(maps) for head in self.heads], 2).flatten(1, 2)
        )
        return painted


class PersonalDecoder(nn.Module):
    """One decoder for several people: all convolutions are shared, and whose face it paints is told
    by `Personas` alone.

    So an open mouth that only one of them was seen with is something that it can paint on the
    other. From maps (N, inward, size, size), in blocks of `sizes`, one for each of them; face and
    mask come from the same features. fold: the last step paints squares of so many pixels at once.
    """

    def __init__(
        self, people: int, inward: int, size: int, widths: tuple[int, ...], fold: int = 1
    ) -> None:
        super().__init__()
        self.ups = nn.ModuleList(
            Up(before, after) for before, after in zip((inward, *widths), widths, strict=False)
        )
        sizes = [size * 2**step for step in range(len(widths) + 1)]
        self.personas = nn.ModuleList(
            Personas(people, *place) for place in zip((inward, *widths), sizes, strict=True)
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


def _steps(inward: int, widths: tuple[int, ...], brush: Brush) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for before, after in zip((inward, *widths), widths, strict=False):
        layers += [
            Up(before, after, brush.curve),
            *(Res(after, brush.curve, brush.shortened) for _ in range(brush.residuals)),
        ]
        layers += [
            *([Gained(after)] if brush.gained else []),
            *([Closer(after)] if brush.closer else []),
        ]
    return layers


def _head(inward: int, channels: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(inward, channels, kernel, 1, kernel // 2)
