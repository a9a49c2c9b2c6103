"""How good a trained model is and what would help, in a line, by what was measured in training."""

from __future__ import annotations

import math
from pathlib import Path

from understudy.core.metrics.quality import describe_quality, rate
from understudy.core.training.plateau import describe_forecast, forecast
from understudy.core.training.score import score_curve
from understudy.io.model_files import history
from understudy.stages.saved_models.recipe import HISTORY

# To train on for less is not worth a start.
_LEAST_MINUTES = 10


def describe_model_quality(
    model: Path, iteration: int, likeness: int | None, show: Path, *, can_measure: bool = True
) -> str:
    """Say how good a model is at an iteration, and what would help.

    Args:
        model: Its folder, or the file that it came as.
        iteration: Of the weights.
        likeness: Iterations that such a model needs for one; None = not known.
        show: The folder of the show, for the commands that are named.
        can_measure: Whether the show has what `measure` looks at.
    """
    measure = f". Run: understudy measure {show}" if can_measure else ""
    if model.is_file():
        return f"not measured, since the model came as a file{measure}"
    rows = history.read(model / HISTORY)
    measured = [row for row in rows if row.get("held_out") and row["iteration"] <= iteration]
    text = describe_quality(measured[-1]["held_out"]) if measured else ""
    if not text:
        why = (
            "nothing here tells whose face it is and how it moves"
            if measured
            else "no faces were held out"
        )
        needs = f"; {model.name} needs about {likeness} for a likeness" if likeness else ""
        return f"iteration {iteration}: not measured, since {why}{needs}{measure}"
    last = measured[-1]
    at = f"iteration {last['iteration']}: {text}"
    outlook = forecast(*score_curve(measured))
    is_likeness = rate(last["held_out"]) == "a likeness"
    has_plateaued = outlook is not None and outlook.since is not None
    if is_likeness or has_plateaued:
        at = "; ".join(filter(None, (at, describe_forecast(outlook))))
    if is_likeness:
        return at
    if has_plateaued:
        return f"{at} More of src's footage, or a larger model, would help more than time."
    minutes = _minutes_to_train(last["iteration"], last.get("minutes", 0.0), likeness)
    return (
        f"{at}. Train on, then merge again: understudy train {show} --name {model.name} --minutes"
        f" {minutes}"
    )


def _minutes_to_train(iteration: int, minutes: float, likeness: int | None) -> int:
    """For how long to train in all: twice as long, or until a likeness is to be expected."""
    pace = minutes / max(iteration, 1)
    return max(_LEAST_MINUTES, math.ceil(2 * minutes), math.ceil(1.5 * (likeness or 0) * pace))
