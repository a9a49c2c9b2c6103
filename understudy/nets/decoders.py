"""From a map to a face and its mask, both in 0..1: (N, 3, R, R) and (N, 1, R, R)."""

from __future__ import annotations

from torch import Tensor, nn

from understudy.nets.blocks import Personas, Up


class TwoBranches(nn.Module):
    """A decoder whose face and mask share nothing but the map they start from."""

    def __init__(self, inward: int, face: tuple[int, ...], mask: tuple[int, ...]) -> None:
        super().__init__()
        self.face = _stack(inward, face, 3)
        self.mask = _stack(inward, mask, 1)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        return self.face(maps).sigmoid(), self.mask(maps).sigmoid()


class PersonalDecoder(nn.Module):
    """One decoder for several people: all convolutions are shared, and whose face it paints is told by `Personas` alone.

    So an open mouth that only one of them was seen with is something that it can paint on the other. From maps (N, inward,
    size, size), in blocks of `sizes`, one for each of them; face and mask come from the same features. fold: the last step
    paints squares of so many pixels at once.
    """

    def __init__(self, people: int, inward: int, size: int, widths: tuple[int, ...], fold: int = 1) -> None:
        super().__init__()
        self.ups = nn.ModuleList(Up(before, after) for before, after in zip((inward, *widths), widths, strict=False))
        sizes = [size * 2**step for step in range(len(widths) + 1)]
        self.personas = nn.ModuleList(Personas(people, *place) for place in zip((inward, *widths), sizes, strict=True))
        self.head = nn.Sequential(nn.Conv2d(widths[-1], 4 * fold**2, 3, 1, 1), nn.PixelShuffle(fold))

    def forward(self, maps: Tensor, sizes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        maps = self.personas[0](maps, sizes)
        for up, personas in zip(self.ups, self.personas[1:], strict=True):
            maps = personas(up(maps), sizes)
        both = self.head(maps).sigmoid()
        return both[:, :3], both[:, 3:]


def _stack(inward: int, widths: tuple[int, ...], channels: int) -> nn.Sequential:
    ups = (Up(before, after) for before, after in zip((inward, *widths), widths, strict=False))
    return nn.Sequential(*ups, nn.Conv2d(widths[-1], channels, 5, 1, 2))
