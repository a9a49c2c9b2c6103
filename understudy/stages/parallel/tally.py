"""How far tasks are that other processes work on: a number for each, in a file that they share."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import numpy as np

Item = TypeVar("Item")
Result = TypeVar("Result")
Steps = Generator[None, None, Result]


class Tally:
    """While open, a number for each of `count` tasks, which processes of this machine may set."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __enter__(self) -> Self:
        # Where a file cannot go while a process has it open, it is left behind.
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.path = Path(self._folder.name) / "tally"
        self._numbers = _numbers(self.path, self._count)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del self._numbers
        self._folder.cleanup()

    def total(self) -> int:
        """The sum of all numbers."""
        return int(self._numbers.sum())

    def clear(self, task: int) -> None:
        """Set the number of a task to 0."""
        self._numbers[task] = 0


def run_counted(
    task: Callable[[Item], Steps[Result]], path: Path | None, number: int, item: Item
) -> Result:
    """Run a task to its end in another process.

    Args:
        task: Takes the item.
        path: Of the tally; None where the process does not share its file.
        number: The place of the task in it.
        item: What it is done with.
    """
    numbers = np.zeros(number + 1, np.uint32) if path is None else _numbers(path, number + 1)
    numbers[number] = 0
    steps = task(item)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result
        numbers[number] += 1


def _numbers(path: Path, count: int) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    return np.memmap(path, np.uint32, "r+" if path.exists() else "w+", shape=(count,))
