"""How far a run has come, by what its options call the end. iteration: how many are learnt. seconds: spent learning."""

from __future__ import annotations

from understudy.stages.train import TrainOptions


def end(options: TrainOptions, iteration: int, seconds: float) -> str:
    """Which end is reached, "iterations" or "minutes"; empty while none is."""
    if options.iterations and iteration >= options.iterations:
        return "iterations"
    return "minutes" if options.minutes and seconds >= 60 * options.minutes else ""


def total(options: TrainOptions, iteration: int, seconds: float) -> int | None:
    """How many iterations it will have been at the end: as asked for, or at this pace; None where nothing sets an end."""
    ends = [options.iterations] if options.iterations else []
    if options.minutes and seconds > 1:
        ends.append(max(iteration, round(iteration * 60 * options.minutes / seconds)))
    return min(ends, default=None)


def finish(options: TrainOptions, iteration: int, seconds: float) -> float:
    """How much of the finish is behind, 0..1; 0 before it, and always where nothing sets an end."""
    done = iteration / options.iterations if options.iterations else 0.0
    if options.minutes:
        done = max(done, seconds / (60 * options.minutes))
    return min(1.0, max(0.0, (done - 1 + options.finish) / options.finish)) if options.finish else 0.0
