"""Which model a run of `train` means, its recipe as the options want it, and changes of both."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from understudy.errors import BadOption
from understudy.parts.models import models
from understudy.stages.events import Change
from understudy.stages.saved_models.recipe import (
    OPTIONS_FILE,
    ModelRecipe,
    cannot_change_message,
    change_settings,
    flag_name,
    read_recipe,
    validate_name,
)
from understudy.stages.train.options import TrainOptions

# What pretraining sets: nothing is warped or recoloured, every turn of the head comes as often.
PRETRAINING: Final[dict[str, Any]] = {
    "warp": 0.0,
    "src_flip": True,
    "dst_flip": True,
    "lr_dropout": False,
    "random_hsv_power": 0.0,
    "ct_mode": "none",
    "uniform_yaw": True,
    "yaw_matched": False,
}


def model_name(options: TrainOptions) -> str:
    """The name of the model's folder. Raises BadOption for one that no folder can have."""
    # Where nothing else is said, a model that starts from another keeps its name: mostly in another
    # show.
    if options.from_ and "model" not in options.model_fields_set:
        return validate_name(options.name or Path(options.from_).name)
    return validate_name(options.name or options.model)


def resolve_recipe(folder: Path, options: TrainOptions) -> tuple[ModelRecipe, list[str]]:
    """The recipe of the model in `folder` as the options want it. Nothing is written.

    Returns:
        The recipe, and what changes in it, in words.

    Raises BadOption when an option that was set does not fit the model that is there, or the one
    that it is to start from.
    """
    if (folder / OPTIONS_FILE).exists():
        known = read_recipe(folder)
        origin = known.origin if known.origin in _places(folder, options) else options.from_
        wanted = {"model": options.model, "seed": options.seed, "from_": origin}
        built = {"model": known.model, "seed": known.seed, "from_": known.origin}
        for name in sorted(options.model_fields_set & set(wanted)):
            if wanted[name] != built[name]:
                raise BadOption(cannot_change_message(name, folder.name, built[name], wanted[name]))
        return change_settings(known, options.settings_of(known.model), folder.name)
    origin = _origin(folder, options)
    if origin is None:
        settings = models[options.model].layered(
            options.settings_of(options.model), where=options.model
        )
        return (
            ModelRecipe(
                model=options.model, seed=options.seed, settings=settings.model_dump(mode="json")
            ),
            [],
        )
    source = read_recipe(Path(origin))
    if "model" in options.model_fields_set and options.model != source.model:
        raise BadOption(
            f"model: {origin} is of the model {source.model}, not {options.model}. Leave --model"
            " out, or --from."
        )
    recipe, changes = change_settings(source, options.settings_of(source.model), origin)
    return recipe.model_copy(update={"origin": origin, "seed": options.seed}), changes


def validate_model_flags(flags: TrainOptions, recipe: ModelRecipe, name: str) -> None:
    """Raises BadOption when the flags hold a setting of a model that this one is not of."""
    for other in TrainOptions.kinds():
        settings = flags.settings_of(other)
        if other != recipe.model and settings:
            first = next(iter(settings))
            here = first in type(recipe.model_options).model_fields
            way = (
                f"Here it is --{flag_name(f'{recipe.model}.{first}')}."
                if here
                else f"Leave it out, or train one of that model: --model {other}."
            )
            raise BadOption(
                f"{other}.{first}: a setting of the model {other}, and {name} is of the model"
                f" {recipe.model}. {way}"
            )


def apply_pretraining(options: TrainOptions, recipe: ModelRecipe) -> TrainOptions:
    """The options as pretraining needs them, where they ask for it.

    Raises BadOption for a model with settings that cannot go with it.
    """
    if not options.pretrain:
        return options
    _validate_pretraining(recipe)
    if options.exchange:
        raise BadOption(
            "exchange: not while a model pretrains: it knows no src and dst yet. Leave one out."
        )
    return options.model_copy(update=PRETRAINING)


def change_options(
    order: Change, options: TrainOptions, recipe: ModelRecipe, name: str
) -> tuple[TrainOptions, ModelRecipe, list[str]]:
    """Options and recipe of a running model `name` as an order wants them.

    Returns:
        The options, the recipe, and what changes in the recipe, in words.

    Raises:
        BadOption: A value is wrong, or may not change while the model learns.
    """
    wanted = TrainOptions.layered(options.set_values(), order.options, where="train")
    validate_model_flags(TrainOptions.layered(order.options), recipe, name)
    fixed = sorted(set(options.changed_in(wanted)) - TrainOptions.live_names())
    if fixed:
        raise BadOption(
            f"train: {', '.join(fixed)} cannot change while the model learns. Stop it, set it,"
            " start again."
        )
    recipe, changes = change_settings(recipe, wanted.settings_of(recipe.model), name)
    if wanted.pretrain:
        _validate_pretraining(recipe)
    return wanted, recipe, changes


def _validate_pretraining(recipe: ModelRecipe) -> None:
    for name in type(recipe.model_options).off_in_pretraining:
        if getattr(recipe.model_options, name, 0):
            raise BadOption(
                f"{recipe.model}.{name}: not while a model pretrains. Set it to 0 until that is"
                " over."
            )


def _origin(folder: Path, options: TrainOptions) -> str | None:
    """The folder that `from` means, absolute; None where it says nothing. Raises BadOption."""
    for place in _places(folder, options):
        if (Path(place) / OPTIONS_FILE).exists():
            return place
    if options.from_:
        raise BadOption(
            f"from: {options.from_}: no model here. Give the folder of one, SHOW/models/NAME, or a"
            " name of this show's."
        )
    return None


def _places(folder: Path, options: TrainOptions) -> list[str]:
    """Where the model that `from` names may lie: there, or beside this one."""
    return (
        [str(Path(options.from_).absolute()), str(folder.parent / options.from_)]
        if options.from_
        else []
    )
