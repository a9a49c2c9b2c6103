"""A model's folder: what it was built with, and its checkpoints."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import tomli_w
import torch
from pydantic import ValidationError

from understudy.errors import BadOption, BadProject
from understudy.io import atomic, checkpoint
from understudy.nets import bridge
from understudy.options import Options, option, readable
from understudy.parts.models import Model, ModelOptions, models
from understudy.stages.train import TrainOptions

OPTIONS_FILE, CHECKPOINTS = "options.toml", "checkpoints"
SCHEMA = 1
# Options of `train` that become a model's own when it is built.
BUILT_IN = ("resolution", "light", "pixel_loss")


class Recipe(Options):
    """What a model keeps for life. settings: those of its class in the registry of models."""

    schema_version: int = option(SCHEMA, "Version of this file's layout", low=1)
    model: str = option("tiny", "Its class in the registry of models")
    seed: int = option(0, "Where chance starts", low=0)
    settings: dict[str, Any] = option({}, "How it is built")

    @property
    def model_options(self) -> ModelOptions:
        """The settings, checked and completed. Raises BadOption."""
        return models[self.model].layered(self.settings, where=self.model)

    def build(self, device: torch.device) -> Model:
        """The model on the device, its weights not set."""
        # On meta first: torch's own start would cost seconds and draw from its global generator.
        with torch.device("meta"):
            model = self.model_options.build()
        return model.to_empty(device=device)


def name_of(options: TrainOptions) -> str:
    """The name of the model's folder. Raises BadOption for one that no folder can have."""
    name = options.name or options.model
    if not re.fullmatch(r"[\w][\w .-]{0,63}", name):
        raise BadOption(f"name: '{name}' cannot be a folder's name. Use letters, digits, '-', '_' and '.'.")
    return name


def settle(folder: Path, options: TrainOptions) -> Recipe:
    """The recipe of the model in `folder`; a new one, written there, when there is none yet.

    Raises BadOption when an option that was set does not fit the model that is there, or no such model.
    """
    wanted = options.model_dump(include=options.model_fields_set)
    if (folder / OPTIONS_FILE).exists():
        recipe = read(folder)
        built = {"model": recipe.model, "seed": recipe.seed, **recipe.model_options.model_dump()}
        for name in ("model", "seed", *BUILT_IN):
            if wanted.get(name) and wanted[name] != built.get(name):
                raise BadOption(
                    f"{name}: {folder.name} was built with {built.get(name, 'no such option')}, not {wanted[name]}. "
                    f"Leave --{name.replace('_', '-')} out, or start another model with --name."
                )
        return recipe
    settings = {name: wanted[name] for name in BUILT_IN if wanted.get(name)}
    complete = models[options.model].layered(settings, where=options.model).model_dump(mode="json")
    recipe = Recipe(model=options.model, seed=options.seed, settings=complete)
    atomic.write_text(folder / OPTIONS_FILE, tomli_w.dumps(recipe.model_dump(mode="json")))
    return recipe


def read(folder: Path) -> Recipe:
    """The recipe of a model. Raises BadProject: none there, unreadable, or of a newer version."""
    path = folder / OPTIONS_FILE
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise BadProject(f"{folder}: no model here. Train one: understudy train {folder.parent.parent}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadProject(f"{path}: not readable as TOML: {error}. Mend that line, or restore the file.") from None
    version = values.get("schema_version", 0)
    if isinstance(version, int) and version > SCHEMA:
        raise BadProject(f"{path}: made by a newer Understudy (layout {version}, this one reads {SCHEMA}). Update Understudy.")
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise BadProject(readable(error, str(path))) from None


def load(folder: Path, device: str) -> Model:
    """The model with its newest weights, in eval mode. Raises BadProject when nothing has been saved yet."""
    recipe, place = read(folder), bridge.device_of(device)
    whole, torn = checkpoint.intact(folder / CHECKPOINTS)
    if not whole:
        raise BadProject("\n".join([f"{folder}: no saved weights. Train it first: understudy train, then try again.", *torn]))
    model = recipe.build(place)
    put_weights(model, whole[0])
    return model.eval()


def put_weights(model: Model, saved: checkpoint.Checkpoint) -> None:
    """Fill the model from a checkpoint. Raises BadProject when they do not belong together."""
    weights = {name: torch.from_numpy(array) for name, array in saved.arrays("weights").items()}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise BadProject(f"{saved.folder}: weights of another model: {first} Restore {OPTIONS_FILE} or rename.") from None
