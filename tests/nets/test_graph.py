"""The network as other programs run it gives what a swap gives."""

from __future__ import annotations

import pytest
import torch

from understudy.nets.autoencoder.blocks import init_weights
from understudy.nets.autoencoder.decoders import ConditionalDecoder, FaceMaskDecoder
from understudy.nets.autoencoder.encoders import Encoder, Inter
from understudy.nets.autoencoder.swappers import (
    MorphSwapper,
    SharedDecoder,
    Swapper,
    TwoDecoders,
    TwoInters,
)
from understudy.nets.graph import MorphGraph, export_graph
from understudy.parts.models import models

SIDE = 32


def net(kind: type[Swapper]) -> Swapper:
    encoder = Encoder(SIDE, (4, 8, 8))
    if kind is MorphSwapper:
        made: Swapper = MorphSwapper(encoder, 8, 10, FaceMaskDecoder(10, (8, 8, 4), (4, 4, 4)), 0.5)
    elif kind is SharedDecoder:
        inter = Inter(encoder, 8, 8, 8, pixel_norm=True)
        made = SharedDecoder(encoder, inter, ConditionalDecoder(2, 8, inter.size, (8, 4)))
    elif kind is TwoInters:
        ab, b = (Inter(encoder, 8, 8, 8) for _ in range(2))
        made = TwoInters(encoder, ab, b, FaceMaskDecoder(16, (8, 4), ()))
    else:
        inter = Inter(encoder, 8, 8, 8)
        made = TwoDecoders(encoder, inter, *(FaceMaskDecoder(8, (8, 4), (4, 4)) for _ in range(2)))
    init_weights(made, "kaiming", torch.Generator().manual_seed(3))
    return made.eval()


@pytest.mark.parametrize("kind", [TwoDecoders, SharedDecoder, TwoInters, MorphSwapper])
@torch.no_grad()
def test_a_graph_takes_and_gives_bgr_with_the_channels_last(kind: type[Swapper]) -> None:
    swapper, faces = net(kind), torch.rand(3, 3, SIDE, SIDE)
    extra = [torch.ones(1)] if kind is MorphSwapper else []
    dst_mask, face, mask = export_graph(swapper)(faces.permute(0, 2, 3, 1).flip(-1), *extra)
    swapped, rebuilt = swapper.swap(faces)
    assert (
        swapped.face.std() > 0.02 and (swapped.face[:, 0] - swapped.face[:, 2]).abs().max() > 0.02
    )
    for given, wanted in (
        (face, swapped.face.flip(1)),
        (mask, swapped.mask),
        (dst_mask, rebuilt.mask),
    ):
        assert torch.allclose(given, wanted.permute(0, 2, 3, 1), atol=1e-6)


@torch.no_grad()
def test_the_morph_of_a_graph_is_how_many_channels_come_from_src() -> None:
    swapper, faces = net(MorphSwapper), torch.rand(2, 3, SIDE, SIDE)
    assert isinstance(swapper, MorphSwapper)
    graph, seen = MorphGraph(swapper), faces.permute(0, 2, 3, 1).flip(-1)
    # Ten channels: 0.25 of them are two.
    for morph, same in ((0.0, 0.0), (0.25, 0.2), (0.5, 0.5), (1.0, 1.0)):
        (wanted,) = swapper.decode_at(faces, (same,))
        assert torch.allclose(
            graph(seen, torch.tensor([morph]))[1],
            wanted.face.flip(1).permute(0, 2, 3, 1),
            atol=1e-6,
        )
    assert not torch.allclose(
        graph(seen, torch.zeros(1))[1], graph(seen, torch.ones(1))[1], atol=1e-3
    )


@pytest.mark.parametrize("name", list(models))
def test_every_model_is_built_around_a_net_that_has_a_graph(name: str) -> None:
    with torch.device("meta"):
        model = models[name]().build()
        graph, side = export_graph(model.net), model.resolution  # type: ignore[arg-type]
        extra = [torch.ones(1)] if isinstance(graph, MorphGraph) else []
        with torch.no_grad():
            made = graph(torch.zeros(2, side, side, 3), *extra)
    assert [tuple(each.shape) for each in made] == [
        (2, side, side, channels) for channels in (1, 3, 1)
    ]
