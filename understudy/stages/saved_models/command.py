"""`trained`: the models of a show; `trained rename`, `copy` and `trash` keep them in order."""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

from understudy.core.metrics.quality import describe_quality, without_noise
from understudy.errors import BadOption, BadProject, CannotRead
from understudy.io import atomic
from understudy.io.model_files import backups, checkpoint, history
from understudy.options import Options
from understudy.stages.events import Event, Finished, Note, Order, Saved, Stage, Warned
from understudy.stages.jobs import verb
from understudy.stages.project import Project
from understudy.stages.saved_models.recipe import (
    BACKUPS,
    CHECKPOINTS,
    HISTORY,
    list_model_folders,
    read_recipe_or_saved,
    saved_at,
    validate_name,
)


class TrainedOptions(Options):
    """What `trained` and its kin ask: nothing besides their arguments."""


@verb
def trained(show: Path, options: TrainedOptions) -> Stage:
    """List the models that you trained in a show, the newest first: what each is, and how far.

    The weights of networks that others trained are listed by `models`.
    """
    project = Project.load(show)
    summary: dict[str, dict[str, Any]] = {}
    for folder in sorted(list_model_folders(project.folder / "models"), key=saved_at, reverse=True):
        try:
            summary[folder.name] = yield from _describe(folder)
        except (BadProject, BadOption, CannotRead) as error:
            yield Warned(text=str(error))
    if not summary:
        yield Note(
            text=f"{project.folder}: no models yet. Train one: understudy train {project.folder}."
        )
    yield Finished(stage="trained", summary=summary)


@verb
def trained_rename(show: Path, name: str, new: str, options: TrainedOptions) -> Stage:
    """Give a model of a show another name.

    name: what it is called now. new: what it shall be called.
    """
    project = Project.load(show)
    source, goal = find_model_folder(project, name), new_model_folder(project, new)
    with (
        project.lock(f"models/{name}"),
        project.lock(f"models/{new}"),
        atomic.explain_os_errors(goal),
    ):
        source.rename(goal)
    yield Saved(what="model", path=goal)
    yield from _warn_of_mentions(project, name)
    yield Finished(stage="trained_rename", summary={"model": new})


@verb
def trained_copy(show: Path, name: str, new: str, options: TrainedOptions) -> Stage:
    """Copy a model of a show with its checkpoints and history, but not its backups.

    name: the model. new: what the copy shall be called.
    """
    project = Project.load(show)
    source, goal = find_model_folder(project, name), new_model_folder(project, new)
    with (
        project.lock(f"models/{name}"),
        project.lock(f"models/{new}"),
        atomic.explain_os_errors(goal),
    ):
        with atomic.partial_folder(goal) as partial:
            _copy_files(source, partial.path, leave_out=BACKUPS)
            partial.settle(goal)
    yield Saved(what="model", path=goal)
    yield Finished(stage="trained_copy", summary={"model": new})


@verb
def trained_trash(show: Path, name: str, options: TrainedOptions) -> Stage:
    """Move a model of a show out of the way, into models_trash; nothing is deleted.

    name: the model.
    """
    project = Project.load(show)
    source, trash = find_model_folder(project, name), project.folder / "models_trash"
    with project.lock(f"models/{name}"), atomic.explain_os_errors(trash):
        trash.mkdir(exist_ok=True)
        goal = next(
            place
            for number in itertools.count(1)
            if not atomic.is_there(place := trash / _numbered(name, number))
        )
        source.rename(goal)
    yield Note(
        text=(
            f"{name}: now in {goal}. To have it back, move that folder to {source}; to be rid of"
            " it, delete it."
        )
    )
    yield from _warn_of_mentions(project, name)
    yield Finished(stage="trained_trash", summary={"model": name, "folder": str(goal)})


def _copy_files(source: Path, goal: Path, leave_out: str = "") -> None:
    """Copy all files below `source` into `goal`, but no links to folders."""
    for path in source.iterdir():
        if path.name == leave_out or atomic.is_partial(path.name):
            continue
        if path.is_file():
            shutil.copy2(path, goal / path.name)
        elif path.is_dir() and not atomic.is_link(path):
            (goal / path.name).mkdir(exist_ok=True)
            _copy_files(path, goal / path.name)


def find_model_folder(project: Project, name: str) -> Path:
    """The folder of a model. Raises BadProject, with the names there are, when there is none."""
    names = [each.name for each in list_model_folders(project.folder / "models")]
    if name not in names:
        raise BadProject(
            f"{project.folder}: there is no model '{name}'. There are:"
            f" {', '.join(names) or 'none yet'}."
        )
    return project.model(name)


def new_model_folder(project: Project, name: str) -> Path:
    """The folder of a new model. Raises BadOption when it is there, or cannot be a folder."""
    folder = project.model(validate_name(name))
    if atomic.is_there(folder):
        raise BadOption(
            f"{folder}: is there already. Choose another name, or move it away: understudy trained"
            f" trash {project.folder} {name}."
        )
    return folder


def _describe(folder: Path) -> Generator[Event, Order | None, dict[str, Any]]:
    """What a model is, and how far; warns of what is damaged. Raises BadProject, BadOption."""
    recipe, damage = read_recipe_or_saved(folder)
    known = history.load(folder / HISTORY)
    if known.broken:
        damage.append(f"{folder / HISTORY}: {known.broken} lines cannot be read.")
    for text in damage:
        yield Warned(text=text)
    saved = checkpoint.peek(folder / CHECKPOINTS)
    told: dict[str, Any] = {
        "model": recipe.model,
        **recipe.model_options.model_dump(mode="json"),
        "seed": recipe.seed,
    }
    if saved:
        minutes = round(saved.state.get("seconds", 0.0) / 60, 1)
        told |= {"iteration": saved.iteration, "minutes": minutes}
        if saved.state.get("exchanged"):
            told["exchanged"] = "src and dst, since --exchange; train it back before you merge"
        told["saved"] = time.strftime("%Y-%m-%d %H:%M", time.localtime(saved_at(folder)))
    if made := len(backups.list_backups(folder / BACKUPS)):
        told["backups"] = made
    measured = [row["held_out"] for row in known.rows if "held_out" in row]
    origin = {"started from": recipe.origin} if recipe.origin else {}
    last = without_noise(measured[-1]) if measured else {}
    quality = {"quality": said} if (said := describe_quality(last)) else {}
    return {**told, **last, **quality, **origin}


def _warn_of_mentions(project: Project, name: str) -> Stage:
    """Warn when the project file still names a model that is gone."""
    for stage, key in (("train", "name"), ("merge", "model")):
        if project.file.options.get(stage, {}).get(key) == name:
            yield Warned(
                text=(
                    f"{project.folder}: [options.{stage}] in the project file still says {key} ="
                    f' "{name}". Mend it.'
                )
            )


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"
