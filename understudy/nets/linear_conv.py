"""Layers with many weights and few output pixels: in bf16 on a CPU they run as matrix products.

oneDNN's convolutions first reorder the weights, and the gradients back. That moves two to four
times the memory of the weights, and takes most of the time where few pixels meet them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn.functional import fold, unfold

# From so many weights for each output pixel the product wins: it takes a third of the time up to
# just less (measured).
MIN_WEIGHTS_PER_OUTPUT = 8192

Pair = tuple[int, int]
# Kernel, dilation, padding and stride of a convolution.
ConvGeometry = tuple[Pair, Pair, Pair, Pair]


def enable_matmul(net: nn.Module) -> None:
    """Let such layers of `net` train as matrix products, with no bf16 copy of their weights.

    In place. The same up to the rounding of bf16. Only under autocast; all else is computed as
    before.
    """
    for layer in net.modules():
        if isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and _is_plain(layer)):
            layer.forward = partial(_forward, layer, layer.forward)  # type: ignore[method-assign]


def _forward(
    layer: nn.Linear | nn.Conv2d, forward: Callable[[Tensor], Tensor], maps: Tensor
) -> Tensor:
    geometry = _geometry(layer) if isinstance(layer, nn.Conv2d) else None
    size = _size(maps, geometry) if geometry else (1, 1)
    learns = (
        torch.is_grad_enabled() and layer.weight.requires_grad and torch.is_autocast_enabled("cpu")
    )
    if not learns or layer.weight.numel() < MIN_WEIGHTS_PER_OUTPUT * len(maps) * size[0] * size[1]:
        return forward(maps)
    output: Tensor = MatmulLayer.apply(maps, layer.weight, layer.bias, geometry)  # type: ignore[no-untyped-call]
    return output


class MatmulLayer(torch.autograd.Function):
    """A convolution of maps (N, C, H, W) or, without geometry, a dense layer of (N, C), in bf16."""

    if TYPE_CHECKING:

        class Context(FunctionCtx):
            saved_tensors: tuple[Tensor, ...]
            needs_input_grad: tuple[bool, ...]
            geometry: ConvGeometry | None
            size: Pair
            has_bias: bool

    @staticmethod
    def forward(
        ctx: Context,
        maps: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        geometry: ConvGeometry | None,
    ) -> Tensor:
        inputs, out_channels = maps.to(torch.bfloat16), len(weight)
        ctx.save_for_backward(inputs, weight)
        ctx.geometry, ctx.has_bias, ctx.size = (
            geometry,
            bias is not None,
            _size(maps, geometry) if geometry else (1, 1),
        )
        product = _weight_matrix(weight) @ _unfold_columns(inputs, geometry)
        if bias is not None:
            product += bias[:, None].to(product.dtype)
        # Into memory of its own: the activation works in place, which a view does not allow.
        output = inputs.new_empty((len(maps), out_channels, *ctx.size))
        output.copy_(product.view(out_channels, len(maps), *ctx.size).transpose(0, 1))
        return output if geometry else output.view(len(maps), out_channels)

    @staticmethod
    @once_differentiable
    def backward(ctx: Context, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight = ctx.saved_tensors
        rows = gradient.flatten(2).transpose(0, 1).flatten(1) if ctx.geometry else gradient.T
        input_gradient = (
            _fold_columns(_weight_matrix(weight).T @ rows, inputs, ctx.geometry)
            if ctx.needs_input_grad[0]
            else None
        )
        weight_gradient = (rows @ _unfold_columns(inputs, ctx.geometry).T).view(weight.shape)
        return (
            input_gradient,
            weight_gradient,
            rows.sum(1, dtype=torch.float32) if ctx.has_bias else None,
            None,
        )


def _weight_matrix(weight: Tensor) -> Tensor:
    """The weights as a matrix in bf16: a row for each output channel."""
    return weight.detach().to(torch.bfloat16).reshape(len(weight), -1)


def _unfold_columns(maps: Tensor, geometry: ConvGeometry | None) -> Tensor:
    """The input of each output pixel, as a column."""
    return unfold(maps, *geometry).transpose(0, 1).flatten(1) if geometry else maps.T


def _fold_columns(columns: Tensor, maps: Tensor, geometry: ConvGeometry | None) -> Tensor:
    """The columns as maps again; where they overlap, their sum."""
    if geometry is None:
        return columns.T
    # Summed in fp32: in bf16 up to 25 roundings would add up.
    summands = columns.view(len(columns), len(maps), -1).transpose(0, 1).float()
    return fold(summands, maps.shape[2:], *geometry).to(maps.dtype)


def _is_plain(layer: nn.Conv2d) -> bool:
    return (
        layer.groups == 1 and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    )


def _geometry(layer: nn.Conv2d) -> ConvGeometry:
    (high, wide), (down, across) = layer.kernel_size, layer.dilation
    top, left = int(layer.padding[0]), int(layer.padding[1])
    return (high, wide), (down, across), (top, left), (layer.stride[0], layer.stride[1])


def _size(maps: Tensor, geometry: ConvGeometry) -> Pair:
    """Height and width of the output."""
    high, wide = (
        (side + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        for side, kernel, dilation, padding, stride in zip(maps.shape[2:], *geometry, strict=True)
    )
    return high, wide
