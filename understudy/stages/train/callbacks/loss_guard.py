"""Finds losses that have gone wrong, and weights that are no numbers."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any, Final

from understudy.io.model_files.checkpoint import Checkpoint
from understudy.stages.train.callbacks.base import Callback
from understudy.stages.train.state import TrainState
from understudy.stages.train.state_dict import has_same_settings


class LossGuard(Callback):
    """Finds a loss that is not a number, or far above what the recent ones are like.

    Against a critic losses may be below 0; it goes by the median of their magnitudes.
    """

    SPAN: Final = 100
    # So many before the median means something, and so far above it is too far.
    FEWEST: Final = 20
    FAR: Final = 10

    def __init__(self) -> None:
        self.recent = deque[float](maxlen=self.SPAN)

    def on_restore(self, state: TrainState, saved: Checkpoint | None) -> None:
        # Losses of other settings cannot be compared.
        is_known = saved is not None and has_same_settings(saved, state.recipe)
        self.recent = deque(saved.state.get("recent", ()) if saved and is_known else (), self.SPAN)

    def on_change(self, state: TrainState) -> None:
        self.recent.clear()

    def check(self, state: TrainState, totals: Sequence[float], is_saving: bool) -> str:
        if trouble := self.find_trouble(totals):
            return trouble
        return "a weight is not a number" if is_saving and not state.trainable.is_finite() else ""

    def find_trouble(self, losses: Iterable[float]) -> str:
        """What is wrong with the first bad loss; empty when all is well."""
        for loss in losses:
            if not math.isfinite(loss):
                return "the loss is not a number"
            usual = median(map(abs, self.recent)) if len(self.recent) >= self.FEWEST else math.inf
            if loss > self.FAR * usual:
                return f"the loss rose to {loss:.3g}, its median was {median(self.recent):.3g}"
            self.recent.append(loss)
        return ""

    def state_dict(self) -> dict[str, Any]:
        return {"recent": list(self.recent)}
