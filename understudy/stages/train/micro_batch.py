"""Batches that are too large for the memory: learnt in parts, or made smaller."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING

import torch

from understudy.errors import BadOption
from understudy.nets import ranks
from understudy.parts.models.base.model import Batch, Samples

if TYPE_CHECKING:
    from understudy.stages.train.learner import Learner

# What PyTorch says on a CPU, where it has no error of its own for it.
SAID = ("not enough memory", "can't allocate memory", "out of memory")


def parts_of(batch: Batch, count: int) -> Iterator[tuple[Batch, float]]:
    """A batch in `count` parts, as even as they come, none empty; each with its share of the
    pairs.
    """
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
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in SAID)


def lighter(learner: Learner, error: Exception) -> str:
    """Let a learner go on with half the pairs after an error of memory, and say so.

    Raises the error where it is another one, and BadOption where there is no smaller batch, or
    others learn the same ones.
    """
    if not is_out_of_memory(error):
        raise error
    before, alone = learner.pairs, ranks.rank_and_world_size()[1] == 1
    if before == 1 or not alone:
        less = "Set --batch lower" if before > 1 else "Choose a smaller model"
        raise BadOption(
            f"batch: the memory of {learner.device} does not suffice for {before} pairs of faces."
            f" {less}, or try --checkpointing, --accumulate {max(2, before // 2)} or"
            " --optimizer-memory half."
        ) from None
    learner.halve()
    if learner.device.type == "cuda":
        torch.cuda.empty_cache()
    return (
        f"iteration {learner.iteration}: the memory of {learner.device} does not suffice for"
        f" {before} pairs of faces. It goes on with {learner.pairs} an iteration; --accumulate 2"
        f" would learn {before} in less memory."
    )


def _split(side: Samples, count: int) -> Iterator[Samples]:
    planes = (
        torch.tensor_split(getattr(side, each.name), min(count, len(side.input)))
        for each in fields(side)
    )
    return (Samples(*each) for each in zip(*planes, strict=True))
