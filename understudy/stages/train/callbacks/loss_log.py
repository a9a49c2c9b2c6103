"""Losses on their way from the device to the file of a model's history."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from understudy.io.model_files import history
from understudy.nets import ranks

# Iterations that share a line.
LINE = 10


class Ledger:
    """Keeps losses on the device until somebody asks, and writes their means, a line for every ten
    iterations.

    latest: the losses of the newest iteration that was fetched.
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

    def add(self, losses: Mapping[str, Tensor]) -> None:
        """Take the losses of one iteration; nothing waits for them."""
        self._names = list(losses)
        self._waiting.append(torch.stack(list(losses.values())))

    def share(self) -> None:
        """Make the losses that wait the means over all ranks, on every one of them."""
        if self._waiting:
            self._waiting = list(ranks.all_reduce_mean_(torch.stack(self._waiting)))

    def fetch(self, iteration: int) -> list[float]:
        """The total loss of each iteration since the last time; `iteration` is the newest."""
        if not self._waiting:
            return []
        fetched: list[list[float]] = torch.stack(self._waiting).tolist()
        self._waiting.clear()
        for place, values in enumerate(fetched, start=iteration - len(fetched) + 1):
            self._line.append(values)
            if place % LINE == 0:
                self._end_line(place)
        self.latest = dict(zip(self._names, fetched[-1], strict=True))
        return [sum(values) for values in fetched]

    def note(self, row: history.Row) -> None:
        """Add a row of another kind."""
        self._rows.append(row)

    def write(self, iteration: int) -> None:
        """Put everything that was fetched into the file."""
        if self._line:
            self._end_line(iteration)
        history.append(self.path, self._rows)
        self._rows.clear()

    def forget(self, iteration: int) -> None:
        """Drop what came after `iteration`, in the file too."""
        for held in (self._waiting, self._line, self._rows):
            held.clear()
        history.truncate(self.path, iteration)

    def _end_line(self, iteration: int) -> None:
        means = (
            round(sum(column) / len(self._line), 6) for column in zip(*self._line, strict=True)
        )
        self._rows.append(
            {"iteration": iteration, "losses": dict(zip(self._names, means, strict=True))}
        )
        self._line.clear()
