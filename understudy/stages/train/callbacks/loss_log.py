"""Losses on their way from the device to the file of a model's history."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from understudy.io.model_files import history
from understudy.io.model_files.checkpoint import Checkpoint
from understudy.nets import ranks
from understudy.stages.train.callbacks.base import Actions, Callback
from understudy.stages.train.state import TrainState
from understudy.stages.train.state_dict import Snapshot

# Iterations that share a line.
LINE = 10


class LossLog(Callback):
    """Keeps losses on the device until somebody asks, and writes a model's history.

    In the history there is a line of means for every ten iterations, and rows of other kinds.

    Attributes:
        latest: The losses of the newest iteration that was fetched, by name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.latest: dict[str, float] = {}
        self._names: list[str] = []
        self._waiting: list[Tensor] = []
        self._line: list[list[float]] = []
        self._rows: list[history.Row] = []

    def __len__(self) -> int:
        """Iterations whose losses are still on the device."""
        return len(self._waiting)

    def on_restore(self, state: TrainState, saved: Checkpoint | None) -> None:
        """Drop what came after this iteration, in the file too."""
        for held in (self._waiting, self._line, self._rows):
            held.clear()
        history.truncate(self.path, state.iteration)

    def on_step(self, state: TrainState, losses: Mapping[str, Tensor], seconds: float) -> None:
        self._names = list(losses)
        self._waiting.append(torch.stack(list(losses.values())))

    def on_save(self, state: TrainState, snapshot: Snapshot, backup: str) -> Actions:
        self.write(state.iteration)
        yield from ()

    def average_ranks(self) -> None:
        """Make the losses that wait the means over all ranks, on every one of them."""
        if self._waiting:
            self._waiting = list(ranks.all_reduce_mean_(torch.stack(self._waiting)))

    def fetch(self, iteration: int) -> list[float]:
        """The total loss of each iteration since the last time; `iteration` is the newest."""
        if not self._waiting:
            return []
        fetched: list[list[float]] = torch.stack(self._waiting).tolist()
        self._waiting.clear()
        for number, values in enumerate(fetched, start=iteration - len(fetched) + 1):
            self._line.append(values)
            if number % LINE == 0:
                self._end_line(number)
        self.latest = dict(zip(self._names, fetched[-1], strict=True))
        return [sum(values) for values in fetched]

    def add_row(self, row: history.Row) -> None:
        """Add a row of another kind."""
        self._rows.append(row)

    def write(self, iteration: int) -> None:
        """Put everything that was fetched into the file."""
        if self._line:
            self._end_line(iteration)
        history.append(self.path, self._rows)
        self._rows.clear()

    def read(self) -> list[history.Row]:
        """The rows that are in the file."""
        return history.read(self.path)

    def summary(self) -> dict[str, Any]:
        return {"losses": self.latest}

    def _end_line(self, iteration: int) -> None:
        means = (
            round(sum(column) / len(self._line), 6) for column in zip(*self._line, strict=True)
        )
        self._rows.append(
            {"iteration": iteration, "losses": dict(zip(self._names, means, strict=True))}
        )
        self._line.clear()
