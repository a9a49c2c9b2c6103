"""Finds a model that has collapsed, by what it paints: a loss alone does not tell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from understudy.core.training.collapse import CollapseDetector, measure_outputs
from understudy.io.model_files.checkpoint import Checkpoint
from understudy.nets.device import to_numpy, to_tensor
from understudy.parts.models.base.model import Model
from understudy.stages.train.callbacks.base import Callback
from understudy.stages.train.data.face_store import FaceStore
from understudy.stages.train.state import TrainState
from understudy.types import Floats

# Faces of each side that are painted for it.
FACES = 8
# The first check of a new model, and the earliest before a checkpoint. A collapse at the start is
# over in ten iterations.
FIRST, EARLIEST = 50, 10


class CollapseCheck(Callback):
    """Checks after FIRST iterations, each time after twice as many, and before a model is saved."""

    def __init__(self, src: FaceStore, dst: FaceStore) -> None:
        self._stores = (src, dst)
        self._best, self._next = (CollapseDetector(), CollapseDetector()), FIRST

    def on_restore(self, state: TrainState, saved: Checkpoint | None) -> None:
        # The model, or its faces, may be others than before.
        self._best, self._next = (
            (CollapseDetector(), CollapseDetector()),
            max(FIRST, state.iteration),
        )

    def check(self, state: TrainState, totals: Sequence[float], is_saving: bool) -> str:
        if not is_saving and state.iteration < self._next:
            return ""
        return self.find_trouble(state.model, state.iteration)

    @torch.inference_mode()
    def find_trouble(self, model: Model, iteration: int) -> str:
        """What is wrong with what a model paints; empty when all is well or it is too young."""
        if iteration < EARLIEST:
            return ""
        if iteration >= self._next:
            self._next = max(2 * self._next, iteration + 1)
        sides = [_sample(store, model.resolution) for store in self._stores]
        device = next(model.parameters()).device
        made = model.reconstruct(*(to_tensor(faces, device) for faces, _ in sides))
        for side, pair, best, (true, mattes) in zip(
            ("src", "dst"), ("ss", "dd"), self._best, sides, strict=True
        ):
            faces, masks = (to_numpy(each) for each in made[pair])
            if fallen := best.check(measure_outputs(faces, masks, true, mattes), iteration):
                return f"the model has collapsed ({side}: {fallen})"
        return ""


def _sample(store: FaceStore, size: int) -> tuple[Floats, Floats]:
    """Faces spread over those that are learnt, and their masks."""
    rows = store.train_rows
    # Of both sides as many: some models want it.
    return store.aligned(rows[np.linspace(0, len(rows) - 1, FACES).round().astype(int)], size)
