"""A training state on its way to a checkpoint and back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from understudy.errors import BadProject
from understudy.io.model_files.checkpoint import Checkpoint
from understudy.stages.saved_models.load import inter_tensor_names, load_weights, recipe_at
from understudy.stages.saved_models.recipe import ModelRecipe
from understudy.stages.train.state import TrainState
from understudy.types import Array

Parts = Mapping[str, Mapping[str, Array]]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a checkpoint holds.

    Attributes:
        parts: Arrays by file and name.
        state: Plain values for state.json.
        is_shared: Whether the arrays are still the model's own, which change when it learns.
    """

    iteration: int
    parts: Parts
    state: Mapping[str, Any]
    is_shared: bool


def take_snapshot(state: TrainState, extra: Mapping[str, Any]) -> Snapshot:
    """What a checkpoint of this state holds, with `extra` plain values from callbacks."""
    values = {
        "seconds": state.seconds,
        "slowed": state.lr_scale,
        **extra,
        "batch": {"asked": state.requested_batch, "fits": state.fitting_batch},
        "optimizer": state.trainable.optimizer_kind,
        "settings": state.recipe.settings,
        # So that the model can be read without its options.toml, too.
        "recipe": state.recipe.model_dump(mode="json", exclude={"settings"}, exclude_none=True),
        "pretraining": bool(state.options.pretrain),
        "exchanged": state.options.exchange,
        "owed": state.owed,
    }
    if state.iteration:
        values["motion"] = {"shift": round(state.shift, 6), "scale": round(state.scale, 6)}
    parts = state.trainable.state_arrays()
    return Snapshot(state.iteration, parts, values, state.device.type == "cpu")


def start_over(state: TrainState) -> TrainState:
    """The state before the first iteration, with all weights initialized."""
    state.trainable.initialize()
    return replace(state, iteration=0, saved_iteration=-1, owed=0)


def restore(state: TrainState, saved: Checkpoint) -> tuple[TrainState, list[str]]:
    """The state that a checkpoint holds.

    Returns:
        The state, and the names of the tensors that start from their initial values, because live
        settings have changed since.
    """
    trainable, renewed = state.trainable, list[str]()
    memory = saved.arrays("optimizer") if _is_same_optimizer(state, saved) else {}
    with _explain_memory(saved):
        if has_same_settings(saved, trainable.recipe):
            load_weights(trainable.model, saved)
            trainable.load_optimizers(memory)
        else:
            former = recipe_at(saved, trainable.recipe)
            renewed = trainable.load_matching(saved.arrays("weights"), memory, former)
    ema = saved.arrays("ema") if saved.has("ema") else {}
    trainable.load_ema(
        {name: torch.from_numpy(array) for name, array in ema.items() if name not in renewed}
    )
    batch = saved.state.get("batch", {})
    # What fitted counts as long as as many are asked for as then.
    fitted = batch.get("fits") or 0 if batch.get("asked") == state.requested_batch else 0
    own = trainable.model_options.motion
    motion = saved.state.get("motion", {"shift": own.shift, "scale": own.scale})
    restored = replace(
        state,
        iteration=saved.iteration,
        seconds=saved.state.get("seconds", 0.0),
        lr_scale=saved.state.get("slowed", 1.0),
        fitting_batch=state.fitting_batch or fitted,
        owed=saved.state.get("owed", 0),
        shift=motion["shift"],
        scale=motion["scale"],
        saved_iteration=saved.iteration,
    )
    return restored, renewed


def inherit(
    state: TrainState, saved: Checkpoint, keep_memory: bool = False
) -> tuple[TrainState, list[str]]:
    """The state before the first iteration, with the weights of another model.

    Where that one has pretrained and this one does not, the inters start from their initial values:
    they know whom they have met.

    Args:
        keep_memory: Whether the optimizers keep what they remember of these weights.

    Returns:
        The state, and the names of the tensors that do not come from there.
    """
    state = start_over(state)
    trainable, weights = state.trainable, saved.arrays("weights")
    if saved.state.get("pretraining") and not state.options.pretrain:
        forgotten = inter_tensor_names(trainable.model)
        weights = {name: array for name, array in weights.items() if name not in forgotten}
    is_kept = keep_memory and _is_same_optimizer(state, saved)
    memory = saved.arrays("optimizer") if is_kept else {}
    with _explain_memory(saved):
        renewed = trainable.load_matching(weights, memory, recipe_at(saved, trainable.recipe))
    trainable.load_ema({})
    return replace(state, owed=saved.state.get("owed", 0)), renewed


def has_same_settings(saved: Checkpoint, recipe: ModelRecipe) -> bool:
    """Whether a checkpoint is of a model with these very settings."""
    return not recipe_at(saved, recipe).model_options.changed_in(recipe.model_options)


@contextlib.contextmanager
def _explain_memory(saved: Checkpoint) -> Iterator[None]:
    """Raise BadProject where the optimizer state of a checkpoint is not of its model."""
    try:
        yield
    except KeyError as error:
        raise BadProject(
            f"{saved.folder}/optimizer.safetensors: not of this model: {error.args[0]}. Restore the"
            " folder from a copy, or delete it: an older checkpoint is used where there is one."
        ) from None


def _is_same_optimizer(state: TrainState, saved: Checkpoint) -> bool:
    # What was saved before there was a choice is of adam.
    return bool(saved.state.get("optimizer", "adam") == state.trainable.optimizer_kind)
