"""The ranks of a distributed run as networks see them: all-reduce, all-gather; free when alone.

`stages.train.distributed.process_group` starts and ends the group. A rank learns from every
`size`-th row of each batch.
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
BUCKET_NUMEL = 25_000_000


def rank_and_world_size() -> tuple[int, int]:
    """Return the rank of this process and the world size; (0, 1) alone."""
    return (
        (dist.get_rank(), dist.get_world_size())
        if dist.is_available() and dist.is_initialized()
        else (0, 1)
    )


def all_gather(rows: Tensor) -> Tensor:
    """Return the rows (B, …) of all ranks in the order of the whole batch, float32, with gradients.

    For losses of all samples together, which every rank then computes whole. All ranks must call it
    at the same place.
    """
    rank, size = rank_and_world_size()
    if size == 1:
        return rows
    own = rows.float()
    parts = [torch.empty_like(own) for _ in range(size)]
    with explain_lost_ranks():
        dist.all_gather(parts, own.detach().contiguous())
    # Gradients are averaged over ranks, and of this one each rank finds only the part of its own
    # rows: it counts `size` times.
    parts[rank] = own + (size - 1) * (own - own.detach())
    return torch.stack(parts, 1).flatten(0, 1)


def average_gradients(parameters: Iterable[Parameter]) -> None:
    """Replace the gradients by their mean over all ranks; bit for bit the same on every rank."""
    if rank_and_world_size()[1] == 1:
        return
    gradients = [each.grad for each in parameters if each.grad is not None]
    for bucket in _buckets(gradients):
        flat = all_reduce_mean_(torch.cat([each.reshape(-1) for each in bucket]))
        for each, part in zip(
            bucket, torch.split(flat, [each.numel() for each in bucket]), strict=True
        ):
            each.copy_(part.view_as(each))


def all_reduce_mean_(values: Tensor) -> Tensor:
    """Replace `values` by their mean over all ranks, and return them."""
    size = rank_and_world_size()[1]
    if size > 1:
        with explain_lost_ranks():
            dist.all_reduce(values)
        values /= size
    return values


@contextlib.contextmanager
def explain_lost_ranks() -> Iterator[None]:
    """Raise WorkerLost when a collective call inside the block gets no answer from all ranks."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        rank, size = rank_and_world_size()
        raise WorkerLost(
            f"rank {rank} of {size}: the others do not answer any more:"
            f" {str(error).splitlines()[0]} See what the rank that fell out says, and start all"
            " again: the last checkpoint stands."
        ) from error


def _buckets(gradients: list[Tensor]) -> Iterator[list[Tensor]]:
    bucket: list[Tensor] = []
    for each in gradients:
        if bucket and sum(held.numel() for held in bucket) + each.numel() > BUCKET_NUMEL:
            yield bucket
            bucket = []
        bucket.append(each)
    if bucket:
        yield bucket
