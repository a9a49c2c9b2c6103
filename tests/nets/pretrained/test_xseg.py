import numpy as np
import pytest
import torch

from understudy.nets.pretrained.xseg import (
    BlurPool,
    FilterResponseNorm,
    ThresholdedLinearUnit,
    UpBlock,
    XSeg,
)


def maps(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_it_has_as_many_parameters_as_the_original() -> None:
    with torch.device("meta"):
        net = XSeg()
    assert round(sum(each.numel() for each in net.parameters()) / 1e6, 2) == 17.57


def test_every_pixel_of_every_face_gets_a_number_and_every_weight_learns() -> None:
    torch.manual_seed(0)
    net = XSeg(base=4, size=64)
    logits = net(maps(0, 2, 3, 64, 64))
    assert logits.shape == (2, 1, 64, 64) and logits.std() > 0
    logits.square().mean().backward()
    still = [
        name
        for name, each in net.named_parameters()
        if each.grad is None or not each.grad.abs().max() > 0
    ]
    assert still == []


def test_the_norm_divides_by_each_maps_own_mean_square() -> None:
    norm, came = FilterResponseNorm(5), maps(1, 2, 5, 6, 7)
    norm.gamma.data, norm.beta.data, norm.epsilon.data = maps(2, 5), maps(3, 5), torch.tensor(-0.3)
    x = came.numpy()
    expected = np.empty_like(x)
    for face in range(2):
        for channel in range(5):
            spread = np.sqrt(np.mean(x[face, channel] ** 2) + 0.3)
            expected[face, channel] = (
                x[face, channel] / spread * norm.gamma[channel].item() + norm.beta[channel].item()
            )
    assert np.allclose(norm(came).detach().numpy(), expected, atol=1e-5)


def test_the_threshold_is_the_channels_own() -> None:
    bound, came = ThresholdedLinearUnit(3), maps(4, 2, 3, 4, 4)
    bound.tau.data = torch.tensor([-0.5, 0, 0.5])
    for channel, least in enumerate((-0.5, 0, 0.5)):
        assert np.array_equal(
            bound(came)[:, channel].detach(), np.maximum(came[:, channel].numpy(), least)
        )


@pytest.mark.parametrize(
    ("size", "row", "before"), [(2, (1, 1), 0), (3, (1, 2, 1), 1), (4, (1, 3, 3, 1), 1)]
)
def test_pooling_looks_through_a_binomial_filter(
    size: int, row: tuple[int, ...], before: int
) -> None:
    came = maps(5, 1, 2, 8, 10)
    padded = np.pad(came.numpy(), ((0, 0), (0, 0), (before, size), (before, size)))
    expected = np.zeros((1, 2, 4, 5))
    for y in range(4):
        for x in range(5):
            window = padded[:, :, 2 * y : 2 * y + size, 2 * x : 2 * x + size]
            expected[:, :, y, x] = (window * np.outer(row, row)).sum((2, 3)) / sum(row) ** 2
    assert np.allclose(BlurPool(size)(came).numpy(), expected, atol=1e-6)


def test_the_way_up_lays_what_came_across_behind_what_rose() -> None:
    rise = UpBlock(3, 2, 4, 1)
    seen: list[torch.Tensor] = []
    rise.blocks.register_forward_pre_hook(lambda _, given: seen.extend(given))
    across = maps(6, 1, 4, 8, 8)
    assert rise(maps(7, 1, 3, 4, 4), across).shape == (1, 4, 8, 8)
    assert seen[0].shape == (1, 6, 8, 8) and torch.equal(seen[0][:, 2:], across)
