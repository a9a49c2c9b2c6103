"""What a model keeps for life, in its folder: its class, its settings and its seed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.errors import BadData, BadOption
from understudy.io import atomic, data_files, settings_file
from understudy.io.model_files import checkpoint
from understudy.options import Options, option
from understudy.parts.models import ModelOptions, models

if TYPE_CHECKING:
    import torch

    from understudy.parts.models.base.model import Model

OPTIONS_FILE, CHECKPOINTS, HISTORY, BACKUPS = (
    "options.toml",
    "checkpoints",
    "history.jsonl",
    "backups",
)
# The weights that did best on held-out faces.
BEST = "best"
SCHEMA_VERSION = 1
MAX_SEED = 2**63 - 1


class ModelRecipe(Options):
    """What a model is.

    settings: those of its class in the registry of models, of which only live ones ever change.
    """

    schema_version: int = option(SCHEMA_VERSION, "Version of this file's layout", low=1)
    model: str = option("tiny", "Its class in the registry of models")
    seed: int = option(0, "Where chance starts", low=0, high=MAX_SEED)
    settings: dict[str, Any] = option({}, "How it is built")
    origin: str | None = option(
        None, "The folder of the model whose weights it started with; not set = none", formerly=""
    )

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


def validate_name(name: str) -> str:
    """Return `name` when a folder can have it. Raises BadOption."""
    if not re.fullmatch(r"[\w][\w .-]{0,63}", name):
        raise BadOption(
            f"name: '{name}' cannot be a folder's name. Use letters, digits, '-', '_' and '.'."
        )
    return name


def list_model_folders(models: Path) -> list[Path]:
    """The models in the folder `models`, by name; one that is still being made is none yet."""
    if not models.is_dir():
        return []
    return sorted(
        each
        for each in models.iterdir()
        if (each / OPTIONS_FILE).is_file() and not atomic.is_partial(each.name)
    )


def train_command(folder: Path) -> str:
    """What to run to train the model of a folder of a show."""
    return f"understudy train {folder.parent.parent} --name {folder.name}"


def read_recipe(folder: Path) -> ModelRecipe:
    """Read the recipe of a model. Raises BadProject: missing, unreadable, or too new."""
    return read_recipe_or_saved(folder)[0]


def read_recipe_or_saved(folder: Path) -> tuple[ModelRecipe, list[str]]:
    """Read the recipe of a model, or, where its file is damaged, that of its checkpoint.

    Returns:
        The recipe, and what is damaged, in words.

    Raises:
        BadProject: Both are missing or unreadable, or too new.
    """
    path = folder / OPTIONS_FILE
    missing = f"{folder}: no model here (no {OPTIONS_FILE}). Train one: {train_command(folder)}."
    try:
        recipe = settings_file.read(path, ModelRecipe, SCHEMA_VERSION, missing)
        if "model" not in recipe.model_fields_set:
            raise data_files.bad_data(path, "does not say which model it is")
        return _validate(recipe), []
    except (BadData, BadOption) as error:
        saved = _saved_recipe(folder)
        if saved is None:
            raise
        reason = error.reason if isinstance(error, BadData) else str(error)
    return saved, [f"{path}: {reason}. The settings that its checkpoint holds are used."]


def _saved_recipe(folder: Path) -> ModelRecipe | None:
    """The recipe in the newest checkpoint that can be read; those of old versions hold none."""
    saved = checkpoint.peek(folder / CHECKPOINTS)
    if saved is None or "recipe" not in saved.state:
        return None
    try:
        return _validate(
            ModelRecipe.layered(
                saved.state["recipe"], {"settings": saved.state.get("settings", {})}
            )
        )
    except BadOption:
        return None


def _validate(recipe: ModelRecipe) -> ModelRecipe:
    """The recipe, when its model is known and takes its settings. Raises BadOption."""
    assert recipe.model_options is not None
    return recipe


def saved_at(folder: Path) -> float:
    """When a model was trained last, seconds since 1970; without weights when it was made."""
    places = (
        folder / CHECKPOINTS / checkpoint.CURRENT,
        folder / CHECKPOINTS,
        folder / OPTIONS_FILE,
    )
    return next(place for place in places if place.exists()).stat().st_mtime


def write_recipe(folder: Path, recipe: ModelRecipe) -> None:
    """Write the recipe into the model's folder."""
    settings_file.write(folder / OPTIONS_FILE, recipe)


def backup_files(folder: Path) -> list[Path]:
    """What a backup holds besides a checkpoint: recipe, history, and the newest preview."""
    pictures = sorted(
        path for path in (folder / "previews").glob("*.png") if re.fullmatch("[0-9]{9,}", path.stem)
    )
    return [folder / OPTIONS_FILE, folder / HISTORY, *pictures[-1:]]


def change_settings(
    recipe: ModelRecipe, given: dict[str, Any], name: str
) -> tuple[ModelRecipe, list[str]]:
    """Return the recipe with the given settings, and what changes, in words.

    Raises:
        BadOption: One of them may not change.
    """
    before = recipe.model_options
    after = type(before).layered(before.model_dump(mode="json"), given, where=recipe.model)
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    changes = before.changed_in(after)
    for each in changes:
        if each not in type(before).live_names():
            raise BadOption(
                cannot_change_message(f"{recipe.model}.{each}", name, old[each], new[each])
            )
    words = [
        f"{name}: {each} is {_told(new[each])} from now on, it was {_told(old[each])}."
        f" {type(before).model_fields[each].description}"
        for each in changes
    ]
    return recipe.model_copy(update={"settings": new}), words


def cannot_change_message(name: str, model: str, built: object, wanted: object) -> str:
    """The message for a setting that a model keeps for life."""
    was, new = ("nothing" if each is None else each for each in (built, wanted))
    return (
        f"{name.rstrip('_')}: {model} was built with {was}, not {new}, and keeps that for life. "
        f"Leave --{flag_name(name)} out, or start another model with --name."
    )


def _told(value: object) -> object:
    return "not set" if value is None else value


def flag_name(name: str) -> str:
    """An option's name as a flag of the command line, without dashes."""
    return name.rstrip("_").replace("_", "-")
