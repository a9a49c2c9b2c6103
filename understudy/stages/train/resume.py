"""How a run begins: from nothing, where another stopped, with the weights of another model, or
after pretraining.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from understudy.errors import BadOption, BadProject
from understudy.io.model_files import checkpoint
from understudy.stages.events import Note, Stage, Warned
from understudy.stages.saved_models.load import newest_checkpoint
from understudy.stages.saved_models.recipe import (
    BACKUPS,
    BEST,
    CHECKPOINTS,
    HISTORY,
    ModelRecipe,
    write_recipe,
)
from understudy.stages.train.learner import Learner
from understudy.stages.train.options import TrainOptions

# What a model leaves behind when it has pretrained, under these names with "-pretrain".
LEFT = (CHECKPOINTS, "previews", HISTORY, BACKUPS, BEST)
PRETRAINED = "checkpoints-pretrain"
# What pretraining sets: nothing is bent or coloured, everything is seen from all sides.
EASED: dict[str, Any] = {
    "warp": 0.0,
    "src_flip": True,
    "dst_flip": True,
    "lr_dropout": False,
    "random_hsv_power": 0.0,
    "ct_mode": "none",
    "uniform_yaw": True,
    "yaw_matched": False,
}


def eased(options: TrainOptions, recipe: ModelRecipe) -> TrainOptions:
    """The options as pretraining needs them. Raises BadOption as `refuse_powers` does."""
    refuse_powers(recipe)
    return options.model_copy(update=EASED)


def refuse_powers(recipe: ModelRecipe) -> None:
    """Raises BadOption for a model that is to learn against critics or by style, which nobody can
    while it pretrains.
    """
    for name in type(recipe.model_options).off_in_pretraining:
        if getattr(recipe.model_options, name, 0):
            raise BadOption(
                f"{recipe.model}.{name}: not while a model pretrains. Set it to 0 until that is"
                " over."
            )


def begin(folder: Path, learner: Learner, options: TrainOptions) -> Stage:
    """Bring the learner to where the run begins, and put the recipe into the model's folder. Raises
    BadOption, BadProject.
    """
    name, recipe = folder.name, learner.recipe
    whole, torn = checkpoint.load_intact(folder / CHECKPOINTS)
    for text in torn:
        yield Warned(text=text)
    if torn and not whole:
        raise BadProject(
            f"{folder}: no checkpoint is whole any more. Restore one, or train under another"
            " --name."
        )
    has_pretrained = bool(whole) and whole[0].state.get("pretraining", False)
    if whole and options.pretrain and not has_pretrained:
        raise BadOption(
            f"pretrain: {name} has met its people already. Pretrain another model with --name."
        )
    if whole and has_pretrained and not options.pretrain:
        _put_by(folder)
        whole = []
    if whole:
        write_recipe(folder, recipe)
        yield from anew(name, learner.restore(whole[0]))
        yield Note(text=f"{name}: goes on from iteration {learner.iteration}")
        if whole[0].state.get("optimizer", "adam") != learner.kind:
            yield Note(
                text=f"{name}: {learner.kind} starts with no memory of what was learnt before"
            )
        return
    is_over = (folder / PRETRAINED).is_dir() and not options.pretrain
    source = (
        newest_checkpoint(folder, PRETRAINED)
        if is_over
        else newest_checkpoint(Path(recipe.origin))
        if recipe.origin
        else None
    )
    write_recipe(folder, recipe)
    if source is None:
        return
    taken = (
        f"starts with the weights of {source.folder.parent.parent}, iteration {source.iteration}"
    )
    memory = (
        "what its optimizer remembers of them is kept"
        if is_over
        else "so does the optimizer's memory"
    )
    yield Note(text=f"{name}: {taken}. Iterations and history start anew; {memory}.")
    yield from anew(name, learner.inherit(source, keep_memory=is_over))


def anew(name: str, tensors: list[str]) -> Stage:
    """Say which parts of a model start anew."""
    if tensors:
        parts = ", ".join(sorted({".".join(each.split(".")[:2]) for each in tensors}))
        yield Warned(
            text=f"{name}: {len(tensors)} tensors start anew, in {parts}; all others are kept."
        )


def _put_by(folder: Path) -> None:
    """Move what pretraining left out of the way. The checkpoints go last: until then it is not
    over.
    """
    for name in reversed(LEFT):
        path = folder / name
        if path.exists():
            path.rename(path.with_name(f"{path.stem}-pretrain{path.suffix}"))
