"""How good a trained model is and what would help, in a line, by what was measured in training."""

from __future__ import annotations

import math
from pathlib import Path

from understudy.core.metrics.quality import describe_quality, rate
from understudy.core.training.plateau import describe_forecast, forecast
from understudy.core.training.score import score_curve
from understudy.io.model_files import history
from understudy.parts.models import models
from understudy.stages.saved_models.recipe import HISTORY, read_recipe_or_saved

# To train on for less is not worth a start.
_LEAST_MINUTES = 10


def describe_model_quality(model: Path, iteration: int, show: Path) -> str:
    """Say how good a model is at an iteration, and what would help.

    Args:
        model: Its folder, or the file that it came as.
        iteration: Of the weights.
        show: The folder of the show, for the commands that are named.
    """
    if model.is_file():
        return f"not measured, since the model came as a file. Run: understudy measure {show}"
    rows = history.read(model / HISTORY)
    measured = [row for row in rows if row.get("held_out") and row["iteration"] <= iteration]
    text = describe_quality(measured[-1]["held_out"]) if measured else ""
    if not text:
        return (
            f"{_why_unmeasured(model, iteration, bool(measured))}. Run: understudy measure {show}"
        )
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
    minutes = _minutes_to_train(model, last["iteration"], last.get("minutes", 0.0))
    return (
        f"{at}. Train on, then merge again: understudy train {show} --name {model.name} --minutes"
        f" {minutes}"
    )


def _why_unmeasured(folder: Path, iteration: int, are_held_out: bool) -> str:
    """Say why nothing was measured, and how far the model is on the way to a likeness."""
    why = (
        "nothing here tells whose face it is and how it moves"
        if are_held_out
        else "no faces were held out"
    )
    recipe = read_recipe_or_saved(folder)[0]
    likeness = models[recipe.model].likeness
    needs = f"; {recipe.model} needs about {likeness} for a likeness" if likeness else ""
    return f"iteration {iteration}: not measured, since {why}{needs}"


def _minutes_to_train(folder: Path, iteration: int, minutes: float) -> int:
    """For how long to train in all: twice as long, or until a likeness is to be expected."""
    likeness = models[read_recipe_or_saved(folder)[0].model].likeness or 0
    pace = minutes / max(iteration, 1)
    return max(_LEAST_MINUTES, math.ceil(2 * minutes), math.ceil(1.5 * likeness * pace))
