"""A look at what a model paints, now and then while it learns: a loss alone does not tell that it
has collapsed.
"""

from __future__ import annotations

import numpy as np
import torch

from understudy.core.training.collapse import CollapseDetector, measure_outputs
from understudy.nets.device import to_numpy, to_tensor
from understudy.parts.models.base.model import Model
from understudy.stages.train.data.face_store import FaceStore
from understudy.types import Floats

# Faces of each side that are looked at.
FACES = 8
# The first look of a new model, and the earliest before a checkpoint. A collapse at the start is
# over in ten iterations.
FIRST, EARLIEST = 50, 10


class Vigil:
    """Looks after FIRST iterations, then each time after twice as many, and whenever it is asked.
    src, dst: what is learnt.
    """

    def __init__(self, src: FaceStore, dst: FaceStore) -> None:
        self._stores = (src, dst)
        self.begin(0)

    def begin(self, iteration: int) -> None:
        """Go by what the model paints from here on, not by what it did before: it, or the faces,
        may be others.
        """
        self._best = (CollapseDetector(), CollapseDetector())
        self._next = max(FIRST, iteration)

    def is_due(self, iteration: int) -> bool:
        """Whether it is time for a look."""
        return iteration >= self._next

    @torch.inference_mode()
    def trouble(self, model: Model, iteration: int) -> str:
        """What is wrong with what the model paints; empty when all is well, or when it is too young
        to tell.
        """
        if iteration < EARLIEST:
            return ""
        if self.is_due(iteration):
            self._next = max(2 * self._next, iteration + 1)
        sides = [_shown(store, model.resolution) for store in self._stores]
        device = next(model.parameters()).device
        made = model.reconstruct(*(to_tensor(faces, device) for faces, _ in sides))
        for side, pair, best, (true, mattes) in zip(
            ("src", "dst"), ("ss", "dd"), self._best, sides, strict=True
        ):
            faces, masks = (to_numpy(each) for each in made[pair])
            if fallen := best.check(measure_outputs(faces, masks, true, mattes), iteration):
                return f"the model has collapsed ({side}: {fallen})"
        return ""


def _shown(store: FaceStore, size: int) -> tuple[Floats, Floats]:
    """Faces spread over those that are learnt, and their masks: of both sides as many, as some
    models want it.
    """
    rows = store.learnt
    return store.upright(rows[np.linspace(0, len(rows) - 1, FACES).round().astype(int)], size)
