"""A model that learns: one step, and its way to disk and back."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor
from torch.optim import Optimizer

from understudy.errors import BadOption, BadProject
from understudy.io import system
from understudy.io.model_files import checkpoint
from understudy.nets import checkpointing, linear_conv, ranks
from understudy.nets.device import autocast, tensors_to_numpy, to_memory_format
from understudy.nets.optim import optimizers
from understudy.nets.optim.ema import Ema
from understudy.parts.models.base.model import Batch, Model
from understudy.stages.saved_models.load import (
    inter_tensor_names,
    load_matching_weights,
    load_weights,
    recipe_at,
)
from understudy.stages.saved_models.recipe import ModelRecipe
from understudy.stages.train import micro_batch
from understudy.stages.train.callbacks.checkpoint_writer import Snapshot
from understudy.stages.train.callbacks.compile_tuner import Compiling, ways_of
from understudy.stages.train.callbacks.loss_guard import Watch
from understudy.stages.train.options import TrainOptions
from understudy.types import Array

# With one of these changed the critic is another: tensors of its former self that happen to fit
# would only mislead it.
RESIZING = {"gan_patch_size", "gan_dims"}


class Learner:
    """A model with its optimizers on a device.

    iteration: how many it has learnt. slowed: factor on the step size, halved after each setback.
    seconds: spent learning. has_inherited: whether its weights began elsewhere. mean: of its
    weights, where it keeps one. fits: pairs of faces that fit in the memory, where less than were
    asked for do; else 0.
    """

    def __init__(self, recipe: ModelRecipe, options: TrainOptions, device: torch.device) -> None:
        self.device, self.options = device, options
        if device.type == "cpu":
            # Of the time of a step on the CPU it takes a tenth, with large weights a quarter.
            system.keep_freed_memory()
        self.slowed, self.seconds = 1.0, 0.0
        self.has_inherited, self.fits = False, 0
        self.compiling = Compiling(ways_of(options.compile, device), device)
        self._build(recipe)

    def start_over(self) -> None:
        """As before the first iteration."""
        self.iteration = 0
        # Drawn on the CPU, so that the start is the same on every device.
        fresh = self.recipe.build(torch.device("cpu"))
        fresh.initialise(torch.Generator().manual_seed(self.recipe.seed))
        self.model.load_state_dict(fresh.state_dict())
        optimizers.load_state(self.optimizers, self.groups, {})
        self._average({})
        self.watch = Watch()

    def change(self, recipe: ModelRecipe) -> list[str]:
        """Go on with other live settings; the names of the tensors that start anew, where these
        make a part of another kind.
        """
        iteration, weights, before = (
            self.iteration,
            tensors_to_numpy(self.model.state_dict()),
            self.recipe,
        )
        memory = optimizers.state_to_arrays(self.optimizers, self.groups)
        mean = self.mean.weights if self.mean else {}
        self._build(recipe)
        self.iteration = iteration
        anew = self._take(weights, memory, before)
        self._average({name: each for name, each in mean.items() if name not in anew})
        return anew

    def use(self, options: TrainOptions) -> None:
        """Take step size, clipping and number format from the options."""
        self.options = options
        defaults = self.recipe.model_options
        self.clip = defaults.clip if options.clip is None else options.clip
        self.precision = options.precision
        self.lr = (options.lr or defaults.lr) * self.slowed

    def step(self, batch: Batch, share: float = 1) -> dict[str, Tensor]:
        """Learn from one batch with a `share` of the step size; its losses, still on the device, so
        that nobody waits for them.
        """
        optimizers.set_lr(self.optimizers, self.lr * share)
        try:
            told = self.compiling.run(partial(self._learn, batch), self._drop)
        except (RuntimeError, MemoryError) as error:
            self._drop()
            if micro_batch.is_out_of_memory(error) and ranks.rank_and_world_size()[1] > 1:
                # The others wait for gradients that this rank does not have: it cannot try again by
                # itself.
                raise BadOption(
                    f"batch: {len(batch.src.input)} pairs, this process' share, do not fit into the"
                    f" memory of {self.device}. All processes end; take a smaller --batch, or"
                    " --accumulate 2."
                ) from error
            raise
        self.iteration += 1
        if self.mean:
            self.mean.update(self.model, self.iteration, share)
        return told

    def averaged(self) -> contextlib.AbstractContextManager[None]:
        """As long as it lasts the model has the mean of its weights, where it keeps one: for what
        is shown, measured, kept.
        """
        return self.mean.apply_to(self.model) if self.mean else contextlib.nullcontext()

    @property
    def pairs(self) -> int:
        """Pairs of faces an iteration: as asked for, or what fits."""
        return self.fits or self._asked

    def halve(self) -> None:
        """Half the pairs from now on, as long as as many are asked for as now."""
        self.fits = self.pairs // 2
        self.compiling.take(self.model)

    def is_sound(self) -> bool:
        """Whether every weight is a number."""
        return all(bool(torch.isfinite(weight).all()) for weight in self.model.parameters())

    def snapshot(self) -> Snapshot:
        """What a checkpoint of it holds."""
        parts = {
            "weights": tensors_to_numpy(self.model.state_dict()),
            "optimizer": optimizers.state_to_arrays(self.optimizers, self.groups),
        }
        if self.mean:
            parts["ema"] = tensors_to_numpy(self.mean.weights)
        state = {"seconds": self.seconds, "slowed": self.slowed, "recent": list(self.watch.recent)}
        state["batch"] = {"asked": self._asked, "fits": self.fits}
        told = {"settings": self.recipe.settings, "pretraining": bool(self.options.pretrain)}
        return Snapshot(
            self.iteration,
            parts,
            {**state, "optimizer": self.kind, **told},
            self.device.type == "cpu",
        )

    def restore(self, saved: checkpoint.Checkpoint) -> list[str]:
        """Become what was saved; the names of the tensors that start anew, where live settings have
        changed since.
        """
        anew: list[str] = []
        # What was saved before there was a choice is of adam.
        memory = (
            saved.arrays("optimizer") if saved.state.get("optimizer", "adam") == self.kind else {}
        )
        before = recipe_at(saved, self.recipe)
        if before.model_options.changed_in(self.recipe.model_options):
            anew = self._take(saved.arrays("weights"), memory, before)
            self.watch = Watch()
        else:
            load_weights(self.model, saved)
            self._remember(saved, memory)
            self.watch = Watch(deque(saved.state["recent"], Watch.SPAN))
        mean = saved.arrays("ema") if saved.has("ema") else {}
        self._average(
            {name: torch.from_numpy(array) for name, array in mean.items() if name not in anew}
        )
        batch = saved.state.get("batch", {})
        # What fitted counts as long as as many are asked for as then.
        self.fits = self.fits or (batch["fits"] if batch.get("asked") == self._asked else 0)
        self.iteration, self.seconds, self.slowed = (
            saved.iteration,
            saved.state["seconds"],
            saved.state["slowed"],
        )
        return anew

    def inherit(self, saved: checkpoint.Checkpoint, keep_memory: bool = False) -> list[str]:
        """Start with weights of another model, or of the time before; the names of the tensors that
        do not come from there.

        Where those have pretrained and this does not, the inters start anew.
        """
        self.start_over()
        self.has_inherited = True
        weights = saved.arrays("weights")
        if saved.state.get("pretraining") and not self.options.pretrain:
            weights = {
                name: array
                for name, array in weights.items()
                if name not in inter_tensor_names(self.model)
            }
        is_alike = keep_memory and saved.state.get("optimizer", "adam") == self.kind
        anew = self._take(
            weights, saved.arrays("optimizer") if is_alike else {}, recipe_at(saved, self.recipe)
        )
        self._average({})
        return anew

    def _learn(self, batch: Batch) -> dict[str, Tensor]:
        """Gradients of a batch, or of its parts one after the other, and a step by them; the
        losses, of the parts their mean.
        """
        options, told = self.options, dict[str, Tensor]()
        with contextlib.ExitStack() as steps:
            # Where nothing needs all gradients at once. A graphics card wants few calls, unless
            # memory counts for more.
            is_thrifty = self.device.type == "cpu" or options.optimizer_memory != "full"
            at_once = (
                is_thrifty
                and not self.clip
                and options.accumulate == 1
                and ranks.rank_and_world_size()[1] == 1
            )
            for group, optimizer in self.optimizers.items() if at_once else ():
                steps.enter_context(
                    optimizers.step_in_backward(optimizer, self.groups[group].values())
                )
            for part, share in micro_batch.parts_of(batch, options.accumulate):
                for group in self.optimizers:
                    with autocast(self.precision, self.device):
                        losses = self.compiling.losses(part, group)
                    (share * torch.stack(list(losses.values())).sum()).backward()  # type: ignore[no-untyped-call]
                    for name, loss in losses.items():
                        told[name] = told.get(name, 0) + share * loss.detach()
        for group, optimizer in self.optimizers.items() if not at_once else ():
            ranks.average_gradients(self.groups[group].values())
            if self.clip:
                torch.nn.utils.clip_grad_norm_(self.groups[group].values(), self.clip)
            optimizer.step()
            optimizer.zero_grad()
        return told

    def _drop(self) -> None:
        """Let go of gradients: half a one must not meet the next one."""
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()

    def _build(self, recipe: ModelRecipe) -> None:
        options, self.recipe = self.options, recipe
        self.model: Model = to_memory_format(
            recipe.build(self.device), options.channels_last, self.device
        )
        self.groups = self.model.parameter_groups()
        self.kind = kind_of(recipe, options)
        self.optimizers = optimizers_of(recipe, options, self.groups)
        if options.checkpointing:
            checkpointing.enable_checkpointing(self.model)
        if self.device.type == "cpu" and options.compile in ("auto", "off"):
            linear_conv.enable_matmul(self.model)
        self.compiling.take(self.model)
        decay = recipe.model_options.ema if options.ema is None else options.ema
        self.mean = Ema(self.model, decay) if decay else None
        self.start_over()
        self.use(options)

    @property
    def _asked(self) -> int:
        return self.options.batch or self.recipe.model_options.batch

    def _take(
        self, weights: Mapping[str, Array], memory: Mapping[str, Array], before: ModelRecipe
    ) -> list[str]:
        """Take over what fits of what was learnt by another recipe, tensor by tensor, with what the
        optimizers remember of it.
        """
        if RESIZING & set(before.model_options.changed_in(self.recipe.model_options)):
            weights = {
                name: array
                for name, array in weights.items()
                if name not in self.groups.get("critic", {})
            }
        anew = load_matching_weights(self.model, weights)
        for group, parameters in self.groups.items():
            kept = {f"{group}/{name}" for name in parameters if name not in anew}
            own = {key: array for key, array in memory.items() if key.rpartition("/")[0] in kept}
            steps = {key: array for key, array in memory.items() if own and key == f"{group}/steps"}
            optimizers.load_state({group: self.optimizers[group]}, self.groups, {**own, **steps})
        return anew

    def _average(self, weights: Mapping[str, Tensor]) -> None:
        """Let the mean of the weights, where there is one, go on from these; where they are
        missing, from the model's.
        """
        if self.mean:
            self.mean.load(self.model, weights)

    def _remember(self, saved: checkpoint.Checkpoint, memory: Mapping[str, Array]) -> None:
        try:
            optimizers.load_state(self.optimizers, self.groups, memory)
        except KeyError as error:
            raise BadProject(
                f"{saved.folder}/optimizer.safetensors: not of this model: {error.args[0]} is"
                " missing. Restore the folder from a copy, or delete it: an older checkpoint is"
                " used where there is one."
            ) from None


def kind_of(recipe: ModelRecipe, options: TrainOptions) -> optimizers.OptimizerName:
    """The kind of optimizer: the one asked for, or the model's own."""
    return recipe.model_options.optimizer if options.optimizer == "auto" else options.optimizer


def optimizers_of(
    recipe: ModelRecipe, options: TrainOptions, groups: optimizers.ParameterGroups
) -> dict[str, Optimizer]:
    """An optimizer for each group, as asked for, or as is the model's own way."""
    dropping = options.lr_dropout or (
        options.optimizer == "auto" and recipe.model_options.lr_dropout
    )
    # The step size swings only where lr_dropout was asked for.
    manner = optimizers.OptimizerConfig(
        dropping, options.lr_dropout, recipe.seed, options.optimizer_memory
    )
    return optimizers.build_optimizers(kind_of(recipe, options), groups, 1, manner)
