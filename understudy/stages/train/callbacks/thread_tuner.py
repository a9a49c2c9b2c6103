"""How many threads compute on a CPU: as many as learn fastest beside what else runs there.

After every operation all of them wait for the last. So where other work keeps one of two cores
busy, an iteration of a small model takes three times as long on both as on one: then fewer are
faster.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from understudy.stages.events import Note, Order
from understudy.stages.train.callbacks.base import Actions, Callback
from understudy.stages.train.options import TrainOptions
from understudy.stages.train.state import TrainState

# Iterations with another number of threads: those that do not count, in which code and memory for
# it are made, and those that do.
WARMUP, TIMED = 1, 5
# So many times as long as a trial took that changed nothing there is no other.
PAUSE = 20
# How much of the time with the number that is in use another may take to be taken, lest chance
# choose.
GAIN = 0.9


class ThreadTuner(Callback):
    """One of several `counts` of threads, from many to few, as long as the context is open.

    Now and then the next smaller or larger count is tried, and stays where it is faster. A trial
    ends with the first iteration that is slower: a short run would not get the loss back. With one
    count there is no trial.
    """

    def __init__(self, counts: tuple[int, ...]) -> None:
        self._counts, self._current, self._step = counts, 0, 1
        self._tried: int | None = None
        self._seconds = deque[float](maxlen=WARMUP + TIMED)
        self._own = self._rest = 0.0
        self._notes: list[Note] = []

    def __enter__(self) -> Self:
        self._before = torch.get_num_threads()
        torch.set_num_threads(self._counts[0])
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        torch.set_num_threads(self._before)

    def on_step(self, state: TrainState, losses: Mapping[str, Tensor], seconds: float) -> None:
        self.record(seconds)

    def on_report(self, state: TrainState, orders: Sequence[Order]) -> Actions:
        while self._notes:
            yield self._notes.pop(0)

    def record(self, seconds: float) -> None:
        """Take note of how long an iteration was, and set the threads for the next one."""
        self._seconds.append(seconds)
        self._rest -= seconds
        if len(self._counts) == 1 or len(self._seconds) <= WARMUP:
            return
        median = statistics.median(list(self._seconds)[WARMUP:])
        is_full = len(self._seconds) == WARMUP + TIMED
        if self._tried is not None:
            if is_full or seconds >= self._own:
                self._decide(self._tried, median)
        elif is_full and self._rest <= 0:
            self._try(median)

    def _try(self, median: float) -> None:
        """Compute with the next count from here on, to see how long it takes."""
        if not self._has(self._current + self._step):
            self._step = -self._step
        self._own, self._tried = median, self._current + self._step
        self._seconds.clear()
        torch.set_num_threads(self._counts[self._tried])

    def _decide(self, tried: int, median: float) -> None:
        """Stay with the count that was tried, or go back."""
        is_faster = median < GAIN * self._own
        if is_faster:
            now, before = self._counts[tried], self._counts[self._current]
            self._current = tried
            self._notes.append(
                Note(
                    text=(
                        f"{_threads(now)} of the processor {'trains' if now == 1 else 'train'} from"
                        f" here on, in place of {before}: an iteration takes {1e3 * median:.0f} ms,"
                        f" with {before} it took {1e3 * self._own:.0f} ms."
                    )
                )
            )
        # The next one in this direction is tried at once.
        self._rest = (
            0.0 if is_faster and self._has(tried + self._step) else PAUSE * sum(self._seconds)
        )
        if not is_faster:
            self._step = -self._step
            self._seconds.clear()
        self._tried = None
        torch.set_num_threads(self._counts[self._current])

    def _has(self, index: int) -> bool:
        return 0 <= index < len(self._counts)


def thread_counts(options: TrainOptions, device: torch.device, ranks: int) -> tuple[int, ...]:
    """The counts of threads to choose from: all that PyTorch has, half of them, down to one.

    It is one count where the options name it. It is all of them where another device computes,
    where several `ranks` wait for one another, and where the step is compiled, which is for one
    count.
    """
    most = options.threads or torch.get_num_threads()
    if options.threads or device.type != "cpu" or ranks > 1 or options.compile in ("on", "graphs"):
        return (most,)
    return tuple(most >> times for times in range(most.bit_length()))


def _threads(count: int) -> str:
    return f"{count} thread" if count == 1 else f"{count} threads"
