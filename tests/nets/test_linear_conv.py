import contextlib
import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from understudy.nets import checkpointing, linear_conv
from understudy.nets.autoencoder.blocks import Down, Up
from understudy.nets.optim import optimizers


def learnt(net: nn.Module, maps: Tensor) -> list[Tensor]:
    """What comes out, and the gradients of what went in and of all weights, computed in bf16."""
    maps = maps.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        painted = net(maps)
    net.zero_grad()
    painted.float().square().sum().backward()
    assert maps.grad is not None
    return [
        painted.detach().float(),
        maps.grad,
        *(weight.grad for weight in net.parameters() if weight.grad is not None),
    ]


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: Up(256, 128), (2, 256, 4, 4)),
        (lambda: Up(256, 128), (1, 256, 4, 6)),
        (lambda: Down(128, 128), (2, 128, 8, 7)),
        (lambda: nn.Sequential(nn.Conv2d(256, 128, 3, dilation=2, bias=False)), (2, 256, 6, 7)),
        (lambda: nn.Sequential(nn.Linear(512, 64)), (3, 512)),
    ],
)
def test_an_unrolled_layer_learns_the_same(
    make: Callable[[], nn.Sequential], shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear_conv, "MIN_WEIGHTS_PER_OUTPUT", 1)
    torch.manual_seed(0)
    net, maps = make(), torch.randn(shape)
    as_it_was = copy.deepcopy(net)
    linear_conv.enable_matmul(net)
    with torch.autocast("cpu", torch.bfloat16):
        assert "MatmulLayer" in str(net[0](maps).grad_fn)
    for ours, theirs in zip(learnt(net, maps), learnt(as_it_was, maps), strict=True):
        assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
        assert float((ours - theirs).norm() / theirs.norm()) < 0.006


def test_it_keeps_neither_weights_in_bf16_nor_more_than_went_in() -> None:
    layer, kept = nn.Conv2d(256, 256, 3, padding=1), 0
    linear_conv.enable_matmul(layer)

    def count(tensor: Tensor) -> Tensor:
        nonlocal kept
        kept += tensor.nbytes if tensor.data_ptr() != layer.weight.data_ptr() else 0
        return tensor

    with (
        torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16),
    ):
        layer(torch.randn(1, 256, 4, 4))
    assert kept == 2 * 256 * 4 * 4


def test_layers_that_meet_many_pixels_and_all_in_fp32_are_computed_as_before() -> None:
    torch.manual_seed(0)
    net = nn.Conv2d(16, 16, 3, padding=1)
    few, many, before = torch.randn(1, 16, 1, 1), torch.randn(2, 16, 8, 8), copy.deepcopy(net)
    linear_conv.enable_matmul(net)
    for maps in (few, many):
        assert torch.equal(net(maps), before(maps))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(net(many), before(many)) and "Product" not in str(net(many).grad_fn)


def test_what_is_frozen_and_what_has_other_borders_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_conv, "MIN_WEIGHTS_PER_OUTPUT", 1)
    frozen, mirrored = (
        nn.Conv2d(64, 64, 3, padding=1),
        nn.Conv2d(64, 64, 3, padding=1, padding_mode="reflect"),
    )
    frozen.requires_grad_(False)
    for layer in (frozen, mirrored):
        before, maps = copy.deepcopy(layer), torch.randn(1, 64, 4, 4)
        linear_conv.enable_matmul(layer)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(layer(maps), before(maps))


def test_it_goes_with_computing_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_conv, "MIN_WEIGHTS_PER_OUTPUT", 1)
    torch.manual_seed(0)
    net = nn.Sequential(Down(3, 64), Up(64, 64))
    again, maps = copy.deepcopy(net), torch.randn(2, 3, 8, 8)
    for each in (net, again):
        linear_conv.enable_matmul(each)
    checkpointing.enable_checkpointing(again)
    assert all(
        torch.equal(one, other)
        for one, other in zip(learnt(net, maps), learnt(again, maps), strict=True)
    )


@pytest.mark.parametrize("kind", ["adam", "adabelief", "rmsprop"])
def test_optimizers_take_its_gradients_in_bf16_to_the_same_weights(
    kind: optimizers.OptimizerName, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear_conv, "MIN_WEIGHTS_PER_OUTPUT", 1)
    monkeypatch.setattr(optimizers, "CHUNK_NUMEL", 1 << 10)
    torch.manual_seed(0)
    piecewise, whole, maps = Up(64, 16), Up(64, 16), torch.randn(2, 64, 4, 4)
    whole.load_state_dict(piecewise.state_dict())
    for net in (piecewise, whole):
        linear_conv.enable_matmul(net)
        (optimizer,) = optimizers.build_optimizers(
            kind, {"net": dict(net.named_parameters())}, 0.01
        ).values()
        for _ in range(3):
            at_once = (
                optimizers.step_in_backward(optimizer, net.parameters())
                if net is piecewise
                else contextlib.nullcontext()
            )
            with at_once, torch.autocast("cpu", torch.bfloat16):
                net(maps).float().square().mean().backward()
            if net is whole:
                optimizer.step()
                optimizer.zero_grad()
    assert all(
        torch.equal(*pair) for pair in zip(piecewise.parameters(), whole.parameters(), strict=True)
    )
    assert all(
        weight.grad is None and weight.grad_dtype == torch.float32
        for weight in piecewise.parameters()
    )
