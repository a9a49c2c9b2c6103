"""How far tasks are that other processes work on: a number for each, in a file that they share."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Self, TypeVar

import numpy as np

Item = TypeVar("Item")
Result = TypeVar("Result")
Steps = Generator[None, None, Result]


class Tally:
    """A number for each of `count` tasks, which processes of this machine may set."""

    def __init__(self, path: Path, count: int) -> None:
        self.path = path
        self._numbers = _numbers(path, count)

    @classmethod
    @contextlib.contextmanager
    def temporary(cls, count: int) -> Iterator[Self]:
        """One whose file goes at the end."""
        # Where a file cannot go while a process has it open, it is left behind.
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            yield cls(Path(folder) / "tally", count)

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
