"""Brings a model back that has gone wrong: to a good checkpoint, with a lower learning rate."""

from __future__ import annotations

from understudy.errors import Diverged
from understudy.io.model_files import checkpoint
from understudy.io.model_files.checkpoint import Checkpoint
from understudy.stages.events import Warned
from understudy.stages.saved_models.recipe import CHECKPOINTS
from understudy.stages.train.callbacks.base import Actions, Callback, Restore
from understudy.stages.train.callbacks.checkpoint_writer import CheckpointWriter
from understudy.stages.train.callbacks.collapse_check import EARLIEST
from understudy.stages.train.callbacks.loss_log import LossLog
from understudy.stages.train.resume import PRETRAINED
from understudy.stages.train.state import TrainState
from understudy.stages.train.state_dict import Snapshot

# So many setbacks in a row, and nothing helps.
MAX_SETBACKS = 4


class Recovery(Callback):
    """Goes back each time to an older checkpoint, and lowers the learning rate each time by more.

    Attributes:
        setbacks: How many there were without getting past where the first of them happened.
    """

    def __init__(self, writer: CheckpointWriter, loss_log: LossLog) -> None:
        self._writer, self._loss_log, self._folder = writer, loss_log, writer.folder
        self.setbacks, self._broke_at = 0, -1

    def on_save(self, state: TrainState, snapshot: Snapshot, backup: str) -> Actions:
        if state.iteration > self._broke_at:
            self.setbacks = 0
        yield from ()

    def on_trouble(self, state: TrainState, trouble: str) -> Actions:
        """Go back. Raises Diverged when that has been in vain too often."""
        # What is under way may be the one to return to.
        yield from self._writer.flush()
        name, folder, at = self._folder.name, self._folder / CHECKPOINTS, state.iteration
        self.setbacks += 1
        self._broke_at = max(self._broke_at, at)
        if self.setbacks > MAX_SETBACKS:
            kept = " The last good checkpoint is kept." if checkpoint.peek(folder) else ""
            raise Diverged(
                f"{name}, iteration {at}: {trouble}, for the {self.setbacks}th time.{kept} Lower"
                " --lr or set --precision fp32, look for broken pictures in the facesets, or go"
                " further back with `understudy trained restore"
                f" {self._folder.parent.parent} {name}`."
            )
        saved = self._choose(checkpoint.load_intact(folder)[0], state)
        state = yield Restore(saved, lr_scale=state.lr_scale / 2**self.setbacks)
        if saved:
            checkpoint.remove_after(folder, saved.iteration)
        self._loss_log.add_row(
            {"iteration": state.iteration, "setback": f"back from {at}: {trouble}"}
        )
        back = f"Back to {state.iteration}, learning rate lowered to {state.lr:.3g}"
        yield Warned(text=f"{name}, iteration {at}: {trouble}. {back}.")

    def _choose(self, whole: list[Checkpoint], state: TrainState) -> Checkpoint | None:
        """The checkpoint to go back to, of these; None = start over.

        That is where all were in vain, were too young to be checked, and began here from nothing.
        None of them is removed then.
        """
        began_elsewhere = bool(state.recipe.origin) or (self._folder / PRETRAINED).is_dir()
        are_in_vain = (
            self.setbacks > len(whole)
            and not began_elsewhere
            and max((each.iteration for each in whole), default=0) < EARLIEST
        )
        if not whole or are_in_vain:
            return None
        return whole[min(self.setbacks, len(whole)) - 1]
