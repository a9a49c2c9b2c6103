"""How many threads compute while a model learns on a CPU: as many as learn fastest beside what else
runs there.

After every operation all of them wait for the last. So where other work keeps one of two cores
busy, an iteration of a small model takes three times as long on both as on one: then fewer are
faster.
"""

from __future__ import annotations

import statistics
from collections import deque
from types import TracebackType

import torch

from understudy.stages.events import Note, Stage
from understudy.stages.train.options import TrainOptions

# Iterations with another number of threads: those that do not count, in which code and memory for
# it are made, and those that do.
WARMING, TIMED = 1, 5
# So many times as long as a trial took that changed nothing there is no other.
PAUSE = 20
# How much of the time with the number that is in use another may take to be taken, lest chance
# choose.
GAIN = 0.9


class Threads:
    """One of several `counts` of threads, from many to few, as long as the context is open.

    Now and then the next smaller or larger count is tried, and stays where it is faster. With one
    count there is no trial.
    """

    def __init__(self, counts: tuple[int, ...]) -> None:
        self._counts, self._place, self._step = counts, 0, 1
        self._tried: int | None = None
        self._seconds = deque[float](maxlen=WARMING + TIMED)
        self._own = self._rest = 0.0
        self._told: list[Note] = []

    def __enter__(self) -> Threads:
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

    def took(self, seconds: float) -> None:
        """Hear how long an iteration was, and choose how many threads compute the next one."""
        self._seconds.append(seconds)
        self._rest -= seconds
        if len(self._counts) == 1 or len(self._seconds) < WARMING + TIMED:
            return
        median = statistics.median(list(self._seconds)[WARMING:])
        if self._tried is not None:
            self._decide(self._tried, median)
        elif self._rest <= 0:
            self._try(median)

    def said(self) -> Stage:
        """What there was to say of it since the last time."""
        while self._told:
            yield self._told.pop(0)

    def _try(self, median: float) -> None:
        """Compute with the next count from here on, to see how long it takes."""
        if not self._is_there(self._place + self._step):
            self._step = -self._step
        self._own, self._tried = median, self._place + self._step
        self._seconds.clear()
        torch.set_num_threads(self._counts[self._tried])

    def _decide(self, tried: int, median: float) -> None:
        """Stay with the count that was tried, or go back."""
        is_faster = median < GAIN * self._own
        if is_faster:
            self._place = tried
            self._told.append(
                Note(
                    text=(
                        f"threads: {self._counts[tried]} of {self._counts[0]} compute: "
                        f"{1e3 * median:.0f} ms an iteration in place of {1e3 * self._own:.0f}."
                    )
                )
            )
        # The next one in this direction is tried at once.
        self._rest = (
            0.0 if is_faster and self._is_there(tried + self._step) else PAUSE * sum(self._seconds)
        )
        if not is_faster:
            self._step = -self._step
            self._seconds.clear()
        self._tried = None
        torch.set_num_threads(self._counts[self._place])

    def _is_there(self, place: int) -> bool:
        return 0 <= place < len(self._counts)


def counts_of(options: TrainOptions, device: torch.device, ranks: int) -> tuple[int, ...]:
    """The counts of threads to choose from: what the options name; else all that PyTorch has, half
    of them, and so on to one.

    All of them alone where another device computes; where several `ranks` wait for one another; and
    where the step is compiled, which is for one count.
    """
    most = options.threads or torch.get_num_threads()
    if options.threads or device.type != "cpu" or ranks > 1 or options.compile in ("on", "graphs"):
        return (most,)
    return tuple(most >> times for times in range(most.bit_length()))
