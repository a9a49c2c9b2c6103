"""From a face to a code, and from a code to the map that decoders start from."""

from __future__ import annotations

from torch import Tensor, nn

from understudy.nets.blocks import Down, PixelNorm, Up


class Encoder(nn.Sequential):
    """Faces (N, 3, R, R) as feature maps: one `Down` a width.

    fold: squares of so many pixels become channels first, which spares the costly work at full size. Its `channels` and
    `size` describe what comes out for faces of `resolution` pixels.
    """

    def __init__(self, resolution: int, widths: tuple[int, ...], fold: int = 1) -> None:
        downs = (Down(inward, outward) for inward, outward in zip((3 * fold**2, *widths), widths, strict=False))
        super().__init__(*([nn.PixelUnshuffle(fold)] if fold > 1 else []), *downs)
        self.channels, self.size = widths[-1], resolution // (fold * 2 ** len(widths))


class Inter(nn.Module):
    """Feature maps squeezed through a code and spread out again: dense to `code`, dense to size x size, then one `Up`.

    normalised: bring each code to a root mean square of 1, so that every face keeps the same say.
    """

    def __init__(self, encoder: Encoder, code: int, spread: int, out: int, normalised: bool = False) -> None:
        super().__init__()
        self.squeeze = nn.Sequential(nn.Flatten(), nn.Linear(encoder.channels * encoder.size**2, code))
        self.norm = PixelNorm() if normalised else nn.Identity()
        self.spread = nn.Sequential(
            nn.Linear(code, spread * encoder.size**2), nn.Unflatten(1, (spread, encoder.size, encoder.size))
        )
        self.up = Up(spread, out)
        self.channels = out

    def code(self, features: Tensor) -> Tensor:
        """The codes (N, code) of feature maps."""
        code: Tensor = self.norm(self.squeeze(features))
        return code

    def maps(self, code: Tensor) -> Tensor:
        """What a decoder starts from, (N, out, 2 size, 2 size)."""
        maps: Tensor = self.up(self.spread(code))
        return maps

    def forward(self, features: Tensor) -> Tensor:
        return self.maps(self.code(features))
