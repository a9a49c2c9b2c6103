"""How far a run has come, by what its options call the end, and the learning rate there."""

from __future__ import annotations

import math
from collections.abc import Iterable

from understudy.io.model_files.history import Row
from understudy.stages.train.options import TrainOptions

# The share of the learning rate that is left at the very end.
MIN_LR_SHARE = 0.05
# Keys of the history: the iterations at which a finish, and a GAN phase, that has begun will end.
FINISH_UNTIL, GAN_UNTIL = "finish_until", "gan_until"


def end_reason(
    options: TrainOptions, iteration: int, seconds: float, has_plateaued: bool = False
) -> str:
    """Which end is reached, "iterations", "minutes" or "plateau"; empty while none is.

    Args:
        iteration: How many the model has learnt.
        seconds: How long it has learnt.
        has_plateaued: Whether the score on held-out faces falls no more.
    """
    if options.iterations and iteration >= options.iterations:
        return "iterations"
    if options.minutes and seconds >= 60 * options.minutes:
        return "minutes"
    # In a finish the score falls for another reason, and the end is near anyway.
    is_finishing = finish_progress(options, iteration, seconds) > 0
    return "plateau" if options.until == "plateau" and has_plateaued and not is_finishing else ""


def finish_end(options: TrainOptions, iteration: int) -> int:
    """The iteration at which a finish ends that begins now; 0 where none is to begin."""
    return (
        0
        if not _ends_by_itself(options) or options.finish >= 1
        else math.ceil(iteration / (1 - options.finish))
    )


def gan_end(options: TrainOptions, iteration: int) -> int:
    """The iteration at which a GAN phase ends that begins now: half a finish once more."""
    return math.ceil(iteration / (1 - options.finish / 2))


def with_planned_end(options: TrainOptions, rows: Iterable[Row]) -> TrainOptions:
    """The options with the end of a finish or GAN phase that had begun in a former run.

    Args:
        rows: Of the model's history.
    """
    ends = [row[key] for row in rows for key in (FINISH_UNTIL, GAN_UNTIL) if key in row]
    is_on = _ends_by_itself(options)
    return options.model_copy(update={"iterations": ends[-1]}) if ends and is_on else options


def total_iterations(options: TrainOptions, iteration: int, seconds: float) -> int | None:
    """How many iterations it will be at the end, at this pace; None where nothing sets an end."""
    ends = [options.iterations] if options.iterations else []
    if options.minutes and seconds > 1:
        ends.append(max(iteration, math.ceil(iteration * 60 * options.minutes / seconds)))
    return min(ends, default=None)


def finish_progress(options: TrainOptions, iteration: int, seconds: float) -> float:
    """The share of the finish that is done, 0..1; 0 before it and where nothing sets an end."""
    done = iteration / options.iterations if options.iterations else 0.0
    if options.minutes:
        done = max(done, seconds / (60 * options.minutes))
    return (
        min(1.0, max(0.0, (done - 1 + options.finish) / options.finish)) if options.finish else 0.0
    )


def lr_share(options: TrainOptions, iteration: int, seconds: float) -> float:
    """The share of the learning rate for an iteration: 1 before the finish, in which it falls."""
    return 1 - (1 - MIN_LR_SHARE) * finish_progress(options, iteration, seconds)


def _ends_by_itself(options: TrainOptions) -> bool:
    return options.until in ("finish", "gan") and not options.iterations and not options.minutes
