"""ESRGAN's network gives what its paper's figure says, reckoned here from its weights one
convolution after the other.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from understudy.nets.pretrained.rrdb import RRDB


def reckoned(weights: list[Tensor], picture: Tensor, blocks: int) -> Tensor:
    """weights: kernel and bias of each convolution in the order in which a picture passes them."""
    left = iter(weights)

    def convolved(maps: Tensor, bent: bool = True) -> Tensor:
        found = functional.conv2d(maps, next(left), next(left), padding=1)
        return torch.where(found > 0, found, 0.2 * found) if bent else found

    def larger(maps: Tensor) -> Tensor:
        return maps.repeat_interleave(2, 2).repeat_interleave(2, 3)

    first = maps = convolved(picture, bent=False)
    for _ in range(blocks):
        outer = maps
        for _ in range(3):
            seen = maps
            for _ in range(4):
                seen = torch.cat([seen, convolved(seen)], 1)
            maps = maps + 0.2 * convolved(seen, bent=False)
        maps = outer + 0.2 * maps
    maps = first + convolved(maps, bent=False)
    result = convolved(convolved(convolved(larger(convolved(larger(maps))))), bent=False)
    assert next(left, None) is None
    return result


def test_the_network_is_that_of_the_paper() -> None:
    torch.manual_seed(0)
    net, picture = RRDB(blocks=2, channels=6, growth=3), torch.rand(2, 3, 5, 7)
    with torch.no_grad():
        found = net(picture)
        assert found.shape == (2, 3, 20, 28)
        assert torch.allclose(found, reckoned(list(net.parameters()), picture, 2), atol=1e-5)


def test_it_has_the_16_7_million_weights_that_are_published() -> None:
    with torch.device("meta"):
        net = RRDB()
    assert sum(each.numel() for each in net.parameters()) == 16_697_987
