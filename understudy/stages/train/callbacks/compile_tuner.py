"""Whether the losses of a model and the way back from them are compiled, and the trial that finds
out whether this pays.

torch.compile makes one program of each of them, for one device and one shape of batch. Nothing of
it is kept with a model.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Literal, TypeVar

import torch
from torch import Tensor

from understudy.errors import BadOption
from understudy.nets import ranks
from understudy.parts.models.base.model import Batch, Model
from understudy.stages.events import Note, Stage, Warned

Way = Literal["off", "on", "graphs"]
Choice = Literal["auto", "off", "on", "graphs"]
Losses = Callable[[Batch, str], dict[str, Tensor]]
T = TypeVar("T")

NAMES: dict[Way, str] = {
    "off": "as it stands",
    "on": "compiled",
    "graphs": "compiled with CUDA graphs",
}
# Seconds of learning before a trial: what is over sooner would not earn back the minutes that
# compiling takes.
PATIENCE = 300.0
# Iterations of each way that do not count, in which it is compiled and recorded, and those whose
# median does.
WARMING, TIMED = 3, 8


class Compiling:
    """The losses of a model, computed in one of several `ways`; of more than one a trial finds the
    fastest, while it learns.

    way: how they are computed now.
    """

    def __init__(self, ways: tuple[Way, ...], device: torch.device) -> None:
        self._told: list[Note | Warned] = []
        self.way: Way = "off"
        self._ways, self._device = ways, device
        self._start = time.monotonic()

    def take(self, model: Model) -> None:
        """Begin with a model, or anew with one that is known: for batches of another size."""
        self._model, self._medians, self._spent = model, dict[Way, float](), 0.0
        self._begin(self._ways[0])

    def losses(self, batch: Batch, group: str) -> dict[str, Tensor]:
        """The model's own, computed this way."""
        return (
            self._model.losses(batch, group)
            if self._program is None
            else self._program(batch, group)
        )

    def run(self, learn: Callable[[], T], undo: Callable[[], None]) -> T:
        """What `learn`, an iteration, gives. Where the compiler fails in it: `undo`, and once more
        without.
        """
        is_trial = len(self._ways) > 1 and time.monotonic() - self._start >= PATIENCE
        self._wait(is_trial)
        start = time.perf_counter()
        if self.way == "graphs":
            # What the iteration before has computed may be written over.
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        made = self._attempt(learn, undo)
        self._wait(is_trial)
        if is_trial and len(self._ways) > 1:
            self._count(time.perf_counter() - start)
        return made

    def said(self) -> Stage:
        """What there was to say of it since the last time."""
        while self._told:
            yield self._told.pop(0)

    def _attempt(self, learn: Callable[[], T], undo: Callable[[], None]) -> T:
        try:
            made = learn()
        except Exception as error:
            # Compilers raise all kinds of errors; what has worked so far did not bring this one.
            if self.way == "off" or self._proven >= WARMING:
                raise
            self._give_up(error)
        else:
            self._proven += 1
            return made
        # Out here the error has let go of what the failed attempt held in memory.
        undo()
        return learn()

    def _count(self, seconds: float) -> None:
        """Note what an iteration took; when it is time, go on to the next way, or stay with the
        fastest.
        """
        self._seconds.append(seconds)
        self._spent += seconds
        if len(self._seconds) < WARMING + TIMED:
            return
        self._medians[self.way] = statistics.median(self._seconds[WARMING:])
        if self.way != self._ways[-1]:
            self._begin(self._ways[self._ways.index(self.way) + 1])
            return
        self._settle()
        found = ", ".join(
            f"{1e3 * seconds:.1f} ms {NAMES[way]}" for way, seconds in self._medians.items()
        )
        self._told.append(
            Note(
                text=(
                    f"compile: a step takes {found}; it goes on {NAMES[self.way]}. To try took"
                    f" {self._spent:.0f} s."
                )
            )
        )

    def _give_up(self, error: Exception) -> None:
        # Behind a blank line stands how to tell PyTorch of it.
        said = (
            " ".join(str(error).split("\n\n")[0].split())[:240] or type(error).__name__
        ).removesuffix(".")
        if ranks.rank_and_world_size()[1] > 1:
            # What the others have got of this rank in this iteration cannot be sent again.
            raise BadOption(
                f"compile: {self._device}: {said}. All processes end; start them without --compile."
            ) from error
        self._settle()
        text = (
            f"compile: {self._device}: {said}. It learns {NAMES[self.way]}; with --compile off it"
            " does not try."
        )
        self._told.append(Warned(text=text))

    def _settle(self) -> None:
        """Stay with the fastest of the ways that were measured; with none of them, as it stands."""
        best: Way = min(self._medians, key=lambda way: self._medians[way], default="off")
        self._ways = (best,)
        if best != self.way:
            self._begin(best)

    def _begin(self, way: Way) -> None:
        if self.way != "off":
            # Programs and graphs hold memory; and after eight of one function PyTorch computes it
            # as it stands, saying nothing.
            torch.compiler.reset()
        self.way, self._proven, self._seconds = way, 0, list[float]()
        mode = "reduce-overhead" if way == "graphs" else None
        self._program: Losses | None = (
            None if way == "off" else torch.compile(self._model.losses, dynamic=False, mode=mode)
        )

    def _wait(self, is_trial: bool) -> None:
        if is_trial and self._device.type != "cpu":
            torch.accelerator.synchronize(self._device)


def ways_of(choice: Choice, device: torch.device) -> tuple[Way, ...]:
    """The ways to compute that a choice leaves on a device. Raises BadOption for CUDA graphs
    elsewhere.

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
