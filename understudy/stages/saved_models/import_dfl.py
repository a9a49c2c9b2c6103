"""`trained import`: models of DeepFaceLab 2 become models of a show."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.errors import BadOption
from understudy.io import atomic
from understudy.io.dfl import models
from understudy.io.dfl.models import DflModel, DflModelInfo
from understudy.io.model_files import checkpoint, history
from understudy.options import Options, option
from understudy.stages.events import Finished, Note, Saved, Stage, Warned
from understudy.stages.jobs import verb
from understudy.stages.project import Project
from understudy.stages.saved_models.command import new_model_folder
from understudy.stages.saved_models.dfl_settings import batch_size, convert_recipe, train_flags
from understudy.stages.saved_models.import_fan import import_fan, is_fan
from understudy.stages.saved_models.recipe import CHECKPOINTS, HISTORY, ModelRecipe, write_recipe

if TYPE_CHECKING:
    from understudy.stages.saved_models.dfl_arrays import ConvertedModel

# What gives each critic its power.
_POWERS = {"critic": "gan_power", "code_critic": "true_face_power"}
# More lines than this no plot can show.
MAX_ROWS = 4000


class TrainedImportOptions(Options):
    """What `trained import` asks."""

    name: str | None = option(
        None, "Name under which the model is kept; not set = its own", formerly=""
    )
    pick: str | None = option(
        None,
        "Which model, where the folder holds several: its name, or the beginning of its files'"
        " names",
        formerly="",
    )


@verb
def trained_import(show: Path, path: Path, options: TrainedImportOptions) -> Stage:
    """Take a model of DeepFaceLab 2 into a show: SAEHD, Quick96, AMP, its XSeg, or FANSeg.

    path: the folder in which DeepFaceLab keeps its models, or one of the model's files.
    """
    project = Project.load(show)
    options = project.options("trained_import", options)
    if is_fan(path):
        yield from import_fan(project, path, options.name)
        return
    if segmenter := _find_segmenter(path):
        from understudy.stages.saved_models.segmenters import import_segmenter

        yield from import_segmenter(project, segmenter, options.name)
        return
    theirs = models.read_model(_pick_model(path, options.pick))
    goal = new_model_folder(project, options.name or theirs.place.name)
    recipe = convert_recipe(theirs)
    # Late: --help need not wait for torch.
    from understudy.stages.saved_models.dfl_arrays import convert_arrays

    converted = convert_arrays(theirs, recipe)
    for doubt in converted.doubts:
        yield Warned(text=doubt)
    with project.lock(f"models/{goal.name}"), atomic.explain_os_errors(goal):
        _write_model(goal, recipe, converted, theirs)
    yield Saved(what="model", path=goal)
    for text in _notes(theirs, recipe, converted, goal.name):
        yield Note(text=text)
    summary = {
        "model": goal.name,
        "iteration": theirs.iteration,
        "tensors": len(converted.weights),
        "optimizer": converted.optimizer,
        **recipe.settings,
    }
    yield Finished(stage="trained_import", summary=summary)


def _find_segmenter(path: Path) -> Path | None:
    """The weights of an XSeg, where the path means them: itself, or all that the folder holds."""
    if path.is_file():
        return path if path.name.startswith("XSeg") and path.suffix == ".npy" else None
    found = [each for each in sorted(path.glob("XSeg*.npy")) if not each.stem.endswith("_opt")]
    only = not [each for each in path.glob("*_data.dat") if not each.name.startswith("XSeg")]
    return found[0] if found and only else None


def _pick_model(path: Path, pick: str | None) -> DflModel:
    """The model that is meant. Raises BadOption, with all names, when that is not clear."""
    places = models.list_models(path.parent if path.is_file() else path)
    if path.is_file():
        places = [each for each in places if path.name.startswith(f"{each.label}_")]
        # One name may begin with another one.
        places = sorted(places, key=lambda each: len(each.label))[-1:]
    if pick:
        places = [each for each in places if pick in (each.label, each.name)]
    if len(places) != 1:
        every = models.list_models(path.parent if path.is_file() else path)
        names = ", ".join(each.label for each in every)
        raise BadOption(f"pick: {path} holds {names}. Say which one: --pick {every[0].label}.")
    return places[0]


def _write_model(
    goal: Path, recipe: ModelRecipe, converted: ConvertedModel, theirs: DflModelInfo
) -> None:
    """Make the model's folder, whole or not at all."""
    parts = {"weights": converted.weights} | (
        {"optimizer": converted.memory} if converted.memory else {}
    )
    state = {
        "seconds": 0.0,
        "slowed": 1.0,
        "recent": [],
        "settings": recipe.settings,
        "recipe": recipe.model_dump(mode="json", exclude={"settings"}, exclude_none=True),
        "pretraining": bool(theirs.options.get("pretrain")),
        # How many pairs of faces a gradient was of.
        "batch": {"asked": batch_size(theirs), "fits": 0},
        # With none, no optimizer looks for its memory here.
        "optimizer": converted.optimizer,
    }
    with atomic.partial_folder(goal) as making:
        write_recipe(making.path, recipe)
        history.append(making.path / HISTORY, _history_rows(theirs))
        checkpoint.save(making.path / CHECKPOINTS, theirs.iteration, parts, state)
        making.settle(goal)


