"""A model's history as what can be drawn: lines of what was measured, and marks of what
happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from understudy.core.training.plateau import Forecast, forecast
from understudy.core.training.score import score_curve

# Points of a line at most; of more neighbours are drawn as their mean.
MAX_POINTS: Final = 600

Row = Mapping[str, Any]
Line = tuple[list[float], list[float]]
Lines = dict[str, Line]


@dataclass(frozen=True)
class TrainingCurves:
    """losses, rebuilt, swap: lines by name, over iterations. marks: iteration and what happened.
    outlook: of the score.
    """

    losses: Lines = field(default_factory=dict)
    rebuilt: Lines = field(default_factory=dict)
    swap: Lines = field(default_factory=dict)
    marks: list[tuple[float, str]] = field(default_factory=list)
    forecast: Forecast | None = None


def collect_curves(rows: Sequence[Row]) -> TrainingCurves:
    """The story that rows of a history tell. What is not drawn: angles and the share of faces that
    were found.
    """
    found = TrainingCurves(forecast=forecast(*score_curve(rows)))
    for row in rows:
        for name, value in row.get("losses", {}).items():
            _add(found.losses, name, row["iteration"], value)
        for name, value in row.get("held_out", {}).items():
            if name not in ("pose", "found"):
                is_rebuilt = name == "score" or name.endswith((" l1", " dssim"))
                _add(found.rebuilt if is_rebuilt else found.swap, name, row["iteration"], value)
        if happened := describe_event(row):
            found.marks.append((row["iteration"], happened))
    if found.forecast is not None and found.forecast.since is not None:
        found.marks.append((found.forecast.since, "plateau"))
    for lines in (found.losses, found.rebuilt, found.swap):
        lines.update({name: _thinned(line) for name, line in lines.items()})
    return found


def describe_event(row: Row) -> str:
    """What happened, by a row of a history; empty where it only holds numbers."""
    return next((str(row[key]) for key in ("changed", "setback") if key in row), "")


def merge_curves(stories: Mapping[str, TrainingCurves]) -> TrainingCurves:
    """Several models' stories as one: their names stand before those of lines and marks."""
    found = TrainingCurves()
    for model, each in stories.items():
        for ours, theirs in (
            (found.losses, each.losses),
            (found.rebuilt, each.rebuilt),
            (found.swap, each.swap),
        ):
            ours.update({f"{model}: {name}": line for name, line in theirs.items()})
        found.marks.extend((at, f"{model}: {text}") for at, text in each.marks)
    return found


def select_lines(lines: Mapping[str, Line], names: Iterable[str]) -> Lines:
    """Those lines whose name, behind a model's, is one of `names`."""
    wanted = set(names)
    return {name: line for name, line in lines.items() if name.rpartition(": ")[2] in wanted}


def _add(lines: Lines, name: str, iteration: float, value: float) -> None:
    x, y = lines.setdefault(name, ([], []))
    x.append(iteration)
    y.append(value)


def _thinned(line: Line) -> Line:
    if len(line[0]) <= MAX_POINTS:
        return line
    x, y = (np.array_split(np.asarray(each, np.float64), MAX_POINTS) for each in line)
    return [float(part.mean()) for part in x], [float(part.mean()) for part in y]
