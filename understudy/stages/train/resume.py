"""How a run begins: from nothing, at a checkpoint, with another model's weights, or pretrained."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path

from understudy.errors import BadOption, BadProject
from understudy.io import atomic
from understudy.io.model_files import checkpoint, history
from understudy.io.model_files.checkpoint import Checkpoint
from understudy.stages.events import Event, Note, Order, Stage, Warned
from understudy.stages.saved_models.load import newest_checkpoint, refuse_exchanged
from understudy.stages.saved_models.recipe import (
    BACKUPS,
    BEST,
    CHECKPOINTS,
    HISTORY,
    OPTIONS_FILE,
    read_recipe_or_saved,
    write_recipe,
)
from understudy.stages.train.state import TrainState
from understudy.stages.train.state_dict import inherit, restore

# What a model leaves behind when it has pretrained, under these names with "-pretrain".
PRETRAINING_FILES = (CHECKPOINTS, "previews", HISTORY, BACKUPS, BEST)
PRETRAINED = "checkpoints-pretrain"


@dataclass(frozen=True, slots=True)
class Resumed:
    """Where a run begins.

    Attributes:
        saved: The checkpoint of this model that it goes on from; None = it begins.
        is_inherited: Whether it begins with weights from elsewhere.
    """

    state: TrainState
    saved: Checkpoint | None = None
    is_inherited: bool = False


def resume(folder: Path, state: TrainState) -> Generator[Event, Order | None, Resumed]:
    """Bring a new state to where the run begins, and write the recipe into the model's folder.

    Raises BadOption, BadProject.
    """
    name = folder.name
    yield from warn_damage(folder)
    saved = yield from _newest_checkpoint(folder)
    pretrains = bool(state.options.pretrain)
    has_pretrained = saved is not None and saved.state.get("pretraining", False)
    if saved and pretrains and not has_pretrained:
        raise BadOption(
            f"pretrain: {name} has met its people already. Pretrain another model with --name."
        )
    if saved and has_pretrained and not pretrains:
        _set_aside(folder)
        saved = None
    # Looked for before anything is written: a model that cannot begin leaves no folder.
    source = None if saved else _source(folder, state)
    write_recipe(folder, state.recipe)
    if saved is None:
        return (yield from _begin(name, state, source))
    checkpoint.make_current(saved)
    state, renewed = restore(state, saved)
    yield from warn_renewed(name, renewed)
    yield Note(text=f"{name}: goes on from iteration {state.iteration}")
    kind = state.trainable.optimizer_kind
    if saved.state.get("optimizer", "adam") != kind:
        yield Note(text=f"{name}: {kind} starts with no memory of what was learnt before")
    return Resumed(state, saved)


def warn_damage(folder: Path) -> Stage:
    """Warn of damaged files beside the weights of a model that is about to learn on."""
    if (folder / OPTIONS_FILE).is_file():
        for text in read_recipe_or_saved(folder)[1]:
            yield Warned(text=f"{text} The file is written anew.")
    if broken := history.load(folder / HISTORY).broken:
        yield Warned(
            text=f"{folder / HISTORY}: {broken} lines cannot be read. All others are kept."
        )


def warn_renewed(name: str, tensors: list[str]) -> Stage:
    """Warn of the parts of a model that start from their initial values, if there are any."""
    if tensors:
        parts = ", ".join(sorted({".".join(each.split(".")[:2]) for each in tensors}))
        yield Warned(
            text=f"{name}: {len(tensors)} tensors start anew, in {parts}; all others are kept."
        )


def _newest_checkpoint(folder: Path) -> Generator[Event, Order | None, Checkpoint | None]:
    """The newest whole checkpoint, with a warning for each that is torn. Raises BadProject."""
    saved, torn = checkpoint.load_newest(folder / CHECKPOINTS)
    for text in torn:
        yield Warned(text=text)
    if torn and saved is None:
        raise BadProject(
            f"{folder}: no checkpoint is whole any more. Restore one, or train under another"
            " --name."
        )
    return saved


def _source(folder: Path, state: TrainState) -> Checkpoint | None:
    """The checkpoint whose weights a model begins with; None = from nothing. Raises BadProject."""
    if (folder / PRETRAINED).is_dir() and not state.options.pretrain:
        return newest_checkpoint(folder, PRETRAINED)[0]
    if not state.recipe.origin:
        return None
    origin = Path(state.recipe.origin)
    saved = newest_checkpoint(origin)[0]
    if not state.options.exchange:
        refuse_exchanged(origin, saved)
    return saved


def _begin(
    name: str, state: TrainState, source: Checkpoint | None
) -> Generator[Event, Order | None, Resumed]:
    """Begin at iteration 0: after pretraining, with another model's weights, or from nothing."""
    if source is None:
        return Resumed(replace(state, saved_iteration=-1))
    is_after_pretraining = source.folder.parent.name == PRETRAINED
    memory = (
        "what its optimizer remembers of them is kept"
        if is_after_pretraining
        else "so does the optimizer's memory"
    )
    yield Note(
        text=(
            f"{name}: starts with the weights of {source.folder.parent.parent}, iteration"
            f" {source.iteration}. Iterations and history start anew; {memory}."
        )
    )
    state, renewed = inherit(state, source, keep_memory=is_after_pretraining)
    yield from warn_renewed(name, renewed)
    return Resumed(state, is_inherited=True)


def _set_aside(folder: Path) -> None:
    """Rename what pretraining left. The checkpoints go last: until then it is not over."""
    for name in reversed(PRETRAINING_FILES):
        path = folder / name
        place = path.with_name(f"{path.stem}-pretrain{path.suffix}")
        if atomic.is_there(path):
            with atomic.explain_os_errors(place):
                if atomic.is_there(place):
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(place))
                path.rename(place)
