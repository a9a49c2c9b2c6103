"""What happens beside the steps of a run: callbacks, and what they may ask of the loop."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from understudy.io.model_files.checkpoint import Checkpoint
from understudy.stages.events import Event, Order
from understudy.stages.saved_models.recipe import ModelRecipe
from understudy.stages.train.state import TrainState
from understudy.stages.train.state_dict import Snapshot


class Request:
    """Something that only the loop may do, since it changes the state."""


@dataclass(frozen=True, slots=True)
class SaveCheckpoint(Request):
    """Save, unless this iteration is saved. backup: the reason for a backup, if there is one."""

    backup: str = ""


@dataclass(frozen=True, slots=True)
class Evaluate(Request):
    """Measure the model now: every callback's `on_evaluate`."""


@dataclass(frozen=True, slots=True)
class Restore(Request):
    """Go back to a checkpoint, or to before the first iteration.

    Attributes:
        saved: The checkpoint; None = start over.
        recipe: The model's settings from then on, where they are others.
        lr_scale: Factor on the learning rate from then on; None = as saved.
    """

    saved: Checkpoint | None
    recipe: ModelRecipe | None = None
    lr_scale: float | None = None


@dataclass(frozen=True, slots=True)
class ChangeSettings(Request):
    """Go on with other live settings of the model. changes: what changes, in words."""

    recipe: ModelRecipe
    changes: Sequence[str]


@dataclass(frozen=True, slots=True)
class TrainUntil(Request):
    """End at this iteration, and not before."""

    iteration: int


@dataclass(frozen=True, slots=True)
class StopTraining(Request):
    """End the run now. reason: as `TrainState.end`."""

    reason: str


# What a hook yields: events for whoever watches the run, and requests. Each request is carried out
# before the hook goes on, and the state as it is then comes back from the `yield`.
Actions = Generator[Event | Request, TrainState, None]


class Callback:
    """Takes part in a run. It reads the state, which only the loop writes, and has its own memory.

    A subclass overrides the hooks that it needs. They are listed as they come in a run.
    """

    def on_restore(self, state: TrainState, saved: Checkpoint | None) -> None:
        """The run begins, or has gone back. saved: what it goes on from; None = the beginning."""

    def on_start(self, state: TrainState) -> Actions:
        """Training begins: all is loaded."""
        yield from ()

    def on_step(self, state: TrainState, losses: Mapping[str, Tensor], seconds: float) -> None:
        """An iteration is done. It must not wait for the device.

        Args:
            losses: By name, on the device.
            seconds: How long the iteration took, with the wait for its batch.
        """

    def check(self, state: TrainState, totals: Sequence[float], is_saving: bool) -> str:
        """What is wrong with the model, in words; empty when all is well.

        Args:
            totals: The total loss of each iteration since the last time.
            is_saving: Whether the model is to be saved, so that more care is worth it.
        """
        return ""

    def on_trouble(self, state: TrainState, trouble: str) -> Actions:
        """A check has found something wrong."""
        yield from ()

    def on_report(self, state: TrainState, orders: Sequence[Order]) -> Actions:
        """Progress was reported, several times a second; `orders` came in answer to it."""
        yield from ()

    def on_save(self, state: TrainState, snapshot: Snapshot, backup: str) -> Actions:
        """The state is saved. backup: the reason for a backup, if there is one."""
        yield from ()

    def on_evaluate(self, state: TrainState) -> Actions:
        """The model is measured."""
        yield from ()

    def on_change(self, state: TrainState) -> None:
        """The model was rebuilt with other settings."""

    def on_end(self, state: TrainState) -> Actions:
        """An end is reached and saved; a request may still let the run go on."""
        yield from ()

    def on_stop(self, state: TrainState) -> Actions:
        """The run is over. Here, callbacks take turns in reverse order."""
        yield from ()

    def on_event(self, event: Event) -> None:
        """The run tells something."""

    def state_dict(self) -> dict[str, Any]:
        """Plain values that a checkpoint keeps for `on_restore`."""
        return {}

    def summary(self) -> dict[str, Any]:
        """What there is to say of the run at its end, as plain values."""
        return {}
