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
    """Both people as themselves, and the codes (B, C) that a swap takes from one to the other.

    swapped: the dst faces with src's identity, from networks that learn from them.
    """

    src: Painted
    dst: Painted
    src_code: Tensor
    dst_code: Tensor
    swapped: Painted | None = None


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
        (src_maps, dst_maps), (src_code, dst_code) = self.inter.maps(codes).chunk(2), codes.chunk(2)
        return Rebuilt(Painted(*self.src(src_maps)), Painted(*self.dst(dst_maps)), src_code, dst_code)

    def swap(self, dst: Tensor) -> tuple[Painted, Painted]:
        maps = self.inter(self.encoder(dst))
        return Painted(*self.src(maps)), Painted(*self.dst(maps))


class TwoPersonas(Swapper):
    """One encoder, inter and decoder for both people, which paints as src or as dst; it also paints the swap while it learns.

    The encoder sees faces as -1..1.
    """

    def __init__(self, encoder: Encoder, inter: Inter, decoder: PersonalDecoder) -> None:
        super().__init__()
        self.encoder, self.inter, self.decoder = encoder, inter, decoder

    def forward(self, src: Tensor, dst: Tensor) -> Rebuilt:
        codes = self.inter.code(self.encoder(_signed(torch.cat([src, dst]))))
        (src_maps, dst_maps), (src_code, dst_code) = self.inter.maps(codes).chunk(2), codes.chunk(2)
        faces, masks = self.decoder(torch.cat([src_maps, dst_maps, dst_maps]), (2 * len(src), len(dst)))
        own, swapped, rebuilt = (Painted(*each) for each in zip(faces.chunk(3), masks.chunk(3), strict=True))
        return Rebuilt(own, rebuilt, src_code, dst_code, swapped)

    def swap(self, dst: Tensor) -> tuple[Painted, Painted]:
        maps = self.inter(self.encoder(_signed(dst)))
        faces, masks = self.decoder(torch.cat([maps, maps]), (len(dst), len(dst)))
        swapped, rebuilt = (Painted(*each) for each in zip(faces.chunk(2), masks.chunk(2), strict=True))
        return swapped, rebuilt


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
        src_code, dst_code = codes.chunk(2)
        return Rebuilt(*self._painted(src_shared, self.b(features[len(src) :]), dst_shared), src_code, dst_code)

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
