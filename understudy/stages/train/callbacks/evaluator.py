"""How good a model is while it learns: measured on held-out faces, its best weights kept, and
whether more learning is worth it.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from understudy.core.training.plateau import Forecast, describe_forecast, forecast
from understudy.core.training.score import is_better, score_curve
from understudy.core.training.split import MIN_FACES
from understudy.errors import BadOption
from understudy.io.model_files import checkpoint, history
from understudy.nets.device import tensors_to_numpy
from understudy.stages.events import Measured, Note, Saved, Stage
from understudy.stages.saved_models.recipe import BEST
from understudy.stages.train.callbacks.loss_log import Ledger
from understudy.stages.train.evaluation.validation import Validation
from understudy.stages.train.learner import Learner
from understudy.stages.train.options import Until


class Standing:
    """Measures the model of a learner now and then. outlook: of its score over the iterations; None
    while that is too short.

    latest: what was measured last; empty when nothing is held out.
    """

    def __init__(
        self,
        folder: Path,
        learner: Learner,
        ledger: Ledger,
        validation: Validation,
        until: Until = None,
    ) -> None:
        """Raises BadOption when somebody waits for a plateau that cannot be measured."""
        if until and not validation.is_possible:
            raise BadOption(
                f"until: with fewer than {MIN_FACES} faces none are held out, so no plateau is"
                " seen. Set --iterations or --minutes."
            )
        self.latest: dict[str, float] = {}
        self.outlook: Forecast | None = None
        self._folder, self._learner, self._ledger, self._validation = (
            folder,
            learner,
            ledger,
            validation,
        )
        self._measured_at = -1
        self._faces = validation.fingerprint()
        self._has_told = self._was_at_rest = False

    @property
    def is_possible(self) -> bool:
        """Whether any face is held out."""
        return self._validation.is_possible

    @property
    def is_at_rest(self) -> bool:
        """Whether the score falls no more."""
        return self.outlook is not None and self.outlook.since is not None

    def is_due(self) -> bool:
        """Whether it is time to measure."""
        return self._validation.is_due(self._learner.seconds)

    def check(self) -> Stage:
        """Measure, unless that has been done at this iteration; keep the weights where they are
        clearly the best so far.
        """
        iteration = self._learner.iteration
        if not self.is_possible or self._measured_at == iteration:
            return
        if not self._has_told and self._validation.missing:
            yield Note(
                text=f"Not measured on held-out faces: {'; '.join(self._validation.missing)}."
            )
        self._has_told, self._measured_at = True, iteration
        self._validation.prepare(self._learner.model.resolution)
        start = time.monotonic()
        self.latest = self._validation.measure(self._learner.model)
        minutes = round(self._learner.seconds / 60, 3)
        self._ledger.note({"iteration": iteration, "minutes": minutes, "held_out": self.latest})
        self._ledger.write(iteration)
        yield Measured(model=self._folder.name, iteration=iteration, values=self.latest)
        if "score" in self.latest:
            yield from self._kept()
            self.outlook = forecast(*score_curve(history.read(self._ledger.path)))
        self._validation.spent(time.monotonic() - start, self._learner.seconds)
        if self.is_at_rest and not self._was_at_rest:
            yield Note(text=f"{self._folder.name}: {describe_forecast(self.outlook)}")
        self._was_at_rest = self.is_at_rest

    def summary(self) -> dict[str, Any]:
        """How good the model is, what more learning would bring, and which of its weights are the
        better.
        """
        found: dict[str, Any] = {"held_out": self.latest}
        if self.outlook is not None:
            found["outlook"] = describe_forecast(self.outlook)
        if self.latest and (best := checkpoint.peek(self._folder / BEST)):
            newer = not is_better(best.state["score"], self.latest["score"])
            found["best"] = {
                "iteration": best.iteration,
                "score": best.state["score"],
                "better": "newest" if newer else "best",
            }
        return found

    def _kept(self) -> Stage:
        """Write the weights down as the best, where nothing else is, or is as good; those of other
        held-out faces do not count.
        """
        best = checkpoint.peek(self._folder / BEST)
        score = self.latest["score"]
        if (
            best is not None
            and best.state.get("held_out_faces") == self._faces
            and not is_better(score, best.state["score"])
        ):
            return
        recipe = self._learner.recipe
        state = {
            "settings": recipe.settings,
            "score": score,
            "held_out_faces": self._faces,
            "seconds": self._learner.seconds,
        }
        weights = tensors_to_numpy(self._learner.model.state_dict())
        path = checkpoint.save(
            self._folder / BEST, self._learner.iteration, {"weights": weights}, state, keep=1
        )
        yield Saved(what="best", path=path)
