"""Activation checkpointing: activations are computed again in the backward pass, not kept."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from understudy.nets.autoencoder.blocks import (
    DepthwiseDown,
    Down,
    HighResResidual,
    ResBlock,
    ScaledResidual,
    UnshuffleDown,
    Up,
    UpDownResidual,
)
from understudy.nets.autoencoder.translator import NormedConv, NormedResBlock, NormedUp
from understudy.nets.losses.critics import PreActivationBlock

T = TypeVar("T")

# Of these blocks only the input is kept. Some hold others, and count as one.
CHECKPOINTED_BLOCKS = (
    HighResResidual,
    UpDownResidual,
    Down,
    UnshuffleDown,
    ScaledResidual,
    ResBlock,
    DepthwiseDown,
    Up,
    NormedConv,
    NormedResBlock,
    NormedUp,
    PreActivationBlock,
)


def enable_checkpointing(net: nn.Module) -> None:
    """Let every block of `net` compute its activations again in the backward pass. In place.

    The gradients stay the same. Chen et al., Training Deep Nets with Sublinear Memory Cost (2016).
    Costs up to one more forward pass, a third of the time.
    """
    for layer in net.children():
        if isinstance(layer, CHECKPOINTED_BLOCKS):
            layer.forward = partial(checkpointed, layer.forward)  # type: ignore[method-assign]
        else:
            enable_checkpointing(layer)


def checkpointed(function: Callable[..., T], *tensors: Tensor) -> T:
    """Call `function` on tensors; its activations are computed again in the backward pass.

    function: nothing in it may be random.
    """
    if not torch.is_grad_enabled():
        return function(*tensors)
    return checkpoint(function, *tensors, use_reentrant=False, preserve_rng_state=False)  # type: ignore[no-any-return]
