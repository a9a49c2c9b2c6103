"""Layers with many weights and few places to use them: in bf16 on a CPU they are products of
matrices.

oneDNN's convolutions first bring weights into an order of their own, and their gradients back from
it: two to four times as much memory as the weights, and where these meet few pixels most of the
time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn.functional import fold, unfold

# Weights for each place of what comes out, from which on the product wins: measured at a third of
# the time up to just less.
SPARSE = 8192

Pair = tuple[int, int]
# Kernel, dilation, padding and stride of a convolution.
Look = tuple[Pair, Pair, Pair, Pair]


def unroll(net: nn.Module) -> None:
    """Let such layers of `net` learn as products of matrices, which keep no copy of their weights
    in bf16. In place.

    The same up to the rounding of bf16. It counts under autocast alone; all else is computed as
    before.
    """
    for layer in net.modules():
        if isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and _is_plain(layer)):
            layer.forward = partial(_sparse, layer, layer.forward)  # type: ignore[method-assign]


def _sparse(
    layer: nn.Linear | nn.Conv2d, forward: Callable[[Tensor], Tensor], maps: Tensor
) -> Tensor:
    look = _look(layer) if isinstance(layer, nn.Conv2d) else None
    size = _size(maps, look) if look else (1, 1)
    learns = (
        torch.is_grad_enabled() and layer.weight.requires_grad and torch.is_autocast_enabled("cpu")
    )
    if not learns or layer.weight.numel() < SPARSE * len(maps) * size[0] * size[1]:
        return forward(maps)
    product: Tensor = Product.apply(maps, layer.weight, layer.bias, look)  # type: ignore[no-untyped-call]
    return product


class Product(torch.autograd.Function):
    """What a layer makes of maps (N, C, H, W), or of codes (N, C) where it has no look, in bf16."""

    if TYPE_CHECKING:

        class Context(FunctionCtx):
            saved_tensors: tuple[Tensor, ...]
            needs_input_grad: tuple[bool, ...]
            look: Look | None
            size: Pair
            has_bias: bool

    @staticmethod
    def forward(
        ctx: Context, maps: Tensor, weight: Tensor, bias: Tensor | None, look: Look | None
    ) -> Tensor:
        seen, outward = maps.to(torch.bfloat16), len(weight)
        ctx.save_for_backward(seen, weight)
        ctx.look, ctx.has_bias, ctx.size = (
            look,
            bias is not None,
            _size(maps, look) if look else (1, 1),
        )
        found = _wide(weight) @ _columns(seen, look)
        if bias is not None:
            found += bias[:, None].to(found.dtype)
        # Into memory of its own: what follows bends it in place, which a view does not allow.
        painted = seen.new_empty((len(maps), outward, *ctx.size))
        painted.copy_(found.view(outward, len(maps), *ctx.size).transpose(0, 1))
        return painted if look else painted.view(len(maps), outward)

    @staticmethod
    @once_differentiable
    def backward(ctx: Context, slopes: Tensor) -> tuple[Tensor | None, ...]:
        seen, weight = ctx.saved_tensors
        rows = slopes.flatten(2).transpose(0, 1).flatten(1) if ctx.look else slopes.T
        towards = (
            _narrowed(_wide(weight).T @ rows, seen, ctx.look) if ctx.needs_input_grad[0] else None
        )
        own = (rows @ _columns(seen, ctx.look).T).view(weight.shape)
        return towards, own, rows.sum(1, dtype=torch.float32) if ctx.has_bias else None, None


def _wide(weight: Tensor) -> Tensor:
    """A row of weights for each channel that comes out, in bf16."""
    return weight.detach().to(torch.bfloat16).reshape(len(weight), -1)


def _columns(maps: Tensor, look: Look | None) -> Tensor:
    """What each place of what comes out sees, as a column."""
    return unfold(maps, *look).transpose(0, 1).flatten(1) if look else maps.T


def _narrowed(columns: Tensor, maps: Tensor, look: Look | None) -> Tensor:
    """Columns as maps again, where each pixel has the sum of those that saw it."""
    if look is None:
        return columns.T
    # Summed in fp32: in bf16 up to 25 roundings would add up.
    apart = columns.view(len(columns), len(maps), -1).transpose(0, 1).float()
    return fold(apart, maps.shape[2:], *look).to(maps.dtype)


def _is_plain(layer: nn.Conv2d) -> bool:
    return (
        layer.groups == 1 and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    )


def _look(layer: nn.Conv2d) -> Look:
    (high, wide), (down, across) = layer.kernel_size, layer.dilation
    top, left = int(layer.padding[0]), int(layer.padding[1])
    return (high, wide), (down, across), (top, left), (layer.stride[0], layer.stride[1])


def _size(maps: Tensor, look: Look) -> Pair:
    """Height and width of what comes out."""
    high, wide = (
        (side + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        for side, kernel, dilation, padding, stride in zip(maps.shape[2:], *look, strict=True)
    )
    return high, wide
