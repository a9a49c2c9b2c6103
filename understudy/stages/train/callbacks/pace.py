"""Tells early how many iterations the time that is given buys, and whether they will do."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from understudy.io.model_files.checkpoint import Checkpoint
from understudy.stages.events import Note, Order, Warned
from understudy.stages.train.callbacks.base import Actions, Callback
from understudy.stages.train.state import TrainState

# The pace is measured over so many seconds of learning, or this share of the time, and so many
# iterations at least: the first ones are slow, since code and memory are made in them.
SECONDS, SHARE, ITERATIONS = 10.0, 0.05, 3
# It is told again where it is less than this share of what was told, or as many times more.
CHANGE = 0.5


class Pace(Callback):
    """For runs that end by `minutes`. What a model needs is known where it was measured."""

    def __init__(self, name: str) -> None:
        self._name = name
        # Seconds and iterations at the last reports, as many as a pace takes.
        self._reports = deque[tuple[float, int]]()
        self._told: float | None = None

    def on_restore(self, state: TrainState, saved: Checkpoint | None) -> None:
        self._reports.clear()

    def on_report(self, state: TrainState, orders: Sequence[Order]) -> Actions:
        minutes = state.options.minutes
        if minutes is None:
            return
        span = min(SECONDS, SHARE * 60 * minutes)

        def is_enough(report: tuple[float, int]) -> bool:
            """Whether there is a pace since that report."""
            seconds, iteration = report
            return state.seconds - seconds >= span and state.iteration - iteration >= ITERATIONS

        self._reports.append((state.seconds, state.iteration))
        while len(self._reports) > 1 and is_enough(self._reports[1]):
            self._reports.popleft()
        if not is_enough(self._reports[0]):
            return
        seconds, iteration = self._reports[0]
        rate = (state.iteration - iteration) / (state.seconds - seconds)
        if self._told is None or not CHANGE <= rate / self._told <= 1 / CHANGE:
            before, self._told = self._told, rate
            yield self._describe(state, minutes, rate, before)

    def _describe(
        self, state: TrainState, minutes: float, rate: float, before: float | None
    ) -> Note | Warned:
        """What the time buys at this rate, and what it should buy.

        before: The rate that was told before; None = none was.
        """
        left = max(0.0, 60 * minutes - state.seconds)
        count = state.iteration + round(rate * left)
        model, needed = state.recipe.model, state.trainable.model_options.likeness
        text = (
            f"{self._name}: about {count} iterations in {minutes:g} minutes on this machine"
            if before is None
            else f"{self._name}: {'slower' if rate < before else 'faster'} now, {rate:.2g}"
            f" iterations a second: about {count} in {minutes:g} minutes"
        )
        if needed is None:
            return Note(text=f"{text}. How many {model} needs for a likeness was not measured.")
        if count >= needed:
            return Note(text=f"{text}; a likeness needs about {needed}.")
        enough = math.ceil((state.seconds + (needed - state.iteration) / rate) / 60)
        return Warned(
            text=(
                f"{text}; a likeness needs about {needed}. Give it {enough} (--minutes {enough}),"
                " or train where nothing else runs."
            )
        )
