"""Batches that are too large for the memory: trained in parts, or made smaller."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace

import torch

from understudy.errors import BadOption
from understudy.nets import ranks
from understudy.parts.models.base.model import Batch, Samples
from understudy.stages.train.state import TrainState

# What PyTorch says on a CPU, where it has no error of its own for it.
OUT_OF_MEMORY = ("not enough memory", "can't allocate memory", "out of memory")


def split_batch(batch: Batch, count: int) -> Iterator[tuple[Batch, float]]:
    """Split a batch into `count` even parts, none empty; each with its share of the pairs."""
    pairs = len(batch.src.input)
    if count == 1:
        yield batch, 1.0
        return
    sides = zip(_split(batch.src, count), _split(batch.dst, count), strict=True)
    for src, dst in sides:
        yield Batch(src, dst), len(src.input) / pairs


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory did not suffice, on the device or on the machine."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(each in text for each in OUT_OF_MEMORY)


def halve_batch(state: TrainState, error: Exception) -> tuple[TrainState, str]:
    """The state with half the pairs of faces an iteration, after an error of memory.

    Returns:
        The state, and what there is to tell.

    Raises:
        BadOption: There is no smaller batch, or other processes share it.
        Exception: The error itself, where it is not one of memory.
    """
    if not is_out_of_memory(error):
        raise error
    before, alone = state.batch_size, ranks.rank_and_world_size()[1] == 1
    if before == 1 or not alone:
        less = "Set --batch lower" if before > 1 else "Choose a smaller model"
        raise BadOption(
            f"batch: the memory of {state.device} does not suffice for {before} pairs of faces."
            f" {less}, or try --checkpointing, --accumulate {max(2, before // 2)} or"
            " --optimizer-memory half."
        ) from None
    state = replace(state, fitting_batch=before // 2)
    if state.device.type == "cuda":
        torch.cuda.empty_cache()
    return state, (
        f"iteration {state.iteration}: the memory of {state.device} does not suffice for"
        f" {before} pairs of faces. It goes on with {state.batch_size} an iteration; --accumulate"
        f" 2 would learn {before} in less memory."
    )


def _split(side: Samples, count: int) -> Iterator[Samples]:
    planes = (
        torch.tensor_split(getattr(side, each.name), min(count, len(side.input)))
        for each in fields(side)
    )
    return (Samples(*each) for each in zip(*planes, strict=True))
