"""A model that learns: one step, its way to disk and back, and a watch for runs that go wrong."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from understudy.io import checkpoint
from understudy.nets import bridge, optim
from understudy.parts.models import Batch, Model
from understudy.stages.saved_model import Recipe, put_weights
from understudy.stages.train import TrainOptions


class Learner:
    """A model with its optimizers on a device.

    iteration: how many it has learnt. slowed: factor on the step size, halved after each setback. seconds: spent learning.
    """

    def __init__(self, recipe: Recipe, options: TrainOptions, device: torch.device) -> None:
        self.recipe, self.device = recipe, device
        self.model: Model = bridge.laid_out(recipe.build(device), options.channels_last, device)
        self.groups = self.model.groups()
        self.optimizers = optim.adams(self.groups, 1)
        self.watch = Watch()
        self.slowed, self.seconds = 1.0, 0.0
        self.start_over()
        self.use(options)

    def start_over(self) -> None:
        """As before the first iteration."""
        self.iteration = 0
        # Drawn on the CPU, so that the start is the same on every device.
        fresh = self.recipe.build(torch.device("cpu"))
        fresh.initialise(torch.Generator().manual_seed(self.recipe.seed))
        self.model.load_state_dict(fresh.state_dict())
        optim.load_state(self.optimizers, self.groups, {})
        self.watch = Watch()

    def use(self, options: TrainOptions) -> None:
        """Take step size, clipping and number format from the options."""
        defaults = self.recipe.model_options
        self.clip = options.clip if options.clip >= 0 else defaults.clip
        self.precision = options.precision
        self.lr = (options.lr or defaults.lr) * self.slowed

    def step(self, batch: Batch, share: float = 1) -> dict[str, Tensor]:
        """Learn from one batch with a `share` of the step size; its losses, still on the device, so that nobody waits for them."""
        optim.set_lr(self.optimizers, self.lr * share)
        told: dict[str, Tensor] = {}
        for group, optimizer in self.optimizers.items():
            with bridge.computing(self.precision, self.device):
                losses = self.model.losses(batch, group)
            torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
            if self.clip:
                torch.nn.utils.clip_grad_norm_(self.groups[group].values(), self.clip)
            optimizer.step()
            optimizer.zero_grad()
            told |= {name: loss.detach() for name, loss in losses.items()}
        self.iteration += 1
        return told

    def is_sound(self) -> bool:
        """Whether every weight is a number."""
        return all(bool(torch.isfinite(weight).all()) for weight in self.model.parameters())

    def save(self, folder: Path) -> Path:
        """Write a checkpoint."""
        parts = {
            "weights": bridge.arrays(self.model.state_dict()),
            "optimizer": optim.state_arrays(self.optimizers, self.groups),
        }
        state = {"seconds": self.seconds, "slowed": self.slowed, "recent": list(self.watch.recent)}
        return checkpoint.save(folder, self.iteration, parts, state)

    def restore(self, saved: checkpoint.Checkpoint) -> None:
        """Become what was saved."""
        put_weights(self.model, saved)
        optim.load_state(self.optimizers, self.groups, saved.arrays("optimizer"))
        self.iteration, self.seconds, self.slowed = saved.iteration, saved.state["seconds"], saved.state["slowed"]
        self.watch = Watch(deque(saved.state["recent"], Watch.SPAN))


@dataclass
class Watch:
    """Tells when losses have left the rails: not a number, or far above the median of the recent ones."""

    SPAN = 100
    # So many before the median means something, and so far above it is too far.
    FEWEST, FAR = 20, 10

    recent: deque[float] = field(default_factory=lambda: deque(maxlen=Watch.SPAN))

    def broken(self, losses: Iterable[float]) -> str:
        """What is wrong with the first bad loss in a row of them; empty when all is well."""
        for loss in losses:
            if not math.isfinite(loss):
                return "the loss is not a number"
            if len(self.recent) >= self.FEWEST and loss > self.FAR * median(self.recent):
                return f"the loss rose to {loss:.3g}, its median was {median(self.recent):.3g}"
            self.recent.append(loss)
        return ""
