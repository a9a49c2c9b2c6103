"""Whether the losses of a model and their gradients are compiled, and the trial that decides it.

torch.compile makes one program of each of them, for one device and one shape of batch. Nothing of
it is kept with a model.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

import torch
from torch import Tensor

from understudy.errors import BadOption
from understudy.nets import ranks
from understudy.parts.models.base.model import Batch, Model
from understudy.stages.events import Note, Order, Warned
from understudy.stages.train.callbacks.base import Actions, Callback
from understudy.stages.train.state import TrainState

Mode = Literal["off", "on", "graphs"]
CompileOption = Literal["auto", "off", "on", "graphs"]
Losses = Callable[[Batch, str], dict[str, Tensor]]
T = TypeVar("T")

NAMES: dict[Mode, str] = {
    "off": "as it stands",
    "on": "compiled",
    "graphs": "compiled with CUDA graphs",
}
# Seconds of learning before a trial: what is over sooner would not earn back the minutes that
# compiling takes.
PATIENCE = 300.0
# Iterations of each mode that do not count, in which it is compiled and recorded, and those whose
# median does.
WARMUP, TIMED = 3, 8


class CompileTuner(Callback):
    """Computes the losses of a model in one of several modes; a trial finds the fastest.

    Attributes:
        mode: How they are computed now.
    """

    def __init__(self, modes: tuple[Mode, ...], device: torch.device) -> None:
        self._messages: list[Note | Warned] = []
        self.mode: Mode = "off"
        self._modes, self._device = modes, device
        self._start = time.monotonic()

    def on_start(self, state: TrainState) -> Actions:
        self.attach(state.model)
        yield from ()

    def on_change(self, state: TrainState) -> None:
        self.attach(state.model)

    def on_report(self, state: TrainState, orders: Sequence[Order]) -> Actions:
        while self._messages:
            yield self._messages.pop(0)

    def on_stop(self, state: TrainState) -> Actions:
        yield from self.on_report(state, ())

    def attach(self, model: Model) -> None:
        """Compute the losses of this model from now on; once more for batches of another size."""
        self._model, self._medians, self._spent = model, dict[Mode, float](), 0.0
        self._begin(self._modes[0])

    def losses(self, batch: Batch, group: str) -> dict[str, Tensor]:
        """The model's losses of one group, computed in this mode."""
        return (
            self._model.losses(batch, group)
            if self._program is None
            else self._program(batch, group)
        )

    def run(self, learn: Callable[[], T], undo: Callable[[], None]) -> T:
        """The result of `learn`, an iteration. Where compiling fails: `undo`, then without."""
        is_trial = len(self._modes) > 1 and time.monotonic() - self._start >= PATIENCE
        self._wait(is_trial)
        start = time.perf_counter()
        if self.mode == "graphs":
            # What the iteration before has computed may be written over.
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        made = self._attempt(learn, undo)
        self._wait(is_trial)
        if is_trial and len(self._modes) > 1:
            self._count(time.perf_counter() - start)
        return made

    def _attempt(self, learn: Callable[[], T], undo: Callable[[], None]) -> T:
        try:
            made = learn()
        except Exception as error:
            # Compilers raise all kinds of errors; what has worked so far did not bring this one.
            if self.mode == "off" or self._proven >= WARMUP:
                raise
            self._give_up(error)
        else:
            self._proven += 1
            return made
        # Out here the error has let go of what the failed attempt held in memory.
        undo()
        return learn()

    def _count(self, seconds: float) -> None:
        """Take note of how long an iteration was; go on to the next mode, or end the trial."""
        self._seconds.append(seconds)
        self._spent += seconds
        if len(self._seconds) < WARMUP + TIMED:
            return
        self._medians[self.mode] = statistics.median(self._seconds[WARMUP:])
        if self.mode != self._modes[-1]:
            self._begin(self._modes[self._modes.index(self.mode) + 1])
            return
        self._settle()
        found = ", ".join(
            f"{1e3 * seconds:.1f} ms {NAMES[mode]}" for mode, seconds in self._medians.items()
        )
        self._messages.append(
            Note(
                text=(
                    f"compile: a step takes {found}; it goes on {NAMES[self.mode]}. To try took"
                    f" {self._spent:.0f} s."
                )
            )
        )

    def _give_up(self, error: Exception) -> None:
        # Behind a blank line stands how to tell PyTorch of it.
        why = (
            " ".join(str(error).split("\n\n")[0].split())[:240] or type(error).__name__
        ).removesuffix(".")
        if ranks.rank_and_world_size()[1] > 1:
            # What the others have got of this rank in this iteration cannot be sent again.
            raise BadOption(
                f"compile: {self._device}: {why}. All processes end; start them without --compile."
            ) from error
        self._settle()
        text = (
            f"compile: {self._device}: {why}. It learns {NAMES[self.mode]}; with --compile off it"
            " does not try."
        )
        self._messages.append(Warned(text=text))

    def _settle(self) -> None:
        """Stay with the fastest of the modes that were measured; without any, do not compile."""
        best: Mode = min(self._medians, key=lambda mode: self._medians[mode], default="off")
        self._modes = (best,)
        if best != self.mode:
            self._begin(best)

    def _begin(self, mode: Mode) -> None:
        if self.mode != "off":
            # Programs and graphs hold memory; and after eight of one function PyTorch computes it
            # as it stands, saying nothing.
            torch.compiler.reset()
        self.mode, self._proven, self._seconds = mode, 0, list[float]()
        how = "reduce-overhead" if mode == "graphs" else None
        self._program: Losses | None = (
            None if mode == "off" else torch.compile(self._model.losses, dynamic=False, mode=how)
        )

    def _wait(self, is_trial: bool) -> None:
        if is_trial and self._device.type != "cpu":
            torch.accelerator.synchronize(self._device)


def compile_modes(choice: CompileOption, device: torch.device) -> tuple[Mode, ...]:
    """The modes that a choice leaves on a device. Raises BadOption for CUDA graphs elsewhere.

    auto leaves two on CUDA and XPU. On a CPU compiled steps measure slower, on others they are
    young; and processes that learn together would wait for one another's compilers: there auto is
    off. CUDA graphs wait until somebody has measured them.
    """
    if choice == "graphs" and device.type != "cuda":
        raise BadOption(
            f"compile: graphs: there are none on {device}, only on CUDA. Take on, or leave it to"
            " auto."
        )
    if choice != "auto":
        return (choice,)
    return (
        ("off", "on")
        if device.type in ("cuda", "xpu") and ranks.rank_and_world_size()[1] == 1
        else ("off",)
    )
