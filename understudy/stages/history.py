"""`history`: how the models of a show learnt, as one picture and one page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from understudy.core.drawing import svg
from understudy.core.metrics.quality import without_noise
from understudy.core.training.curves import (
    Kind,
    TrainingCurves,
    collect_curves,
    describe_event,
    merge_curves,
    select_lines,
)
from understudy.core.training.plateau import describe_forecast
from understudy.errors import BadProject
from understudy.io import atomic
from understudy.io.model_files import history as files
from understudy.options import Options, option
from understudy.stages.events import Finished, Measured, Note, Saved, Stage, Warned
from understudy.stages.html_page import render_page
from understudy.stages.jobs import verb
from understudy.stages.project import Project
from understudy.stages.saved_models.recipe import HISTORY
from understudy.stages.saved_models.select import list_model_names, select_model_folder

# What of several models goes into one plot: more would be a tangle.
_SHARED_LINES: dict[Kind, tuple[str, ...]] = {
    "reconstruction": ("score",),
    "swap": ("identity", "expression", "sharpness"),
    "losses": ("src", "dst"),
}
_TITLES: dict[Kind, tuple[str, str]] = {
    "reconstruction": (
        "Held-out faces, rebuilt",
        "Faces that are never learnt from: L1 and DSSIM within the mask, and the score of both.",
    ),
    "swap": (
        "The swap",
        (
            "identity: 0 = dst, 1 = src. expression, mouth, eyes: in step with dst, 1 = always;"
            " scale: how far. mask: overlap."
        ),
    ),
    "losses": ("Losses", "On the warped faces that the model learns from, as it goes by them."),
}


class HistoryOptions(Options):
    """What `history` asks."""

    model: tuple[str, ...] = option(
        (), "Names of models, to see them together; none = every one that there is"
    )


@verb
def history(show: Path, options: HistoryOptions) -> Stage:
    """Draw how the models of a show learnt: history.svg, and history.html, a page to look at.

    Tells every row of their histories as an event. Raises BadProject where nothing has been
    measured.
    """
    project = Project.load(show)
    options = project.options("history", options)
    names = list(dict.fromkeys(options.model)) or list_model_names(project)
    curves: dict[str, TrainingCurves] = {}
    for name in names:
        path = select_model_folder(project, name) / HISTORY
        known = files.load(path)
        rows = known.rows
        if known.broken:
            yield Warned(text=f"{path}: {known.broken} lines cannot be read and are left out.")
        for row in rows:
            yield Measured(
                model=name,
                iteration=row["iteration"],
                values={**row.get("losses", {}), **without_noise(row.get("held_out", {}))},
                text=describe_event(row),
            )
        if rows:
            curves[name] = collect_curves(rows)
    if not curves:
        raise BadProject(
            f"{project.folder}: no model has learnt anything yet. Train one: understudy train"
            f" {project.folder}."
        )
    picture, page = project.folder / "history.svg", project.folder / "history.html"
    plots = _plots(curves)
    outlooks = {
        name: "; ".join(filter(None, (each.quality, describe_forecast(each.forecast))))
        for name, each in curves.items()
    }
    outlooks = {name: text for name, text in outlooks.items() if text}
    atomic.write_text(picture, svg.draw_curves_file(list(plots.values())))
    atomic.write_text(page, _page(project.folder.resolve().name, curves, plots, outlooks))
    for name, text in outlooks.items():
        yield Note(text=f"{name}: {text}")
    yield Saved(what="picture", path=picture)
    yield Saved(what="page", path=page)
    yield Finished(stage="history", summary={"models": ", ".join(curves), **outlooks})


def _plots(curves: dict[str, TrainingCurves]) -> dict[Kind, svg.CurvePlot]:
    """The plots by kind, those of several models with their main lines only."""
    is_one = len(curves) == 1
    merged = next(iter(curves.values())) if is_one else merge_curves(curves)
    return {
        kind: svg.CurvePlot(
            _TITLES[kind][0],
            merged.lines[kind] if is_one else select_lines(merged.lines[kind], shared),
            merged.events,
            is_logarithmic=kind != "swap",
        )
        for kind, shared in _SHARED_LINES.items()
    }


def _page(
    show: str,
    curves: dict[str, TrainingCurves],
    plots: dict[Kind, svg.CurvePlot],
    outlooks: dict[str, str],
) -> str:
    shown: list[dict[str, Any]] = [
        {
            "title": plot.title,
            "note": _TITLES[kind][1],
            "svg": svg.draw_curves(plot.lines, plot.markers, plot.is_logarithmic),
            "names": list(plot.lines),
        }
        for kind, plot in plots.items()
    ]
    events = [(name, at, text) for name, each in curves.items() for at, text in sorted(each.events)]
    return render_page("history.html", show=show, plots=shown, events=events, outlooks=outlooks)
