"""Other processes: the ranks of torchrun, and a child that speaks JSON lines."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

# Seconds in which a process that was asked to end may save.
TERMINATE_SECONDS = 60


def torchrun_ranks() -> tuple[int, int, int]:
    """Return rank, world size and local rank as torchrun sets them; (0, 1, 0) without it."""
    values = [os.environ.get(name, "") for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")]
    if "MASTER_ADDR" not in os.environ or not all(each.isdigit() for each in values[:2]):
        return 0, 1, 0
    return int(values[0]), int(values[1]), int(values[2] or 0)


def python_environment() -> dict[str, str]:
    """Return environment variables for a Python that is started here: it finds what this one finds.

    Left to itself `python -m` looks into the current folder first, where other people's files lie.
    """
    return {
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": os.pathsep.join(path or os.curdir for path in sys.path),
    }


class Child:
    """A Python that is started here; leaving its `with` block early asks it to end.

    Its standard error is ours. In a session of its own: a Ctrl-C is for this process, which passes
    on what follows from it.
    """

    def __init__(self, order: Sequence[str], environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            order,
            env={**os.environ, **python_environment(), **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.communicate(timeout=TERMINATE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def lines(self) -> Iterator[str]:
        """Yield what it prints, line by line, until it ends."""
        assert self._process.stdout is not None
        yield from self._process.stdout

    def send(self, line: str) -> None:
        """Write a line to it; nothing where it has ended already."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return

    def wait_for_exit(self) -> int:
        """Wait until it has ended, and return its exit code."""
        return self._process.wait()
