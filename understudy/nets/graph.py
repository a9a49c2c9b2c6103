"""A network as other programs run it: pictures in their order of axes and colours, person by
person.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from understudy.nets.autoencoder.swappers import Morph, Painted, Swapper, TwoInters, TwoPersonas


class FaceGraph(nn.Module):
    """Faces (N, R, R, 3), BGR in 0..1, as dst's mask (N, R, R, 1), src's face acting dst's part,
    and the mask of that.

    Each person is painted in a pass of its own, so that N may stay open: a graph cannot cut a batch
    in two whose size it does not know.
    """

    def __init__(self, net: Swapper) -> None:
        super().__init__()
        self.net = net

    def forward(self, in_face: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return _told(*self.painted(in_face.flip(-1).permute(0, 3, 1, 2)))

    def painted(self, dst: Tensor) -> tuple[Painted, Painted]:
        """As `Swapper.swap`."""
        net = self.net
        if isinstance(net, TwoPersonas):
            maps = net.inter(net.encoder(dst * 2 - 1))
            return Painted(*net.decoder(maps, (dst.shape[0], 0))), Painted(
                *net.decoder(maps, (0, dst.shape[0]))
            )
        if isinstance(net, TwoInters):
            features = net.encoder(dst)
            shared, own = net.ab(features), net.b(features)
            src_maps, dst_maps = torch.cat([shared, shared], 1), torch.cat([own, shared], 1)
            return net.as_src(src_maps), Painted(*net.decoder(dst_maps))
        return net.swap(dst)


class MorphGraph(nn.Module):
    """The same with how much of the face becomes src's as a second input, float32 (1,) in 0..1."""

    place: Tensor

    def __init__(self, net: Morph) -> None:
        super().__init__()
        self.net = net
        self.register_buffer(
            "place", torch.arange(net.src.channels, dtype=torch.float32)[:, None, None]
        )

    def forward(self, in_face: Tensor, morph_value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        net = self.net
        code = net.squeeze(net.encoder(in_face.flip(-1).permute(0, 3, 1, 2)))
        as_dst = net.dst(code)
        own = self.place < (morph_value * net.src.channels).floor()
        swapped, rebuilt = (
            Painted(*net.decoder(maps))
            for maps in (torch.where(own, net.src(code), as_dst), as_dst)
        )
        return _told(swapped, rebuilt)


def graph_of(net: Swapper) -> FaceGraph | MorphGraph:
    """The graph of a network."""
    return MorphGraph(net) if isinstance(net, Morph) else FaceGraph(net)


def _told(swapped: Painted, rebuilt: Painted) -> tuple[Tensor, Tensor, Tensor]:
    return _last(rebuilt.mask), _last(swapped.face).flip(-1), _last(swapped.mask)


def _last(planes: Tensor) -> Tensor:
    return planes.permute(0, 2, 3, 1)
