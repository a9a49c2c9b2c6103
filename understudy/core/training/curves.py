"""A model's history as what can be drawn: lines of what was measured, and what happened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np

from understudy.core.metrics.quality import describe_quality, without_noise
from understudy.core.training.plateau import Forecast, forecast
from understudy.core.training.score import score_curve

# Points of a line at most; of more neighbours are drawn as their mean.
MAX_POINTS: Final = 600

Row = Mapping[str, Any]
Line = tuple[list[float], list[float]]
Lines = dict[str, Line]
Kind = Literal["reconstruction", "swap", "losses"]
KINDS: Final[tuple[Kind, ...]] = ("reconstruction", "swap", "losses")
# Measured, but not drawn: angles, and the share of faces that were found.
_NOT_DRAWN: Final = ("pose", "found")


def _no_lines() -> dict[Kind, Lines]:
    return {kind: {} for kind in KINDS}


@dataclass(frozen=True)
class TrainingCurves:
    """How a model learnt.

    Attributes:
        lines: By kind and name, over iterations.
        events: Iteration and what happened.
        forecast: Of the score; None where it is too early for one.
        quality: How good the swaps are that were measured last, in words; "" where none were.
    """

    lines: dict[Kind, Lines] = field(default_factory=_no_lines)
    events: list[tuple[float, str]] = field(default_factory=list)
    forecast: Forecast | None = None
    quality: str = ""


def collect_curves(rows: Sequence[Row]) -> TrainingCurves:
    """Collect the lines and events of a history, whose rows come in the order of iterations."""
    measured = [row["held_out"] for row in rows if "held_out" in row]
    found = TrainingCurves(
        forecast=forecast(*score_curve(rows)),
        quality=describe_quality(measured[-1]) if measured else "",
    )
    for row in rows:
        for name, value in row.get("losses", {}).items():
            _add(found.lines["losses"], name, row["iteration"], value)
        for name, value in without_noise(row.get("held_out", {})).items():
            if name not in _NOT_DRAWN:
                _add(found.lines[_kind(name)], name, row["iteration"], value)
        if text := describe_event(row):
            found.events.append((row["iteration"], text))
    if found.forecast is not None and found.forecast.since is not None:
        found.events.append((found.forecast.since, "plateau"))
    for lines in found.lines.values():
        lines.update({name: _thin(line) for name, line in lines.items()})
    return found


def describe_event(row: Row) -> str:
    """Say what happened, by a row of a history; empty where it only holds numbers."""
    return next((str(row[key]) for key in ("changed", "setback") if key in row), "")


def merge_curves(models: Mapping[str, TrainingCurves]) -> TrainingCurves:
    """Merge the curves of several models: each name stands before those of lines and events."""
    merged = TrainingCurves()
    for model, curves in models.items():
        for kind, lines in curves.lines.items():
            merged.lines[kind].update({f"{model}: {name}": line for name, line in lines.items()})
        merged.events.extend((at, f"{model}: {text}") for at, text in curves.events)
    return merged


def select_lines(lines: Mapping[str, Line], names: Iterable[str]) -> Lines:
    """Select the lines whose name, behind a model's, is one of `names`."""
    wanted = set(names)
    return {name: line for name, line in lines.items() if name.rpartition(": ")[2] in wanted}


def _kind(name: str) -> Kind:
    is_reconstruction = name == "score" or name.endswith((" l1", " dssim"))
    return "reconstruction" if is_reconstruction else "swap"


def _add(lines: Lines, name: str, iteration: float, value: float) -> None:
    x, y = lines.setdefault(name, ([], []))
    x.append(iteration)
    y.append(value)


def _thin(line: Line) -> Line:
    if len(line[0]) <= MAX_POINTS:
        return line
    x, y = (np.array_split(np.asarray(each, np.float64), MAX_POINTS) for each in line)
    return [float(part.mean()) for part in x], [float(part.mean()) for part in y]
