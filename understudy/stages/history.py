"""`history`: how the models of a show learnt, as one picture and one page."""

from __future__ import annotations

from html import escape
from pathlib import Path

import numpy as np

from understudy.core.drawing import plot, svg
from understudy.core.training.curves import (
    Line,
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
from understudy.stages.events import Finished, Measured, Note, Saved, Stage
from understudy.stages.html_style import STYLE
from understudy.stages.jobs import verb
from understudy.stages.project import Project
from understudy.stages.saved_models.recipe import HISTORY
from understudy.stages.saved_models.select import list_model_names, select_model_folder

# What of several models goes into one plot: more would be a tangle.
_FEW = {
    "losses": ("src", "dst"),
    "rebuilt": ("score",),
    "swap": ("identity", "expression", "sharpness"),
}
_TITLES = {
    "rebuilt": (
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
    "losses": ("Losses", "On the bent faces that the model learns from, as it goes by them."),
}


class HistoryOptions(Options):
    """What `history` asks."""

    model: tuple[str, ...] = option(
        (), "Names of models, to see them together; none = every one that there is"
    )


@verb
def history(show: Path, options: HistoryOptions) -> Stage:
    """Draw how the models of a show learnt: history.png and history.html, one page to look at, in
    the show.

    Tells every row of their histories as an event. Raises BadProject where nothing has been
    measured.
    """
    project = Project.load(show)
    options = project.options("history", options)
    names = list(dict.fromkeys(options.model)) or list_model_names(project)
    stories: dict[str, TrainingCurves] = {}
    for name in names:
        rows = files.read(select_model_folder(project, name) / HISTORY)
        for row in rows:
            values = {**row.get("losses", {}), **row.get("held_out", {})}
            yield Measured(
                model=name, iteration=row["iteration"], values=values, text=describe_event(row)
            )
        if rows:
            stories[name] = collect_curves(rows)
    if not stories:
        raise BadProject(
            f"{project.folder}: no model has learnt anything yet. Train one: understudy train"
            f" {project.folder}."
        )
    picture, page = project.folder / "history.png", project.folder / "history.html"
    atomic.write_bytes(picture, plot.png(_drawn(stories)))
    atomic.write_text(page, _page(project.folder.resolve().name, stories))
    outlooks = {
        name: describe_forecast(each.forecast)
        for name, each in stories.items()
        if each.forecast is not None
    }
    for name, text in outlooks.items():
        yield Note(text=f"{name}: {text}")
    yield Saved(what="picture", path=picture)
    yield Saved(what="page", path=page)
    yield Finished(stage="history", summary={"models": ", ".join(stories), **outlooks})


def _plots(
    stories: dict[str, TrainingCurves],
) -> dict[str, tuple[dict[str, Line], list[tuple[float, str]]]]:
    """Lines and marks of each plot."""
    one = next(iter(stories.values())) if len(stories) == 1 else merge_curves(stories)
    plots = {}
    for which, few in _FEW.items():
        lines: dict[str, Line] = getattr(one, which)
        plots[which] = (lines if len(stories) == 1 else select_lines(lines, few), one.marks)
    return {which: plots[which] for which in _TITLES}


def _drawn(stories: dict[str, TrainingCurves]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The plots below one another."""
    parts = []
    for which, (lines, marks) in _plots(stories).items():
        short = [(at, text if len(text) < 24 else f"{text[:22]}…") for at, text in marks]
        parts.append(
            plot.curves(
                lines,
                _TITLES[which][0],
                (1100, 420),
                [(at, text.replace("…", "..")) for at, text in short],
            )
        )
    return np.vstack(parts)


def _page(show: str, stories: dict[str, TrainingCurves]) -> str:
    sections = []
    for which, (lines, marks) in _plots(stories).items():
        title, note = _TITLES[which]
        legend = " ".join(
            f'<span><i class="swatch c{place % svg.KINDS}"></i>{escape(name)}</span>'
            for place, name in enumerate(lines)
        )
        drawn = svg.curves(lines, marks, logarithmic=which != "swap")
        sections.append(
            f'<section><h2>{title}</h2><p class="note">{note}</p>{drawn}<p'
            f' class="note">{legend}</p></section>'
        )
    happened = [
        f"<tr><td>{escape(name)}</td><td>{at:.0f}</td><td>{escape(text)}</td></tr>"
        for name, at, text in _events(stories)
    ]
    table = (
        f"<section><h2>What happened</h2><table>{''.join(happened)}</table></section>"
        if happened
        else ""
    )
    outlooks = [
        f"<p>{escape(name)}: {escape(describe_forecast(each.forecast))}</p>"
        for name, each in stories.items()
        if each.forecast
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>History of {escape(show)}</title><style>{STYLE}</style></head>"
        "<body><h1>History of"
        f" {escape(show)}</h1>{''.join(outlooks)}{''.join(sections)}{table}</body></html>\n"
    )


def _events(stories: dict[str, TrainingCurves]) -> list[tuple[str, float, str]]:
    return [(name, at, text) for name, each in stories.items() for at, text in sorted(each.marks)]
