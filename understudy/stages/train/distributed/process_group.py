"""The processes that train one model together, one for each device, and what they send each other.

torchrun starts them, on one machine or many. Messages are JSON, over gloo; tensors go by NCCL where
they lie on CUDA.
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
from understudy.io import data_files, processes
from understudy.nets import ranks
from understudy.nets.device import resolve_device

# How long all wait for one: while it loads faces, draws or saves.
PATIENCE = timedelta(minutes=10)
# What --device says where each rank takes a device of its own.
ANY = ("auto", "best", "all", "cuda")


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """This process among those that train together. Rank 0 alone decides, saves and draws."""

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def is_lead(self) -> bool:
        return self.rank == 0

    @property
    def others(self) -> str:
        """Who else is there, in words that follow a device; empty alone."""
        return f" and on {self.size - 1} more by other processes" if self.size > 1 else ""

    def broadcast_message(self, message: dict[str, Any] | None = None) -> dict[str, Any]:
        """The message of rank 0, on every rank; the others give none."""
        data = torch.frombuffer(bytearray(json.dumps(message).encode()), dtype=torch.uint8)
        length = torch.tensor(len(data))
        self.broadcast([length])
        data = data if self.is_lead else torch.empty(int(length), dtype=torch.uint8)
        self.broadcast([data])
        received: dict[str, Any] = data_files.parse_json(bytes(data.tolist()), "rank 0")
        return received

    def gather_texts(self, text: str = "") -> list[str]:
        """The texts of all ranks in their order, without empty ones."""
        data = text.encode()
        lengths = self._all_gather(torch.tensor(len(data)))
        longest = max(int(each) for each in lengths)
        if not longest:
            return []
        padded = torch.frombuffer(bytearray(data.ljust(longest)), dtype=torch.uint8)
        texts = zip(self._all_gather(padded), lengths, strict=True)
        return [bytes(each[: int(length)].tolist()).decode() for each, length in texts if length]

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """Copy the tensors of rank 0 to every rank, in place."""
        for each in tensors:
            dense = each.detach().contiguous()
            with ranks.explain_lost_ranks():
                dist.broadcast(dense, 0)
            each.detach().copy_(dense)

    def _all_gather(self, values: Tensor) -> list[Tensor]:
        parts = [torch.empty_like(values) for _ in range(self.size)]
        with ranks.explain_lost_ranks():
            dist.all_gather(parts, values)
        return parts


@contextlib.contextmanager
def join(device: str) -> Iterator[ProcessGroup]:
    """The process group of torchrun's environment; without torchrun one of a single process.

    Raises BadOption where the ranks cannot compute on what `device` means, WorkerLost where one of
    them is not to be found.
    """
    rank, size, local = processes.torchrun_ranks()
    if size == 1:
        yield ProcessGroup(resolve_device("auto" if device == "all" else device))
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
        yield ProcessGroup(own, rank, size)
    finally:
        dist.destroy_process_group()


def processes_to_start(device: str) -> int:
    """How many processes to start: with "all" one for each GPU; 1 where torchrun has done so."""
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
