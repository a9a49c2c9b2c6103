"""Whole networks: one encoder for two people, and a way to decode each of them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from understudy.nets import ranks
from understudy.nets.autoencoder.decoders import ConditionalDecoder
from understudy.nets.autoencoder.encoders import CodeToMaps, Encoder, Inter, MultiColumnEncoder


class DecodedFace(NamedTuple):
    """Faces (N, 3, R, R) and masks (N, 1, R, R) in 0..1; some decoders add faces of R/4 and R/2."""

    face: Tensor
    mask: Tensor
    quarter: Tensor | None = None
    half: Tensor | None = None


class Reconstruction(NamedTuple):
    """Both people as themselves, and the codes (B, C) that a swap takes from one to the other.

    src_maps, swap_maps: the maps from which `Swapper.decode_src` makes src's face and the swapped
    one. swapped, swapped_src: the dst faces with src's identity and the other way round, from
    networks that learn from them.
    """

    src: DecodedFace
    dst: DecodedFace
    src_code: Tensor
    dst_code: Tensor
    src_maps: Tensor
    swap_maps: Tensor
    swapped: DecodedFace | None = None
    swapped_src: DecodedFace | None = None


class Swapper(nn.Module):
    """The network of a face model.

    forward: src and dst faces (B, 3, R, R) each, rebuilt. swap: dst faces with src's identity, and
    as themselves. decode_src: src's face from maps (B, C, S, S).
    """

    def forward(self, src: Tensor, dst: Tensor) -> Reconstruction:
        raise NotImplementedError

    def swap(self, dst: Tensor) -> tuple[DecodedFace, DecodedFace]:
        raise NotImplementedError

    def decode_src(self, maps: Tensor) -> DecodedFace:
        raise NotImplementedError


class TwoDecoders(Swapper):
    """One encoder and inter for both people, one decoder each: src's decodes dst's expression."""

    def __init__(
        self, encoder: Encoder | MultiColumnEncoder, inter: Inter, src: nn.Module, dst: nn.Module
    ) -> None:
        super().__init__()
        self.encoder, self.inter, self.src, self.dst = encoder, inter, src, dst

    def forward(self, src: Tensor, dst: Tensor) -> Reconstruction:
        # One pass for both: the same work in larger pieces.
        codes = self.inter.code(self.encoder(torch.cat([src, dst])))
        (src_maps, dst_maps), (src_code, dst_code) = self.inter.maps(codes).chunk(2), codes.chunk(2)
        return Reconstruction(
            self.decode_src(src_maps),
            DecodedFace(*self.dst(dst_maps)),
            src_code,
            dst_code,
            src_maps,
            dst_maps,
        )

    def swap(self, dst: Tensor) -> tuple[DecodedFace, DecodedFace]:
        maps = self.inter(self.encoder(dst))
        return self.decode_src(maps), DecodedFace(*self.dst(maps))

    def decode_src(self, maps: Tensor) -> DecodedFace:
        return DecodedFace(*self.src(maps))


class SharedDecoder(Swapper):
    """One encoder, inter and decoder for both people; the swap is made in training, too.

    The encoder sees faces as -1..1.
    """

    def __init__(self, encoder: Encoder, inter: Inter, decoder: ConditionalDecoder) -> None:
        super().__init__()
        self.encoder, self.inter, self.decoder = encoder, inter, decoder

    def forward(self, src: Tensor, dst: Tensor) -> Reconstruction:
        codes = self.inter.code(self.encoder(_to_signed(torch.cat([src, dst]))))
        (src_maps, dst_maps), (src_code, dst_code) = self.inter.maps(codes).chunk(2), codes.chunk(2)
        faces, masks = self.decoder(
            torch.cat([src_maps, dst_maps, dst_maps]), (2 * len(src), len(dst))
        )
        own, swapped, rebuilt = (
            DecodedFace(*each) for each in zip(faces.chunk(3), masks.chunk(3), strict=True)
        )
        return Reconstruction(own, rebuilt, src_code, dst_code, src_maps, dst_maps, swapped)

    def swap(self, dst: Tensor) -> tuple[DecodedFace, DecodedFace]:
        maps = self.inter(self.encoder(_to_signed(dst)))
        faces, masks = self.decoder(torch.cat([maps, maps]), (len(dst), len(dst)))
        swapped, rebuilt = (
            DecodedFace(*each) for each in zip(faces.chunk(2), masks.chunk(2), strict=True)
        )
        return swapped, rebuilt

    def decode_src(self, maps: Tensor) -> DecodedFace:
        return DecodedFace(*self.decoder(maps, (len(maps), 0)))


class TwoInters(Swapper):
    """One encoder, one decoder and two inters: `ab` learns what both share, `b` what only dst has.

    src is decoded from (ab, ab), dst from (b, ab), the swap from dst's (ab, ab).
    """

    def __init__(
        self, encoder: Encoder | MultiColumnEncoder, ab: Inter, b: Inter, decoder: nn.Module
    ) -> None:
        super().__init__()
        self.encoder, self.ab, self.b, self.decoder = encoder, ab, b, decoder

    def forward(self, src: Tensor, dst: Tensor) -> Reconstruction:
        features = self.encoder(torch.cat([src, dst]))
        codes = self.ab.code(features)
        src_shared, dst_shared = self.ab.maps(codes).chunk(2)
        src_code, dst_code = codes.chunk(2)
        src_maps, swap_maps = _concat_twice(src_shared), _concat_twice(dst_shared)
        both = self._decode_both(src_maps, self.b(features[len(src) :]), dst_shared)
        return Reconstruction(*both, src_code, dst_code, src_maps, swap_maps)

    def swap(self, dst: Tensor) -> tuple[DecodedFace, DecodedFace]:
        features = self.encoder(dst)
        shared = self.ab(features)
        return self._decode_both(_concat_twice(shared), self.b(features), shared)

    def decode_src(self, maps: Tensor) -> DecodedFace:
        return DecodedFace(*self.decoder(maps))

    def _decode_both(
        self, src_maps: Tensor, dst_own: Tensor, dst_shared: Tensor
    ) -> tuple[DecodedFace, DecodedFace]:
        return _split_people(
            self.decoder(torch.cat([src_maps, torch.cat([dst_own, dst_shared], 1)]))
        )


class MorphSwapper(Swapper):
    """One encoder, one decoder, and an inter for each person; faces mix channels of both.

    In training a random share of src's channels comes from dst's inter. A swap takes its first
    `morph` of channels from src's inter. share: of channels that are src's own in training.
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
        self.src, self.dst = (CodeToMaps(code, spread, encoder.size) for _ in range(2))
        self.share, self.morph = share, 1.0
        self.register_buffer("drawn", torch.zeros((), dtype=torch.int64))

    def forward(self, src: Tensor, dst: Tensor) -> Reconstruction:
        src_code, dst_code = self.squeeze(self.encoder(torch.cat([src, dst]))).chunk(2)
        as_dst, dst_maps = self.dst(torch.cat([src_code, dst_code])).chunk(2)
        rank, size = ranks.rank_and_world_size()
        order = splitmix64(self.drawn, size * len(src), self.src.channels)[rank::size].argsort(1)
        self.drawn += 1
        own = (order < int(self.src.channels * self.share))[:, :, None, None]
        src_maps = torch.where(own, self.src(src_code), as_dst)
        both = _split_people(self.decoder(torch.cat([src_maps, dst_maps])))
        return Reconstruction(
            *both,
            src_code,
            dst_code,
            src_maps,
            self._mix_channels(self.src(dst_code), dst_maps, self.morph),
        )

    def swap(self, dst: Tensor) -> tuple[DecodedFace, DecodedFace]:
        swapped, rebuilt = self.decode_at(dst, (self.morph, 0.0))
        return swapped, rebuilt

    def decode_at(self, faces: Tensor, morphs: tuple[float, ...]) -> list[DecodedFace]:
        """Decode faces of either person at each of these morphs.

        Args:
            faces: (N, 3, R, R) in 0..1.
            morphs: Shares of channels from src's inter: 0 = as dst, 1 = as src.

        Returns:
            One `DecodedFace` of N faces for each morph.
        """
        code = self.squeeze(self.encoder(faces))
        as_src, as_dst = self.src(code), self.dst(code)
        maps = torch.cat([self._mix_channels(as_src, as_dst, morph) for morph in morphs])
        return [
            DecodedFace(*each)
            for each in zip(
                *(planes.chunk(len(morphs)) for planes in self.decoder(maps)), strict=True
            )
        ]

    def decode_src(self, maps: Tensor) -> DecodedFace:
        return DecodedFace(*self.decoder(maps))

    def _mix_channels(self, as_src: Tensor, as_dst: Tensor, morph: float) -> Tensor:
        count = int(self.src.channels * morph)
        return torch.cat([as_src[:, :count], as_dst[:, count:]], 1)


def splitmix64(number: Tensor, rows: int, columns: int) -> Tensor:
    """Return random int64 (rows, columns) that follow from a whole number alone, on any device.

    SplitMix64 after Steele et al. (2014).
    """
    places = torch.arange(rows * columns, device=number.device) + number * (rows * columns)
    mixed = places * -7046029254386353131
    for shift, factor in ((30, -4658895280553007687), (27, -7723592293110705685)):
        # Shifts of int64 copy the sign; the mask takes those copies away.
        mixed = (mixed ^ ((mixed >> shift) & ((1 << (64 - shift)) - 1))) * factor
    return (mixed ^ ((mixed >> 31) & ((1 << 33) - 1))).view(rows, columns)


def _concat_twice(maps: Tensor) -> Tensor:
    return torch.cat([maps, maps], 1)


def _split_people(decoded: tuple[Tensor, ...]) -> tuple[DecodedFace, DecodedFace]:
    """What was decoded for two people in one pass, for each of them."""
    first, second = (
        DecodedFace(*each) for each in zip(*(planes.chunk(2) for planes in decoded), strict=True)
    )
    return first, second


def _to_signed(faces: Tensor) -> Tensor:
    return faces * 2 - 1
