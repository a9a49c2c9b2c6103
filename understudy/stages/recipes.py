"""What a model keeps for life, in its folder: which class it is of, how it is built, where chance and its weights come from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from understudy.errors import BadOption
from understudy.io import atomic, settings_file
from understudy.options import Options, option
from understudy.parts.models import ModelOptions, models
from understudy.stages.train import TrainOptions

if TYPE_CHECKING:
    import torch

    from understudy.parts.models.contract import Model

OPTIONS_FILE, CHECKPOINTS, HISTORY, BACKUPS = "options.toml", "checkpoints", "history.jsonl", "backups"
# The weights that did best on held-out faces.
BEST = "best"
SCHEMA = 1


class Recipe(Options):
    """What a model is. settings: those of its class in the registry of models, of which only live ones ever change."""

    schema_version: int = option(SCHEMA, "Version of this file's layout", low=1)
    model: str = option("tiny", "Its class in the registry of models")
    seed: int = option(0, "Where chance starts", low=0)
    settings: dict[str, Any] = option({}, "How it is built")
    origin: str = option("", "The folder of the model whose weights it started with; empty = none")

    @property
    def model_options(self) -> ModelOptions:
        """The settings, checked and completed. Raises BadOption."""
        return models[self.model].layered(self.settings, where=self.model)

    def build(self, device: torch.device) -> Model:
        """The model on the device, its weights not set."""
        # Late, as everywhere that --help comes by.
        import torch

        # On meta first: torch's own start would cost seconds and draw from its global generator.
        with torch.device("meta"):
            model = self.model_options.build()
        return model.to_empty(device=device)


def name_of(options: TrainOptions) -> str:
    """The name of the model's folder. Raises BadOption for one that no folder can have."""
    # Where nothing else is said, a model that starts from another keeps its name: mostly in another show.
    takes_over = options.from_ and "model" not in options.model_fields_set
    return checked_name(options.name or (Path(options.from_).name if takes_over else options.model))


def checked_name(name: str) -> str:
    """`name`, when a folder can have it. Raises BadOption."""
    if not re.fullmatch(r"[\w][\w .-]{0,63}", name):
        raise BadOption(f"name: '{name}' cannot be a folder's name. Use letters, digits, '-', '_' and '.'.")
    return name


def read(folder: Path) -> Recipe:
    """The recipe of a model. Raises BadProject: none there, unreadable, or of a newer version."""
    missing = f"{folder}: no model here (no {OPTIONS_FILE}). Train one: understudy train."
    return settings_file.read(folder / OPTIONS_FILE, Recipe, SCHEMA, missing)


def write(folder: Path, recipe: Recipe) -> None:
    """Put the recipe into the model's folder."""
    atomic.write_text(folder / OPTIONS_FILE, tomli_w.dumps(recipe.model_dump(mode="json")))


def settle(folder: Path, options: TrainOptions) -> tuple[Recipe, list[str]]:
    """The recipe of the model in `folder` as the options want it, and what changes in it, in words. Nothing is written.

    Raises BadOption when an option that was set does not fit the model that is there, or the one that it is to start from.
    """
    if (folder / OPTIONS_FILE).exists():
        known = read(folder)
        origin = known.origin if known.origin in _places(folder, options) else options.from_
        wanted = {"model": options.model, "seed": options.seed, "from_": origin}
        built = {"model": known.model, "seed": known.seed, "from_": known.origin}
        for name in sorted(options.model_fields_set & set(wanted)):
            if wanted[name] != built[name]:
                raise BadOption(_fixed(name, folder.name, built[name], wanted[name]))
        return adjusted(known, options.settings_of(known.model), folder.name)
    origin = _origin(folder, options)
    if not origin:
        settings = models[options.model].layered(options.settings_of(options.model), where=options.model)
        return Recipe(model=options.model, seed=options.seed, settings=settings.model_dump(mode="json")), []
    source = read(Path(origin))
    if "model" in options.model_fields_set and options.model != source.model:
        raise BadOption(f"model: {origin} is of the model {source.model}, not {options.model}. Leave --model out, or --from.")
    recipe, changes = adjusted(source, options.settings_of(source.model), origin)
    return recipe.model_copy(update={"origin": origin, "seed": options.seed}), changes


def adjusted(recipe: Recipe, given: dict[str, Any], name: str) -> tuple[Recipe, list[str]]:
    """The recipe with the settings that are `given`, and what changes, in words. Raises BadOption where one may not change."""
    before = recipe.model_options
    after = type(before).layered(before.model_dump(mode="json"), given, where=recipe.model)
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    changes = before.changed_in(after)
    for each in changes:
        if each not in type(before).live_names():
            raise BadOption(_fixed(f"{recipe.model}.{each}", name, old[each], new[each]))
    words = [
        f"{name}: {each} is {new[each]} from now on, it was {old[each]}. {type(before).model_fields[each].description}"
        for each in changes
    ]
    return recipe.model_copy(update={"settings": new}), words


def refuse_foreign(flags: TrainOptions, recipe: Recipe, name: str) -> None:
    """Raises BadOption when the flags hold a setting of a model that this one is not of."""
    for other in TrainOptions.kinds():
        settings = flags.settings_of(other)
        if other != recipe.model and settings:
            first = next(iter(settings))
            here = first in type(recipe.model_options).model_fields
            way = (
                f"Here it is --{_flag(f'{recipe.model}.{first}')}."
                if here
                else f"Leave it out, or train one of that model: --model {other}."
            )
            raise BadOption(f"{other}.{first}: a setting of the model {other}, and {name} is of the model {recipe.model}. {way}")


def _origin(folder: Path, options: TrainOptions) -> str:
    """The folder that `from` means, absolute; empty where it says nothing. Raises BadOption when no model is there."""
    for place in _places(folder, options):
        if (Path(place) / OPTIONS_FILE).exists():
            return place
    if options.from_:
        raise BadOption(
            f"from: {options.from_}: no model here. Give the folder of one, SHOW/models/NAME, or a name of this show's."
        )
    return ""


def _places(folder: Path, options: TrainOptions) -> list[str]:
    """Where the model that `from` names may lie: there, or beside this one."""
    return [str(Path(options.from_).absolute()), str(folder.parent / options.from_)] if options.from_ else []


def _fixed(name: str, model: str, built: object, wanted: object) -> str:
    was, new = ("nothing" if each == "" else each for each in (built, wanted))
    return (
        f"{name.rstrip('_')}: {model} was built with {was}, not {new}, and keeps that for life. "
        f"Leave --{_flag(name)} out, or start another model with --name."
    )


def _flag(name: str) -> str:
    return name.rstrip("_").replace("_", "-")
