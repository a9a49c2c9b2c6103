"""The state of a training run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch.optim import Optimizer

from understudy.parts.models.base.model import Model
from understudy.stages.saved_models.recipe import ModelRecipe
from understudy.stages.train import schedule
from understudy.stages.train.options import TrainOptions
from understudy.stages.train.trainable import TrainableModel

# How a run goes: with warped input; with straight input and a falling learning rate; and, where
# the run asks for it, against a critic at the end of that.
Phase = Literal["warp", "finish", "gan"]


@dataclass(frozen=True, slots=True)
class TrainState:
    """All that changes while a model trains. Only `loop.Trainer` puts another in its place.

    Attributes:
        options: The options of `train`, resolved; orders change the live ones.
        trainable: The model, its optimizers and its running mean. These change in place.
        iteration: How many the model has learnt in all.
        seconds: How long it has learnt in all.
        lr_scale: Factor on the learning rate, lowered each time the run goes back.
        fitting_batch: Pairs of faces that fit into memory, where fewer do than were asked for; 0.
        owed: Iterations that it learnt with src and dst exchanged and has not learnt back since.
        shift, scale: How far faces were moved, the mean of all iterations; a merge may do so, too.
        saved_iteration: The iteration of the newest checkpoint; -1 = there is none.
        restores: How often this run has gone back to an earlier state.
        end: Why the run is over: "iterations", "minutes", "plateau", "stopped" or "interrupted".
            Empty while it is not.
    """

    options: TrainOptions
    trainable: TrainableModel
    iteration: int = 0
    seconds: float = 0.0
    lr_scale: float = 1.0
    fitting_batch: int = 0
    owed: int = 0
    shift: float = 0.0
    scale: float = 0.0
    saved_iteration: int = -1
    restores: int = 0
    end: str = ""

    @property
    def model(self) -> Model:
        return self.trainable.model

    @property
    def optimizers(self) -> dict[str, Optimizer]:
        return self.trainable.optimizers

    @property
    def recipe(self) -> ModelRecipe:
        return self.trainable.recipe

    @property
    def device(self) -> torch.device:
        return self.trainable.device

    @property
    def phase(self) -> Phase:
        """What is trained now; see `Phase`."""
        if not schedule.finish_progress(self.options, self.iteration, self.seconds):
            return "warp"
        critic = self.trainable.model_options.gan_setting
        has_critic = critic is not None and self.recipe.settings.get(critic)
        return "gan" if self.options.until == "gan" and has_critic else "finish"

    @property
    def lr(self) -> float:
        """The learning rate before the finish, at this iteration."""
        own = self.trainable.model_options
        return (self.options.lr or own.lr) * self.lr_scale / (1 + own.lr_decay * self.iteration)

    @property
    def lr_share(self) -> float:
        """The share of `lr` for the next iteration: 1 before the finish, in which it falls."""
        return schedule.lr_share(self.options, self.iteration, self.seconds)

    @property
    def clip(self) -> float | None:
        """The longest gradient that is not shortened; None or 0 = any."""
        own = self.trainable.model_options.clip
        return own if self.options.clip is None else self.options.clip

    @property
    def requested_batch(self) -> int:
        """Pairs of faces an iteration, as asked for or as the model prefers."""
        return self.options.batch or self.trainable.model_options.batch

    @property
    def batch_size(self) -> int:
        """Pairs of faces an iteration: as requested, or what fits into memory."""
        return self.fitting_batch or self.requested_batch
