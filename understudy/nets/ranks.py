"""Several processes that learn one model together, as the nets see it. Alone, everything here is
nothing and costs nothing.

torch.distributed keeps the team; `stages.train.distributed.process_group` makes and ends it. A rank
learns from every `size`-th row of each batch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import Parameter

from understudy.errors import WorkerLost

# Numbers that travel together: 100 MB of gradients, copied once, cost less than a message for each.
TOGETHER = 25_000_000


def place() -> tuple[int, int]:
    """Which rank this is, and of how many; (0, 1) alone."""
    return (
        (dist.get_rank(), dist.get_world_size())
        if dist.is_available() and dist.is_initialized()
        else (0, 1)
    )


def gathered(rows: Tensor) -> Tensor:
    """The rows (B, …) of all ranks in the order of the whole batch, float32; all ranks must ask for
    it, at the same place.

    For losses of all samples together, which every rank then computes whole.
    """
    rank, size = place()
    if size == 1:
        return rows
    own = rows.float()
    parts = [torch.empty_like(own) for _ in range(size)]
    with answered():
        dist.all_gather(parts, own.detach().contiguous())
    # Gradients are averaged over ranks, and of this one each rank finds only the part of its own
    # rows: it counts `size` times.
    parts[rank] = own + (size - 1) * (own - own.detach())
    return torch.stack(parts, 1).flatten(0, 1)


def average(parameters: Iterable[Parameter]) -> None:
    """Make the gradients of all ranks their mean, in place: that of the whole batch. Bit for bit
    the same on every rank.
    """
    if place()[1] == 1:
        return
    gradients = [each.grad for each in parameters if each.grad is not None]
    for bucket in _buckets(gradients):
        flat = mean_(torch.cat([each.reshape(-1) for each in bucket]))
        for each, part in zip(
            bucket, torch.split(flat, [each.numel() for each in bucket]), strict=True
        ):
            each.copy_(part.view_as(each))


def mean_(values: Tensor) -> Tensor:
    """`values` with the mean over all ranks put in place of its numbers."""
    size = place()[1]
    if size > 1:
        with answered():
            dist.all_reduce(values)
        values /= size
    return values


@contextlib.contextmanager
def answered() -> Iterator[None]:
    """Around what needs an answer of all ranks: raises WorkerLost when there is none."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        rank, size = place()
        raise WorkerLost(
            f"rank {rank} of {size}: the others do not answer any more:"
            f" {str(error).splitlines()[0]} See what the rank that fell out says, and start all"
            " again: the last checkpoint stands."
        ) from error


def _buckets(gradients: list[Tensor]) -> Iterator[list[Tensor]]:
    bucket: list[Tensor] = []
    for each in gradients:
        if bucket and sum(held.numel() for held in bucket) + each.numel() > TOGETHER:
            yield bucket
            bucket = []
        bucket.append(each)
    if bucket:
        yield bucket
