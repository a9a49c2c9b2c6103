"""The processes that learn one model together, one for each device: who they are, and how they
speak with one another.

torchrun starts them, on one machine or many. What they say is JSON, over gloo; numbers go by NCCL
where they lie on CUDA.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from understudy.errors import BadOption
from understudy.io import processes
from understudy.nets import ranks
from understudy.nets.device import resolve_device

# How long all wait for one: while it loads faces, draws or saves.
PATIENCE = timedelta(minutes=10)
# What --device says where each rank takes a device of its own.
ANY = ("auto", "best", "all", "cuda")


@dataclass(frozen=True, slots=True)
class Team:
    """This process among those of its team. rank: 0 is the first, which alone decides, saves and
    draws.
    """

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    @property
    def others(self) -> str:
        """Who else is there, in words that follow a device; empty alone."""
        return f" and on {self.size - 1} more by other processes" if self.size > 1 else ""

    def told(self, words: dict[str, Any] | None = None) -> dict[str, Any]:
        """What the first rank says, for everyone; the others say nothing."""
        data = torch.frombuffer(bytearray(json.dumps(words).encode()), dtype=torch.uint8)
        length = torch.tensor(len(data))
        self.spread([length])
        data = data if self.first else torch.empty(int(length), dtype=torch.uint8)
        self.spread([data])
        heard: dict[str, Any] = json.loads(bytes(data.tolist()))
        return heard

    def asked(self, words: str = "") -> list[str]:
        """What each rank has to say, in their order, where it is anything."""
        data = words.encode()
        lengths = self._collected(torch.tensor(len(data)))
        longest = max(int(each) for each in lengths)
        if not longest:
            return []
        padded = torch.frombuffer(bytearray(data.ljust(longest)), dtype=torch.uint8)
        said = zip(self._collected(padded), lengths, strict=True)
        return [bytes(each[: int(length)].tolist()).decode() for each, length in said if length]

    def spread(self, tensors: Iterable[Tensor]) -> None:
        """Give every rank the first one's numbers, in place."""
        for each in tensors:
            dense = each.detach().contiguous()
            with ranks.explain_lost_ranks():
                dist.broadcast(dense, 0)
            each.detach().copy_(dense)

    def _collected(self, values: Tensor) -> list[Tensor]:
        parts = [torch.empty_like(values) for _ in range(self.size)]
        with ranks.explain_lost_ranks():
            dist.all_gather(parts, values)
        return parts


@contextlib.contextmanager
def joined(device: str) -> Iterator[Team]:
    """The team that torchrun's environment tells of, as long as it lasts; a team of one, which
    costs nothing, without.

    Raises BadOption where the ranks cannot compute on what `device` means, WorkerLost where one of
    them is not to be found.
    """
    rank, size, local = processes.torchrun_ranks()
    if size == 1:
        yield Team(resolve_device("auto" if device == "all" else device))
        return
    own = _device(device, local)
    with ranks.explain_lost_ranks():
        store, _, _ = next(rendezvous("env://", rank, size, timeout=PATIENCE))
        store.set(f"device/{rank}", own.type)
        kinds = [store.get(f"device/{each}").decode() for each in range(size)]
    if len(set(kinds)) > 1:
        raise BadOption(
            "device: the ranks compute on"
            f" {', '.join(f'{kind} ({n})' for n, kind in enumerate(kinds))}, and must on one kind."
            " Leave machines without a GPU out, or say --device cpu."
        )
    if own.type == "cuda":
        torch.cuda.set_device(own)
    with ranks.explain_lost_ranks():
        backend = "cpu:gloo,cuda:nccl" if own.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
    try:
        yield Team(own, rank, size)
    finally:
        dist.destroy_process_group()


def gpus(device: str) -> int:
    """How many processes to start for `device`: with all, one for each GPU of this machine; 1 where
    torchrun has done so.
    """
    return (
        max(1, torch.cuda.device_count())
        if device == "all" and processes.torchrun_ranks()[1] == 1
        else 1
    )


def _device(name: str, local: int) -> torch.device:
    """The device of the `local`-th rank of this machine."""
    if name in ANY and torch.cuda.is_available():
        if local >= torch.cuda.device_count():
            raise BadOption(
                f"device: torchrun starts rank {local} of this machine, which has"
                f" {torch.cuda.device_count()} GPUs. Set --nproc-per-node to that, or say --device"
                " cpu."
            )
        return torch.device("cuda", local)
    device = resolve_device("auto" if name == "all" else name)
    if device.type != "cpu":
        raise BadOption(
            f"device: several ranks cannot share {device}. Leave --device out, or start one process"
            " without torchrun."
        )
    return device
