"""What keeps a model that learns from being lost: it is saved, and brought back when it goes
wrong.
"""

from __future__ import annotations

import time
from pathlib import Path

from understudy.errors import Diverged
from understudy.io.model_files import checkpoint
from understudy.io.model_files.checkpoint import Checkpoint
from understudy.stages.events import Stage, Warned
from understudy.stages.saved_models.recipe import CHECKPOINTS
from understudy.stages.train.callbacks.checkpoint_writer import Saver
from understudy.stages.train.callbacks.collapse_check import EARLIEST, Vigil
from understudy.stages.train.callbacks.loss_log import Ledger
from understudy.stages.train.learner import Learner
from understudy.stages.train.options import TrainOptions
from understudy.stages.train.resume import PRETRAINED

# So many setbacks in a row, and nothing helps.
SETBACKS = 4


class Safety:
    """Keeps one model of one run.

    saved_at: iteration of the newest checkpoint, -1 = none fits. last_save: when, by the monotonic
    clock. setbacks: without getting past where the first of them happened.
    """

    def __init__(
        self, folder: Path, learner: Learner, ledger: Ledger, saver: Saver, vigil: Vigil
    ) -> None:
        self.folder, self.learner, self.ledger, self.saver, self.vigil = (
            folder,
            learner,
            ledger,
            saver,
            vigil,
        )
        self.setbacks, self.saved_at, self._broke_at = 0, -1, -1
        self.last_save = time.monotonic()

    def begin(self) -> bool:
        """Go by what is on disk; whether that is anything."""
        whole, _ = checkpoint.load_intact(self.folder / CHECKPOINTS)
        self.saved_at = whole[0].iteration if whole else -1
        self.last_save = time.monotonic()
        self.vigil.begin(self.learner.iteration)
        return bool(whole)

    def seen(self) -> str:
        """What is wrong with what the model paints, where it is time for a look; empty when all is
        well.
        """
        learner = self.learner
        return (
            self.vigil.trouble(learner.model, learner.iteration)
            if self.vigil.is_due(learner.iteration)
            else ""
        )

    def trouble(self) -> str:
        """Why the model must not be saved as it is; empty when all is well."""
        learner = self.learner
        if not learner.is_sound():
            return "a weight is not a number"
        return self.vigil.trouble(learner.model, learner.iteration)

    def save(self, options: TrainOptions, backup: str = "") -> Stage:
        """Write the history, and begin to write a checkpoint; `backup` gives the reason for one, if
        any. Raises CannotWrite.
        """
        self.ledger.write(self.learner.iteration)
        yield from self.saver.put(self.learner.snapshot(), backup, options.backups)
        self.saved_at, self.last_save = self.learner.iteration, time.monotonic()
        if self.saved_at > self._broke_at:
            self.setbacks = 0

    def step_back(self, trouble: str, options: TrainOptions) -> Stage:
        """Return to a good checkpoint, each time to an older one, and lower the step size, each
        time by more. Raises Diverged.
        """
        # What is under way may be the one to return to.
        yield from self.saver.told(wait=True)
        self.setbacks += 1
        learner, at, folder = self.learner, self.learner.iteration, self.folder / CHECKPOINTS
        self._broke_at = max(self._broke_at, at)
        if self.setbacks > SETBACKS:
            kept = " The last good checkpoint is kept." if checkpoint.peek(folder) else ""
            raise Diverged(
                f"{self.folder.name}, iteration {at}: {trouble}, for the {self.setbacks}th"
                f" time.{kept} Lower --lr or set --precision fp32, look for broken pictures in the"
                " facesets, or go further back with `understudy trained restore`."
            )
        slowed = learner.slowed / 2**self.setbacks
        whole, _ = checkpoint.load_intact(folder)
        if whole and not self._is_better_off_without(whole):
            saved = whole[min(self.setbacks, len(whole)) - 1]
            learner.restore(saved)
            self.saved_at = saved.iteration
            checkpoint.remove_after(folder, saved.iteration)
        else:
            learner.start_over()
            self.saved_at = -1
        learner.slowed = slowed
        learner.use(options)
        self.vigil.begin(learner.iteration)
        self.ledger.forget(learner.iteration)
        self.ledger.note({"iteration": learner.iteration, "setback": f"back from {at}: {trouble}"})
        back = f"Back to {learner.iteration}, step size lowered to {learner.lr:.3g}"
        yield Warned(text=f"{self.folder.name}, iteration {at}: {trouble}. {back}.")

    def _is_better_off_without(self, whole: list[Checkpoint]) -> bool:
        """Whether to start over: all were in vain, were too young to be looked at, and began here
        from nothing. None is removed.
        """
        began_elsewhere = bool(self.learner.recipe.origin) or (self.folder / PRETRAINED).is_dir()
        return (
            self.setbacks > len(whole)
            and not began_elsewhere
            and max(each.iteration for each in whole) < EARLIEST
        )
