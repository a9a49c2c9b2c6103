"""Whole networks: one encoder for two people, and a way out for each of them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from understudy.nets.decoders import PersonalDecoder
from understudy.nets.encoders import Encoder, Inter


class Painted(NamedTuple):
    """Faces (N, 3, R, R) and their masks (N, 1, R, R) in 0..1."""

    face: Tensor
    mask: Tensor


class Rebuilt(NamedTuple):
    """Both people as themselves, and the codes (B, C) that a swap takes from one to the other."""

    src: Painted
    dst: Painted
    src_code: Tensor
    dst_code: Tensor


class Swapper(nn.Module):
    """What a model asks of its network.

    forward: src and dst faces (B, 3, R, R) each, rebuilt. swap: dst faces with src's identity, and as
    themselves.
    """

    def forward(self, src: Tensor, dst: Tensor) -> Rebuilt:
        raise NotImplementedError

    def swap(self, dst: Tensor) -> tuple[Painted, Painted]:
        raise NotImplementedError


class TwoDecoders(Swapper):
    """One encoder and inter for both people, one decoder each: src's decoder paints what it is told of dst's expression."""

    def __init__(self, encoder: Encoder, inter: Inter, src: nn.Module, dst: nn.Module) -> None:
        super().__init__()
        self.encoder, self.inter, self.src, self.dst = encoder, inter, src, dst

    def forward(self, src: Tensor, dst: Tensor) -> Rebuilt:
        # One pass for both: the same work in larger pieces.
        codes = self.inter.code(self.encoder(torch.cat([src, dst])))
        src_maps, dst_maps = self.inter.maps(codes).chunk(2)
        return Rebuilt(Painted(*self.src(src_maps)), Painted(*self.dst(dst_maps)), *codes.chunk(2))

    def swap(self, dst: Tensor) -> tuple[Painted, Painted]:
        maps = self.inter(self.encoder(dst))
        return Painted(*self.src(maps)), Painted(*self.dst(maps))


class TwoPersonas(Swapper):
    """One encoder, inter and decoder for both people; the decoder paints the first half as src, the second as dst.

    The encoder sees faces as -1..1.
    """

    def __init__(self, encoder: Encoder, inter: Inter, decoder: PersonalDecoder) -> None:
        super().__init__()
        self.encoder, self.inter, self.decoder = encoder, inter, decoder

    def forward(self, src: Tensor, dst: Tensor) -> Rebuilt:
        codes = self.inter.code(self.encoder(_signed(torch.cat([src, dst]))))
        return Rebuilt(*self._painted(self.inter.maps(codes)), *codes.chunk(2))

    def swap(self, dst: Tensor) -> tuple[Painted, Painted]:
        maps = self.inter(self.encoder(_signed(dst)))
        return self._painted(torch.cat([maps, maps]))

    def _painted(self, maps: Tensor) -> tuple[Painted, Painted]:
        """The first half of the maps as src, the second as dst.

        The encoder sees faces as -1..1.
        """
        half = len(maps) // 2
        faces, masks = self.decoder(maps)
        return Painted(faces[:half], masks[:half]), Painted(faces[half:], masks[half:])


class TwoInters(Swapper):
    """One encoder, one decoder and two inters: `ab` learns what both share, `b` what only dst has.

    src is painted from (ab, ab), dst from (b, ab), the swap from dst's (ab, ab).
    """

    def __init__(self, encoder: Encoder, ab: Inter, b: Inter, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.ab, self.b, self.decoder = encoder, ab, b, decoder

    def forward(self, src: Tensor, dst: Tensor) -> Rebuilt:
        features = self.encoder(torch.cat([src, dst]))
        codes = self.ab.code(features)
        src_shared, dst_shared = self.ab.maps(codes).chunk(2)
        return Rebuilt(*self._painted(src_shared, self.b(features[len(src) :]), dst_shared), *codes.chunk(2))

    def swap(self, dst: Tensor) -> tuple[Painted, Painted]:
        features = self.encoder(dst)
        shared = self.ab(features)
        return self._painted(shared, self.b(features), shared)

    def _painted(self, src_shared: Tensor, dst_own: Tensor, dst_shared: Tensor) -> tuple[Painted, Painted]:
        maps = torch.cat([torch.cat([src_shared, src_shared], 1), torch.cat([dst_own, dst_shared], 1)])
        faces, masks = self.decoder(maps)
        half = len(src_shared)
        return Painted(faces[:half], masks[:half]), Painted(faces[half:], masks[half:])


def _signed(faces: Tensor) -> Tensor:
    return faces * 2 - 1
