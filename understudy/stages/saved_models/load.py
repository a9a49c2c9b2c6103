"""Loads a model's weights from its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from understudy.core.training.augment import AugmentConfig
from understudy.core.training.split import MIN_FACES
from understudy.errors import BadProject
from understudy.io.model_files import checkpoint
from understudy.io.model_files.checkpoint import Checkpoint
from understudy.nets.autoencoder.encoders import CodeToMaps, Inter
from understudy.nets.device import resolve_device
from understudy.parts.models.base.model import Model
from understudy.stages.saved_models.recipe import (
    BEST,
    CHECKPOINTS,
    OPTIONS_FILE,
    ModelRecipe,
    read_recipe_or_saved,
    train_command,
)
from understudy.types import Array


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model as it was saved.

    saved: the checkpoint of its weights. warnings: what to look into before it is used, in words:
    which of its files are damaged, and what is used instead; whether it needs more training.
    """

    model: Model
    recipe: ModelRecipe
    saved: Checkpoint
    warnings: tuple[str, ...]

    @property
    def motion(self) -> AugmentConfig:
        """How far training moved its faces; what old checkpoints do not say is as of its class."""
        return replace(self.recipe.model_options.motion, **self.saved.state.get("motion", {}))


def load_model(folder: Path, device: str, best: bool = False) -> Model:
    """Load a model in eval mode, with its newest weights or those that did best on held-out faces.

    Raises:
        BadProject: There are no such weights.
    """
    return load_saved_model(folder, device, best).model


def load_saved_model(folder: Path, device: str, best: bool = False) -> LoadedModel:
    """As `load_model`, with what there is to tell of it.

    Raises BadProject, also for a model that was left with src and dst exchanged.
    """
    recipe, damage = read_recipe_or_saved(folder)
    place = resolve_device(device)
    saved, torn = best_checkpoint(folder) if best else newest_checkpoint(folder)
    refuse_exchanged(folder, saved)
    model = recipe_at(saved, recipe).build(place)
    load_weights(model, saved)
    if saved.has("ema"):
        # The running mean of the weights: what the model was shown and measured with.
        load_matching_weights(model, saved.arrays("ema"))
    return LoadedModel(
        model.eval(), recipe, saved, (*damage, *torn, *warn_exchanged(folder, saved))
    )


def newest_checkpoint(folder: Path, checkpoints: str = CHECKPOINTS) -> tuple[Checkpoint, list[str]]:
    """The newest whole checkpoint, and what ails those before it. Raises BadProject without one."""
    saved, torn = checkpoint.load_newest(folder / checkpoints)
    if saved is None:
        needs = (
            f"{folder}: no saved weights. Train it first: {train_command(folder)}; then try again."
        )
        raise BadProject(" ".join([needs, *torn]))
    return saved, torn


def best_checkpoint(folder: Path) -> tuple[Checkpoint, list[str]]:
    """As `newest_checkpoint`, of the weights that did best on held-out faces."""
    saved, torn = checkpoint.load_newest(folder / BEST)
    if saved is None:
        needs = (
            f"{folder}: no best weights: they are kept where a faceset has {MIN_FACES} faces or"
            " more. Use --checkpoint newest."
        )
        raise BadProject(" ".join([needs, *torn]))
    return saved, torn


def refuse_exchanged(folder: Path, saved: Checkpoint) -> None:
    """Raise BadProject for a model that was left with src and dst exchanged."""
    if saved.state.get("exchanged"):
        raise BadProject(
            f"{folder}: learnt last with src and dst exchanged, so it would give dst's own face."
            " Train it back first, without --exchange, or use weights from before: --checkpoint"
            f" best, or understudy trained restore {folder.parent.parent} {folder.name}."
        )


def warn_exchanged(folder: Path, saved: Checkpoint) -> list[str]:
    """What to say of a model that was exchanged and trained back since, but more briefly."""
    if not (owed := saved.state.get("owed", 0)):
        return []
    return [
        f"{folder.name}: trained with src and dst exchanged, and more briefly back since, so dst's"
        f" own face may show through. Iterations left to train back: {owed}. Run: understudy train"
        f" {folder.parent.parent} --name {folder.name} --iterations {saved.iteration + owed}"
    ]


def recipe_at(saved: Checkpoint, recipe: ModelRecipe) -> ModelRecipe:
    """The recipe as it was when the checkpoint was saved: live settings may have changed since."""
    return recipe.model_copy(update={"settings": saved.state.get("settings", recipe.settings)})


def load_weights(model: Model, saved: Checkpoint) -> None:
    """Load a checkpoint into a model. Raises BadProject, naming what does not match."""
    weights, own = saved.arrays("weights"), model.state_dict()
    faults = [
        *(f"{name} is missing" for name in own if name not in weights),
        *(f"{name} is not of this model" for name in weights if name not in own),
        *(
            f"{name} is {_shape(weights[name])}, not {_shape(own[name])}"
            for name in mismatched_shapes(own, weights)
        ),
        *(
            f"{name} holds {weights[name].dtype}"
            for name in own
            if name in weights
            and own[name].is_floating_point() != (weights[name].dtype.kind == "f")
        ),
    ]
    if faults:
        more = f", and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise BadProject(
            f"{saved.folder}: these weights do not fit {OPTIONS_FILE}:"
            f" {', '.join(faults[:3])}{more}. Restore both from a copy, or delete this folder: an"
            " older checkpoint is used where there is one."
        )
    model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})


def load_matching_weights(model: Model, weights: Mapping[str, Array]) -> list[str]:
    """Load the tensors that match by name and shape; returns the names of the others."""
    own = model.state_dict()
    apart = {name for name in own if name not in weights} | set(mismatched_shapes(own, weights))
    fitting = {name: torch.from_numpy(weights[name]) for name in own if name not in apart}
    model.load_state_dict(fitting, strict=False)
    return [name for name in own if name in apart]


def inter_tensor_names(model: Model) -> set[str]:
    """Names of the inters' tensors, which depend on the people that were seen."""
    found = [
        name for name, module in model.named_modules() if isinstance(module, Inter | CodeToMaps)
    ]
    return {
        name for name in model.state_dict() if name.startswith(tuple(f"{each}." for each in found))
    }


def mismatched_shapes(own: Mapping[str, torch.Tensor], weights: Mapping[str, Array]) -> list[str]:
    """Names of tensors that both have, in other shapes."""
    return [name for name in own if name in weights and own[name].shape != weights[name].shape]


def _shape(array: Array | torch.Tensor) -> str:
    return "x".join(str(side) for side in array.shape) or "one number"
