"""How far a run has come, by what its options call the end. iteration: how many are learnt.
seconds: spent learning.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from understudy.io.model_files.history import Row
from understudy.stages.train.options import TrainOptions

# The share of the step size that is left at the very end.
LEAST_STEP = 0.05
# In the history: the iteration at which a finish that has begun will end, and one at which learning
# against a critic will.
PLANNED, CRITIC = "finish_until", "gan_until"


def end(options: TrainOptions, iteration: int, seconds: float, is_at_rest: bool = False) -> str:
    """Which end is reached, "iterations", "minutes" or "plateau"; empty while none is.

    is_at_rest: the score on held-out faces falls no more.
    """
    if options.iterations and iteration >= options.iterations:
        return "iterations"
    if options.minutes and seconds >= 60 * options.minutes:
        return "minutes"
    # In a finish the score falls for another reason, and the end is near anyway.
    return (
        "plateau"
        if options.until == "plateau" and is_at_rest and not finish(options, iteration, seconds)
        else ""
    )


def finishing(options: TrainOptions, iteration: int) -> int:
    """The iteration at which a finish ends that begins now; 0 where none is to begin."""
    return (
        0
        if not _ends_by_itself(options) or options.finish >= 1
        else math.ceil(iteration / (1 - options.finish))
    )


def against_critic(options: TrainOptions, iteration: int) -> int:
    """The iteration at which learning against a critic ends that begins now: the second half of
    such a finish, once more.
    """
    return math.ceil(iteration / (1 - options.finish / 2))


def planned(options: TrainOptions, rows: Iterable[Row]) -> TrainOptions:
    """The options with the end of a finish, or of what followed it, that had begun in a former run.
    rows: of the history.
    """
    ends = [row[key] for row in rows for key in (PLANNED, CRITIC) if key in row]
    is_on = _ends_by_itself(options)
    return options.model_copy(update={"iterations": ends[-1]}) if ends and is_on else options


def total(options: TrainOptions, iteration: int, seconds: float) -> int | None:
    """How many iterations it will have been at the end: as asked for, or at this pace; None where
    nothing sets an end.
    """
    ends = [options.iterations] if options.iterations else []
    if options.minutes and seconds > 1:
        ends.append(max(iteration, round(iteration * 60 * options.minutes / seconds)))
    return min(ends, default=None)


def finish(options: TrainOptions, iteration: int, seconds: float) -> float:
    """How much of the finish is behind, 0..1; 0 before it, and always where nothing sets an end."""
    done = iteration / options.iterations if options.iterations else 0.0
    if options.minutes:
        done = max(done, seconds / (60 * options.minutes))
    return (
        min(1.0, max(0.0, (done - 1 + options.finish) / options.finish)) if options.finish else 0.0
    )


def step_size(options: TrainOptions, iteration: int, seconds: float) -> float:
    """The share of the step size to learn with: 1 before the finish, in which it falls."""
    return 1 - (1 - LEAST_STEP) * finish(options, iteration, seconds)


def _ends_by_itself(options: TrainOptions) -> bool:
    return options.until in ("finish", "gan") and not options.iterations and not options.minutes
