"""A network as other programs run it from ONNX: channels last, BGR, one person at a time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from understudy.nets.autoencoder.swappers import (
    DecodedFace,
    MorphSwapper,
    SharedDecoder,
    Swapper,
    TwoInters,
)


class FaceGraph(nn.Module):
    """Faces (N, R, R, 3) BGR in 0..1 to dst's mask (N, R, R, 1), the swapped face, and its mask.

    Each person is decoded in a pass of its own, so that N may stay open: a graph cannot cut a batch
    in two whose size it does not know.
    """

    def __init__(self, net: Swapper) -> None:
        super().__init__()
        self.net = net

    def forward(self, in_face: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return _outputs(*self.decode(in_face.flip(-1).permute(0, 3, 1, 2)))

    def decode(self, dst: Tensor) -> tuple[DecodedFace, DecodedFace]:
        """Return the swapped and the rebuilt face, as `Swapper.swap` does."""
        net = self.net
        if isinstance(net, SharedDecoder):
            maps = net.inter(net.encoder(dst * 2 - 1))
            return DecodedFace(*net.decoder(maps, (dst.shape[0], 0))), DecodedFace(
                *net.decoder(maps, (0, dst.shape[0]))
            )
        if isinstance(net, TwoInters):
            features = net.encoder(dst)
            shared, own = net.ab(features), net.b(features)
            src_maps, dst_maps = torch.cat([shared, shared], 1), torch.cat([own, shared], 1)
            return net.decode_src(src_maps), DecodedFace(*net.decoder(dst_maps))
        return net.swap(dst)


class MorphGraph(nn.Module):
    """A `FaceGraph` with a second input: how much becomes src's, float32 (1,) in 0..1."""

    place: Tensor

    def __init__(self, net: MorphSwapper) -> None:
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
            DecodedFace(*net.decoder(maps))
            for maps in (torch.where(own, net.src(code), as_dst), as_dst)
        )
        return _outputs(swapped, rebuilt)


def export_graph(net: Swapper) -> FaceGraph | MorphGraph:
    """Return the module to export for a network."""
    return MorphGraph(net) if isinstance(net, MorphSwapper) else FaceGraph(net)


def _outputs(swapped: DecodedFace, rebuilt: DecodedFace) -> tuple[Tensor, Tensor, Tensor]:
    return (
        _channels_last(rebuilt.mask),
        _channels_last(swapped.face).flip(-1),
        _channels_last(swapped.mask),
    )


def _channels_last(planes: Tensor) -> Tensor:
    return planes.permute(0, 2, 3, 1)
