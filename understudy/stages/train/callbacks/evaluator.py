"""Measures a model on held-out faces, keeps its best weights, and finds its plateau."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from understudy.core.metrics.quality import MIN_FOUND, describe_quality
from understudy.core.training.plateau import (
    MIN_POINTS,
    Forecast,
    describe_forecast,
    forecast,
)
from understudy.core.training.score import is_better, score_curve
from understudy.core.training.split import MIN_FACES
from understudy.errors import BadOption
from understudy.io.model_files import checkpoint
from understudy.nets.device import tensors_to_numpy
from understudy.stages.events import Measured, Note, Order, Saved, Warned
from understudy.stages.saved_models.recipe import BEST
from understudy.stages.train import schedule
from understudy.stages.train.callbacks.base import (
    Actions,
    Callback,
    Evaluate,
    StopTraining,
    TrainUntil,
)
from understudy.stages.train.callbacks.loss_log import LossLog
from understudy.stages.train.evaluation.validation import Validation
from understudy.stages.train.options import Until
from understudy.stages.train.state import TrainState


class Evaluator(Callback):
    """Measures the model now and then; where its score has plateaued, the finish or the end comes.

    Attributes:
        latest: What was measured last; empty when nothing is held out.
        outlook: Of its score over the iterations; None while that is too short.
    """

    def __init__(
        self, folder: Path, loss_log: LossLog, validation: Validation, until: Until = None
    ) -> None:
        """Raises BadOption when the run is to wait for a plateau that cannot be measured."""
        if until and validation.is_exchanged:
            raise BadOption(
                "until: nothing is measured while src and dst are exchanged. Set --iterations or"
                " --minutes."
            )
        if until and not validation.is_possible:
            raise BadOption(
                f"until: with fewer than {MIN_FACES} faces none are held out, so no plateau is"
                " seen. Set --iterations or --minutes."
            )
        self.latest: dict[str, float] = {}
        self.outlook: Forecast | None = None
        self._folder, self._loss_log, self._validation = folder, loss_log, validation
        self._measured_at = -1
        self._faces = validation.fingerprint()
        self._has_named_missing = self._had_plateaued = False
        self._without_face = 0

    @property
    def has_plateaued(self) -> bool:
        """Whether the score falls no more."""
        return self.outlook is not None and self.outlook.since is not None

    def on_report(self, state: TrainState, orders: Sequence[Order]) -> Actions:
        if self.is_due(state):
            yield Evaluate()

    def on_evaluate(self, state: TrainState) -> Actions:
        if self._validation.is_possible and self._measured_at != state.iteration:
            with state.trainable.averaged():
                yield from self._measure(state)
        if self.has_plateaued and not state.end:
            yield from self._end(state)

    def is_due(self, state: TrainState) -> bool:
        """Whether it is time to measure."""
        return self._validation.is_due(state.seconds)

    def summary(self) -> dict[str, Any]:
        """How good the model is, what more learning would bring, and which weights are better."""
        found: dict[str, Any] = {"held_out": self.latest}
        if quality := describe_quality(self.latest):
            found["quality"] = quality
        if self.outlook is not None:
            found["outlook"] = describe_forecast(self.outlook)
        best = checkpoint.peek(self._folder / BEST)
        if "score" in self.latest and best and best.state.get("score") is not None:
            newer = not is_better(best.state["score"], self.latest["score"])
            found["best"] = {
                "iteration": best.iteration,
                "score": best.state["score"],
                "better": "newest" if newer else "best",
            }
        return found

    def _measure(self, state: TrainState) -> Actions:
        """Measure, and keep the weights where they are clearly the best so far."""
        name, iteration = self._folder.name, state.iteration
        if not self._has_named_missing and self._validation.missing:
            yield Note(
                text=f"Not measured on held-out faces: {'; '.join(self._validation.missing)}."
            )
        self._has_named_missing, self._measured_at = True, iteration
        self._validation.prepare(state.model.resolution)
        start = time.monotonic()
        self.latest = self._validation.measure(state.model)
        minutes = round(state.seconds / 60, 3)
        self._loss_log.add_row(
            {"iteration": iteration, "minutes": minutes, "held_out": self.latest}
        )
        self._loss_log.write(iteration)
        yield Measured(model=name, iteration=iteration, values=self.latest)
        if self.latest.get("found", 1.0) < MIN_FOUND:
            yield from self._tell_no_face(state)
        elif "score" in self.latest:
            self._without_face = 0
            yield from self._keep_best(state)
            self.outlook = forecast(*score_curve(self._loss_log.read()))
        self._validation.record_cost(time.monotonic() - start, state.seconds)
        if self.has_plateaued and not self._had_plateaued:
            yield Note(text=f"{name}: {describe_forecast(self.outlook)}")
        self._had_plateaued = self.has_plateaued

    def _tell_no_face(self, state: TrainState) -> Actions:
        """Tell once that nothing can be measured of the swaps, and once that no end is in sight."""
        name = self._folder.name
        self._without_face += 1
        if self._without_face == 1:
            yield Note(
                text=(
                    f"{name}: no face is found in the swaps of iteration {state.iteration}: nothing"
                    " is said of identity, expression and sharpness, and there is no score."
                )
            )
        elif self._without_face == MIN_POINTS and state.options.until:
            yield Warned(
                text=(
                    f"{name}: still no face is found in the swaps, so no plateau can be seen that"
                    " would end the run. Look at the previews; set --minutes for an end."
                )
            )

    def _end(self, state: TrainState) -> Actions:
        """End the run, or let its finish begin, where it waits for a plateau."""
        if end := schedule.finish_end(state.options, state.iteration):
            yield TrainUntil(end)
            self._loss_log.add_row({"iteration": state.iteration, schedule.FINISH_UNTIL: end})
            yield Note(
                text=(
                    f"{self._folder.name}: nothing is warped any more, and the learning rate falls,"
                    f" until iteration {end}."
                )
            )
        elif reason := schedule.end_reason(state.options, state.iteration, state.seconds, True):
            yield StopTraining(reason)

    def _keep_best(self, state: TrainState) -> Actions:
        """Save the weights as the best, where none are kept that are as good.

        Those of other held-out faces do not count.
        """
        best, score = checkpoint.peek(self._folder / BEST), self.latest["score"]
        if (
            best is not None
            and best.state.get("held_out_faces") == self._faces
            and best.state.get("score") is not None
            and not is_better(score, best.state["score"])
        ):
            return
        values = {
            "settings": state.recipe.settings,
            "score": score,
            "held_out_faces": self._faces,
            "seconds": state.seconds,
        }
        parts = {"weights": tensors_to_numpy(state.model.state_dict())}
        path = checkpoint.save(self._folder / BEST, state.iteration, parts, values, keep=1)
        yield Saved(what="best", path=path)
