"""One iteration: losses of a batch, their gradients, a step of each optimizer."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from understudy.errors import BadOption
from understudy.nets import ranks
from understudy.nets.device import autocast
from understudy.nets.optim import optimizers
from understudy.parts.models.base.model import Batch
from understudy.stages.train.callbacks.compile_tuner import CompileTuner
from understudy.stages.train.data.input_pipeline import augment_configs
from understudy.stages.train.micro_batch import is_out_of_memory, split_batch
from understudy.stages.train.state import TrainState

Losses = dict[str, Tensor]


def train_step(state: TrainState, batch: Batch, tuner: CompileTuner) -> tuple[TrainState, Losses]:
    """Train on one batch.

    Args:
        tuner: It computes the losses, compiled or not.

    Returns:
        The state after it, and the losses, still on the device: nothing waits for them.
    """
    trainable, lr_share = state.trainable, state.lr_share
    optimizers.set_lr(trainable.optimizers, state.lr * lr_share)
    try:
        losses = tuner.run(partial(_update, state, batch, tuner.losses), trainable.zero_grad)
    except (RuntimeError, MemoryError) as error:
        trainable.zero_grad()
        if is_out_of_memory(error) and ranks.rank_and_world_size()[1] > 1:
            # The others wait for gradients that this rank does not have: it cannot try again by
            # itself.
            raise BadOption(
                f"batch: {len(batch.src.input)} pairs, this process' share, do not fit into the"
                f" memory of {state.device}. All processes end; take a smaller --batch, or"
                " --accumulate 2."
            ) from error
        raise
    iteration = state.iteration + 1
    if trainable.ema:
        trainable.ema.update(trainable.model, iteration, lr_share)
    owed = state.owed + 1 if state.options.exchange else max(state.owed - 1, 0)
    moved, _ = augment_configs(state.options, trainable.model_options.motion)
    return replace(
        state,
        iteration=iteration,
        owed=owed,
        shift=state.shift + (moved.shift - state.shift) / iteration,
        scale=state.scale + (moved.scale - state.scale) / iteration,
    ), losses


def _update(
    state: TrainState, batch: Batch, compute_losses: Callable[[Batch, str], Losses]
) -> Losses:
    """Compute gradients of a batch, or of its parts one after the other, and step by them.

    Returns:
        The losses; of parts their mean.
    """
    trainable, means = state.trainable, Losses()
    is_fused = _steps_while_backward(state)
    with contextlib.ExitStack() as stack:
        for group, optimizer in trainable.optimizers.items() if is_fused else ():
            stack.enter_context(
                optimizers.step_in_backward(optimizer, trainable.groups[group].values())
            )
        for part, share in split_batch(batch, state.options.accumulate):
            for group in trainable.optimizers:
                with autocast(state.options.precision, state.device):
                    losses = compute_losses(part, group)
                (share * torch.stack(list(losses.values())).sum()).backward()  # type: ignore[no-untyped-call]
                for name, loss in losses.items():
                    means[name] = means.get(name, 0) + share * loss.detach()
    for group, optimizer in trainable.optimizers.items() if not is_fused else ():
        parameters = trainable.groups[group].values()
        ranks.average_gradients(parameters)
        if state.clip:
            torch.nn.utils.clip_grad_norm_(parameters, state.clip)
        optimizer.step()
        optimizer.zero_grad()
    return means


def _steps_while_backward(state: TrainState) -> bool:
    """Whether each parameter steps as soon as its gradient is there, which saves memory.

    Nothing may need all gradients at once. A GPU wants few calls, unless memory counts for more.
    """
    options = state.options
    is_thrifty = state.device.type == "cpu" or options.optimizer_memory != "full"
    return (
        is_thrifty
        and not state.clip
        and options.accumulate == 1
        and ranks.rank_and_world_size()[1] == 1
    )
