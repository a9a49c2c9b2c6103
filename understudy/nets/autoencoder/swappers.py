"""Whole networks: one encoder for two people, and a way out for each of them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from understudy.nets import ranks
from understudy.nets.autoencoder.decoders import PersonalDecoder
from understudy.nets.autoencoder.encoders import Columns, Encoder, Inter, Spread


class Painted(NamedTuple):
    """Faces (N, 3, R, R) and their masks (N, 1, R, R) in 0..1; from some decoders also at a quarter
    and at half of the size.
    """

    face: Tensor
    mask: Tensor
    quarter: Tensor | None = None
    half: Tensor | None = None


class Rebuilt(NamedTuple):
    """Both people as themselves, and the codes (B, C) that a swap takes from one to the other.

    src_maps, swap_maps: what `Swapper.as_src` paints src's face and the swapped one from. swapped:
    the dst faces with src's identity, from networks that learn from them.
    """

    src: Painted
    dst: Painted
    src_code: Tensor
    dst_code: Tensor
    src_maps: Tensor
    swap_maps: Tensor
    swapped: Painted | None = None


class Swapper(nn.Module):
    """What a model asks of its network.

    forward: src and dst faces (B, 3, R, R) each, rebuilt. swap: dst faces with src's identity, and
    as themselves. as_src: what src's way out makes of maps (B, C, S, S).
    """

    def forward(self, src: Tensor, dst: Tensor) -> Rebuilt:
        raise NotImplementedError

    def swap(self, dst: Tensor) -> tuple[Painted, Painted]:
        raise NotImplementedError

    def as_src(self, maps: Tensor) -> Painted:
        raise NotImplementedError


class TwoDecoders(Swapper):
    """One encoder and inter for both people, one decoder each: src's decoder paints what it is told
    of dst's expression.
    """

    def __init__(
        self, encoder: Encoder | Columns, inter: Inter, src: nn.Module, dst: nn.Module
    ) -> None:
        super().__init__()
        self.encoder, self.inter, self.src, self.dst = encoder, inter, src, dst

    def forward(self, src: Tensor, dst: Tensor) -> Rebuilt:
        # One pass for both: the same work in larger pieces.
        codes = self.inter.code(self.encoder(torch.cat([src, dst])))
        (src_maps, dst_maps), (src_code, dst_code) = self.inter.maps(codes).chunk(2), codes.chunk(2)
        return Rebuilt(
            self.as_src(src_maps),
            Painted(*self.dst(dst_maps)),
            src_code,
            dst_code,
            src_maps,
            dst_maps,
        )

    def swap(self, dst: Tensor) -> tuple[Painted, Painted]:
        maps = self.inter(self.encoder(dst))
        return self.as_src(maps), Painted(*self.dst(maps))

    def as_src(self, maps: Tensor) -> Painted:
        return Painted(*self.src(maps))


class TwoPersonas(Swapper):
    """One encoder, inter and decoder for both people, which paints as src or as dst; it also paints
    the swap while it learns.

    The encoder sees faces as -1..1.
    """

    def __init__(self, encoder: Encoder, inter: Inter, decoder: PersonalDecoder) -> None:
        super().__init__()
        self.encoder, self.inter, self.decoder = encoder, inter, decoder

    def forward(self, src: Tensor, dst: Tensor) -> Rebuilt:
        codes = self.inter.code(self.encoder(_signed(torch.cat([src, dst]))))
        (src_maps, dst_maps), (src_code, dst_code) = self.inter.maps(codes).chunk(2), codes.chunk(2)
        faces, masks = self.decoder(
            torch.cat([src_maps, dst_maps, dst_maps]), (2 * len(src), len(dst))
        )
        own, swapped, rebuilt = (
            Painted(*each) for each in zip(faces.chunk(3), masks.chunk(3), strict=True)
        )
        return Rebuilt(own, rebuilt, src_code, dst_code, src_maps, dst_maps, swapped)

    def swap(self, dst: Tensor) -> tuple[Painted, Painted]:
        maps = self.inter(self.encoder(_signed(dst)))
        faces, masks = self.decoder(torch.cat([maps, maps]), (len(dst), len(dst)))
        swapped, rebuilt = (
            Painted(*each) for each in zip(faces.chunk(2), masks.chunk(2), strict=True)
        )
        return swapped, rebuilt

    def as_src(self, maps: Tensor) -> Painted:
        return Painted(*self.decoder(maps, (len(maps), 0)))


class TwoInters(Swapper):
    """One encoder, one decoder and two inters: `ab` learns what both share, `b` what only dst has.

    src is painted from (ab, ab), dst from (b, ab), the swap from dst's (ab, ab).
    """

    def __init__(self, encoder: Encoder | Columns, ab: Inter, b: Inter, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.ab, self.b, self.decoder = encoder, ab, b, decoder

    def forward(self, src: Tensor, dst: Tensor) -> Rebuilt:
        features = self.encoder(torch.cat([src, dst]))
        codes = self.ab.code(features)
        src_shared, dst_shared = self.ab.maps(codes).chunk(2)
        src_code, dst_code = codes.chunk(2)
        src_maps, swap_maps = _twice(src_shared), _twice(dst_shared)
        both = self._both(src_maps, self.b(features[len(src) :]), dst_shared)
        return Rebuilt(*both, src_code, dst_code, src_maps, swap_maps)

    def swap(self, dst: Tensor) -> tuple[Painted, Painted]:
        features = self.encoder(dst)
        shared = self.ab(features)
        return self._both(_twice(shared), self.b(features), shared)

    def as_src(self, maps: Tensor) -> Painted:
        return Painted(*self.decoder(maps))

    def _both(
        self, src_maps: Tensor, dst_own: Tensor, dst_shared: Tensor
    ) -> tuple[Painted, Painted]:
        return _halves(self.decoder(torch.cat([src_maps, torch.cat([dst_own, dst_shared], 1)])))


class Morph(Swapper):
    """One encoder, one decoder, and an inter for each person; a face is painted from channels of
    both.

    src is painted from its own maps, but for a share of channels, other ones each time, that come
    from dst's inter; so the two mix, and a swap takes its first `morph` of channels from src's.
    share: of channels that are src's own while it learns.
    """

    # How many batches were drawn for: chance follows from it alone, and it is saved with the
    # weights.
    drawn: Tensor

    def __init__(
        self, encoder: Encoder, code: int, spread: int, decoder: nn.Module, share: float
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.squeeze = nn.Sequential(
            nn.Flatten(), nn.Linear(encoder.channels * encoder.size**2, code)
        )
        self.src, self.dst = (Spread(code, spread, encoder.size) for _ in range(2))
        self.share, self.morph = share, 1.0
        self.register_buffer("drawn", torch.zeros((), dtype=torch.int64))

    def forward(self, src: Tensor, dst: Tensor) -> Rebuilt:
        src_code, dst_code = self.squeeze(self.encoder(torch.cat([src, dst]))).chunk(2)
        as_dst, dst_maps = self.dst(torch.cat([src_code, dst_code])).chunk(2)
        rank, size = ranks.place()
        order = noise(self.drawn, size * len(src), self.src.channels)[rank::size].argsort(1)
        self.drawn += 1
        own = (order < int(self.src.channels * self.share))[:, :, None, None]
        src_maps = torch.where(own, self.src(src_code), as_dst)
        both = _halves(self.decoder(torch.cat([src_maps, dst_maps])))
        return Rebuilt(
            *both,
            src_code,
            dst_code,
            src_maps,
            self._mixed(self.src(dst_code), dst_maps, self.morph),
        )

    def swap(self, dst: Tensor) -> tuple[Painted, Painted]:
        swapped, rebuilt = self.at(dst, (self.morph, 0.0))
        return swapped, rebuilt

    def at(self, faces: Tensor, morphs: tuple[float, ...]) -> list[Painted]:
        """Faces of either person with these shares of their channels from src's inter: 0 = as dst,
        1 = as src.
        """
        code = self.squeeze(self.encoder(faces))
        as_src, as_dst = self.src(code), self.dst(code)
        maps = torch.cat([self._mixed(as_src, as_dst, morph) for morph in morphs])
        return [
            Painted(*each)
            for each in zip(
                *(planes.chunk(len(morphs)) for planes in self.decoder(maps)), strict=True
            )
        ]

    def as_src(self, maps: Tensor) -> Painted:
        return Painted(*self.decoder(maps))

    def _mixed(self, as_src: Tensor, as_dst: Tensor, morph: float) -> Tensor:
        count = int(self.src.channels * morph)
        return torch.cat([as_src[:, :count], as_dst[:, count:]], 1)


def noise(number: Tensor, rows: int, columns: int) -> Tensor:
    """Chance that follows from a whole number alone, on any device: int64 (rows, columns).
    SplitMix64, Steele et al. (2014).
    """
    places = torch.arange(rows * columns, device=number.device) + number * (rows * columns)
    mixed = places * -7046029254386353131
    for shift, factor in ((30, -4658895280553007687), (27, -7723592293110705685)):
        # Shifts of int64 copy the sign; the mask takes those copies away.
        mixed = (mixed ^ ((mixed >> shift) & ((1 << (64 - shift)) - 1))) * factor
    return (mixed ^ ((mixed >> 31) & ((1 << 33) - 1))).view(rows, columns)


def _twice(maps: Tensor) -> Tensor:
    return torch.cat([maps, maps], 1)


def _halves(painted: tuple[Tensor, ...]) -> tuple[Painted, Painted]:
    """What was painted of two people in one pass."""
    first, second = (
        Painted(*each) for each in zip(*(planes.chunk(2) for planes in painted), strict=True)
    )
    return first, second


def _signed(faces: Tensor) -> Tensor:
    return faces * 2 - 1
