"""A model that learns: its weights, their optimizers and their running mean, on one device."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.optim import Optimizer

from understudy.io import system
from understudy.nets import checkpointing, linear_conv
from understudy.nets.device import tensors_to_numpy, to_memory_format
from understudy.nets.optim import optimizers
from understudy.nets.optim.ema import Ema
from understudy.parts.models.base.model import Model
from understudy.stages.saved_models.load import load_matching_weights
from understudy.stages.saved_models.recipe import ModelRecipe
from understudy.stages.train.options import TrainOptions
from understudy.types import Array

# With one of these changed the critic is another: tensors of its former self that happen to fit
# would only mislead it.
RESIZING = {"gan_patch_size", "gan_dims"}


class TrainableModel:
    """A model with its optimizers. As everywhere in PyTorch, its tensors change in place.

    Attributes:
        model: The network, on `device`, as `recipe` describes it.
        model_options: The settings of the recipe, checked and completed.
        groups: Its parameters by optimizer group ("generator", "critic") and name.
        optimizers: One for each group, all of `optimizer_kind`.
        ema: The running mean of the weights, where one is kept.
    """

    def __init__(self, recipe: ModelRecipe, options: TrainOptions, device: torch.device) -> None:
        self.device, self._options = device, options
        if device.type == "cpu":
            # Of the time of a step on the CPU it takes a tenth, with large weights a quarter.
            system.keep_freed_memory()
        self._build(recipe)

    def initialize(self) -> None:
        """Set the weights as before the first iteration, and clear the optimizers."""
        # Drawn on the CPU, so that the start is the same on every device.
        fresh = self.recipe.build(torch.device("cpu"))
        fresh.initialise(torch.Generator().manual_seed(self.recipe.seed))
        self.model.load_state_dict(fresh.state_dict())
        optimizers.load_state(self.optimizers, self.groups, {})
        self.load_ema({})

    def change_settings(self, recipe: ModelRecipe) -> list[str]:
        """Rebuild the model with other live settings, and keep what was learnt.

        Returns:
            The names of the tensors that start from their initial values.
        """
        weights, former = tensors_to_numpy(self.model.state_dict()), self.recipe
        memory = optimizers.state_to_arrays(self.optimizers, self.groups)
        ema = self.ema.weights if self.ema else {}
        self._build(recipe)
        renewed = self.load_matching(weights, memory, former)
        self.load_ema({name: weight for name, weight in ema.items() if name not in renewed})
        return renewed

    def load_matching(
        self, weights: Mapping[str, Array], memory: Mapping[str, Array], former: ModelRecipe
    ) -> list[str]:
        """Load the tensors that fit from a model of another recipe, with their optimizer state.

        Returns:
            The names of the tensors that start from their initial values.

        Raises:
            KeyError: The optimizer state is not of these tensors.
        """
        if RESIZING & set(former.model_options.changed_in(self.recipe.model_options)):
            critic = self.groups.get("critic", {})
            weights = {name: array for name, array in weights.items() if name not in critic}
        renewed = load_matching_weights(self.model, weights)
        for group, parameters in self.groups.items():
            kept = {f"{group}/{name}" for name in parameters if name not in renewed}
            own = {key: array for key, array in memory.items() if key.rpartition("/")[0] in kept}
            steps = {key: array for key, array in memory.items() if own and key == f"{group}/steps"}
            optimizers.load_state({group: self.optimizers[group]}, self.groups, {**own, **steps})
        return renewed

    def load_optimizers(self, memory: Mapping[str, Array]) -> None:
        """Load the optimizer state of a checkpoint. Raises KeyError when it is of another model."""
        optimizers.load_state(self.optimizers, self.groups, memory)

    def load_ema(self, weights: Mapping[str, Tensor]) -> None:
        """Start the running mean, where there is one, from these; else from the model's weights."""
        if self.ema:
            self.ema.load(self.model, weights)

    def state_arrays(self) -> dict[str, dict[str, Array]]:
        """The arrays of a checkpoint by file: weights, optimizer and, where it is kept, ema."""
        parts = {
            "weights": tensors_to_numpy(self.model.state_dict()),
            "optimizer": optimizers.state_to_arrays(self.optimizers, self.groups),
        }
        return parts | ({"ema": tensors_to_numpy(self.ema.weights)} if self.ema else {})

    def averaged(self) -> contextlib.AbstractContextManager[None]:
        """A context in which the model has the running mean of its weights, where one is kept.

        It is for what is shown, measured and kept as the best.
        """
        return self.ema.apply_to(self.model) if self.ema else contextlib.nullcontext()

    def is_finite(self) -> bool:
        """Whether every weight is a number."""
        return all(bool(torch.isfinite(weight).all()) for weight in self.model.parameters())

    def zero_grad(self) -> None:
        """Drop the gradients: half a one must not meet the next one."""
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()

    def _build(self, recipe: ModelRecipe) -> None:
        options, self.recipe = self._options, recipe
        self.model_options = recipe.model_options
        self.model: Model = to_memory_format(
            recipe.build(self.device), options.channels_last, self.device
        )
        self.groups = self.model.parameter_groups()
        self.optimizer_kind = optimizer_kind(recipe, options)
        self.optimizers = make_optimizers(recipe, options, self.groups)
        if options.checkpointing:
            checkpointing.enable_checkpointing(self.model)
        if self.device.type == "cpu" and options.compile in ("auto", "off"):
            linear_conv.enable_matmul(self.model)
        decay = self.model_options.ema if options.ema is None else options.ema
        self.ema = Ema(self.model, decay) if decay else None
        self.initialize()


def optimizer_kind(recipe: ModelRecipe, options: TrainOptions) -> optimizers.OptimizerName:
    """The kind of optimizer: the one asked for, or the model's own."""
    return recipe.model_options.optimizer if options.optimizer == "auto" else options.optimizer


def make_optimizers(
    recipe: ModelRecipe, options: TrainOptions, groups: optimizers.ParameterGroups
) -> dict[str, Optimizer]:
    """An optimizer for each group, as asked for or as the model prefers."""
    dropping = options.lr_dropout or (
        options.optimizer == "auto" and recipe.model_options.lr_dropout
    )
    # The learning rate swings only where lr_dropout was asked for.
    manner = optimizers.OptimizerConfig(
        dropping, options.lr_dropout, recipe.seed, options.optimizer_memory
    )
    return optimizers.build_optimizers(optimizer_kind(recipe, options), groups, 1, manner)
