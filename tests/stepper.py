"""A model that learns from given batches, without a run around it."""

from __future__ import annotations

from dataclasses import replace

import torch

from understudy.parts.models.base.model import Batch, Model
from understudy.stages.events import Event
from understudy.stages.saved_models.recipe import ModelRecipe
from understudy.stages.train.callbacks.compile_tuner import CompileTuner, Mode, compile_modes
from understudy.stages.train.options import TrainOptions
from understudy.stages.train.state import TrainState
from understudy.stages.train.train_step import Losses, train_step
from understudy.stages.train.trainable import TrainableModel

CPU = torch.device("cpu")


class Stepper:
    """Takes steps and keeps the state that comes of them."""

    def __init__(
        self, recipe: ModelRecipe, options: TrainOptions, device: torch.device = CPU
    ) -> None:
        self.state = TrainState(options, TrainableModel(recipe, options, device))
        self.tune(compile_modes(options.compile, device))

    @property
    def model(self) -> Model:
        return self.state.model

    @property
    def trainable(self) -> TrainableModel:
        return self.state.trainable

    def step(self, batch: Batch) -> Losses:
        self.state, losses = train_step(self.state, batch, self.tuner)
        return losses

    def tune(self, modes: tuple[Mode, ...]) -> None:
        self.tuner = CompileTuner(modes, self.state.device)
        self.tuner.attach(self.model)

    def halve_batch(self) -> None:
        self.state = replace(self.state, fitting_batch=self.state.batch_size // 2)
        self.tuner.attach(self.model)

    def change_settings(self, recipe: ModelRecipe) -> list[str]:
        renewed = self.trainable.change_settings(recipe)
        self.tuner.attach(self.model)
        return renewed

    def messages(self) -> list[Event]:
        """What the tuner tells at a report."""
        return list(self.tuner.on_report(self.state, ()))  # type: ignore[arg-type]