def _history_rows(theirs: DflModelInfo) -> Iterator[history.Row]:
    """Losses as rows of a history, each the mean of ten iterations or more.

    The last row is that of the model's iteration.
    """
    rows = theirs.losses[-theirs.iteration :] if theirs.iteration else ()
    step = max(10, -(-len(rows) // MAX_ROWS))
    for at in range(0, len(rows), step):
        part = rows[at : at + step]
        means = (round(sum(column) / len(part), 6) for column in zip(*part, strict=True))
        iteration = theirs.iteration - len(rows) + at + len(part)
        yield {"iteration": iteration, "losses": dict(zip(("src", "dst"), means, strict=True))}


def _notes(
    theirs: DflModelInfo, recipe: ModelRecipe, converted: ConvertedModel, name: str
) -> Iterator[str]:
    """What the user should know of a model that came in."""
    settings: dict[str, Any] = recipe.settings
    yield (
        f"{name}: {theirs.place.label} at iteration {theirs.iteration}. Its weights, settings and"
        " losses are here."
    )
    if converted.named == converted.layers:
        yield f"{name}: all {converted.layers} layers were found by their names."
    else:
        yield (
            f"{name}: {converted.named} of {converted.layers} layers were found by their names, the"
            " others by their shape and the order of the file."
        )
    if converted.memory:
        yield (
            f"{name}: what its optimizer ({converted.optimizer}) remembers is here, too, after"
            f" {converted.steps} steps: train goes on from it."
        )
    else:
        what = (
            "remembers stays behind" if "src_dst_opt" in theirs.parts else "remembered is missing"
        )
        yield f"{name}: what its optimizer {what}; train goes on with a fresh memory."
    if fresh := [critic for critic in converted.fresh_critics if settings.get(_POWERS[critic])]:
        yield (
            f"{name}: {len(fresh)} of its critics stay behind ({', '.join(fresh)}) and start anew"
            " as soon as it trains, with the power they had."
        )
    if theirs.place.kind == "AMP":
        yield (
            f"{name}: from here on its inters learn, too; DeepFaceLab left them as they began:"
            " --amp.no-train-inters."
        )
    if theirs.options.get("pretrain"):
        yield (
            f"{name}: has only pretrained. Go on with --pretrain, or train it on src and dst: then"
            " its inters start anew."
        )
    if flags := train_flags(theirs.options):
        yield (
            f"{name}: it was trained with what is here {' '.join(flags)}. Give these to train,"
            " where you want them."
        )
