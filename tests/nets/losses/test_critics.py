import numpy as np
import pytest
import torch
from torch import nn

from understudy.errors import BadOption
from understudy.nets.autoencoder.blocks import init_weights
from understudy.nets.losses.critics import (
    CodeCritic,
    PatchCritic,
    as_tuple,
    frozen_logits,
    gan_loss,
    resolve_patch,
    strides_for,
)

# Patch, strides, millions of parameters with 16 dims.
PLANS = [
    (3, (2,), 0.010),
    (8, (2, 2), 0.055),
    (12, (2, 1, 2), 0.234),
    (16, (2, 2, 2), 0.234),
    (20, (2, 1, 2, 2), 0.947),
    (24, (2, 2, 1, 2), 0.947),
    (28, (2, 1, 2, 1, 2), 3.80),
    (32, (2, 2, 2, 2), 0.947),
    (40, (2, 2, 1, 2, 2), 3.80),
    (48, (2, 2, 2, 1, 2), 3.80),
    (64, (2, 2, 2, 2, 2), 3.80),
    (80, (2, 2, 2, 1, 2, 2), 9.70),
]


def millions(net: nn.Module) -> float:
    return sum(weight.numel() for weight in net.parameters()) / 1e6


def started(net: nn.Module) -> nn.Module:
    init_weights(net, "glorot", torch.Generator().manual_seed(0))
    return net


@pytest.mark.parametrize(("patch", "strides", "size"), PLANS)
def test_a_patch_has_its_stack_and_its_size(
    patch: int, strides: tuple[int, ...], size: float
) -> None:
    assert strides_for(patch) == strides
    with torch.device("meta"):
        assert millions(PatchCritic(patch, 16)) == pytest.approx(size, rel=5e-3, abs=6e-4)


@pytest.mark.parametrize(("size", "count"), [(8, 2.23), (16, 6.95)])
def test_the_code_critic_has_its_size(size: int, count: float) -> None:
    with torch.device("meta"):
        critic = CodeCritic(256, size)
        assert round(millions(critic), 2) == count
        assert critic(torch.rand(2, 256, size, size)).shape[:2] == (2, 1)


@pytest.mark.parametrize(
    ("size", "widths"),
    [(8, [256, 512]), (16, [256, 512, 1024]), (40, [256, 512, 1024, 2048, 2048])],
)
def test_the_early_code_critic_has_two_steps_and_one_for_each_doubling(
    size: int, widths: list[int]
) -> None:
    with torch.device("meta"):
        critic = CodeCritic(64, size, early=True)
        found = [layer.out_channels for layer in critic if isinstance(layer, nn.Conv2d)]
        assert (
            found == [*widths, 1]
            and critic[0](torch.rand(1, 64, size, size)).shape[-1] == size // 2
        )


@pytest.mark.parametrize("patch", [3, 12, 16, 28])
def test_a_patch_critic_judges_patches_and_every_pixel(patch: int) -> None:
    with torch.device("meta"):
        centre, whole = PatchCritic(patch, 4)(torch.rand(2, 3, 64, 64))
    assert whole.shape == (2, 1, 64, 64) and centre.shape == (
        2,
        1,
        *(64 // 2 ** strides_for(patch).count(2),) * 2,
    )


def test_the_centre_sees_a_patch_and_no_more() -> None:
    critic, faces = started(PatchCritic(16, 8)), torch.rand(1, 3, 64, 64, requires_grad=True)
    critic(faces)[0][0, 0, 4, 4].backward()
    assert faces.grad is not None
    rows = faces.grad.abs().sum((0, 1, 3)).nonzero()
    assert int(rows.max() - rows.min()) + 1 == 15


def test_a_verdict_teaches_the_painter_and_not_the_critic() -> None:
    critic, faces = started(PatchCritic(7, 4)), torch.rand(1, 3, 32, 32, requires_grad=True)
    said = frozen_logits(critic, faces)
    assert all(
        torch.equal(one, other) for one, other in zip(said, as_tuple(critic(faces)), strict=True)
    )
    gan_loss(said, True).backward()
    assert faces.grad is not None and float(faces.grad.abs().sum()) > 0
    assert all(weight.grad is None for weight in critic.parameters())


def test_being_taken_for_true_is_cross_entropy() -> None:
    logits = torch.randn(3, 1, 5, 5, generator=torch.Generator().manual_seed(0)) * 3
    values = 1 / (1 + np.exp(-logits.double().numpy()))
    assert float(gan_loss([logits], True)) == pytest.approx(-np.log(values).mean(), rel=1e-5)
    assert float(gan_loss([logits, logits], False)) == pytest.approx(
        -2 * np.log(1 - values).mean(), rel=1e-5
    )


def test_left_alone_the_patch_fits_every_face() -> None:
    assert [resolve_patch(side, None) for side in (64, 128, 224, 256, 640)] == [7, 15, 31, 31, 63]
    assert all(
        side % 2 ** strides_for(resolve_patch(side, None)).count(2) == 0
        for side in range(64, 641, 16)
    )


def test_a_patch_that_does_not_fit_is_refused_with_those_that_do() -> None:
    assert resolve_patch(96, 28) == 28
    with pytest.raises(BadOption, match=r"multiple of 32\. Take 7 or 15 or 31"):
        resolve_patch(400, 64)
    with pytest.raises(BadOption, match="3 at least"):
        resolve_patch(128, 2)
