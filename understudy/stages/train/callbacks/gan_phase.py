"""The last phase of a run that ends by itself: it learns on against a critic, for fine detail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from understudy.core.training.score import score_curve as scored
from understudy.errors import BadOption, BadProject
from understudy.io.model_files import backups, checkpoint
from understudy.stages.events import Note, Warned
from understudy.stages.saved_models.recipe import BACKUPS, CHECKPOINTS, ModelRecipe, change_settings
from understudy.stages.train.callbacks.base import (
    Actions,
    Callback,
    ChangeSettings,
    Evaluate,
    Restore,
    SaveCheckpoint,
    StopTraining,
    TrainUntil,
)
from understudy.stages.train.callbacks.checkpoint_writer import CheckpointWriter
from understudy.stages.train.callbacks.loss_log import LossLog
from understudy.stages.train.options import TrainOptions
from understudy.stages.train.schedule import FINISH_UNTIL, GAN_UNTIL, gan_end
from understudy.stages.train.state import TrainState

# How much the critic counts, and why there is a backup of the model as it was before.
POWER: Final = 0.1
BEFORE: Final = "gan"
# So many times the score before it is more than fine detail is worth; told by so many measurements
# of each side at most.
MAX_INCREASE: Final = 1.1
_LAST: Final = 3

HistoryRows = Sequence[Mapping[str, Any]]


class GanPhase(Callback):
    """Lets a run go on against a critic where its finish is over, and undoes it where it harms."""

    def __init__(self, writer: CheckpointWriter, loss_log: LossLog) -> None:
        self._writer, self._loss_log, self._folder = writer, loss_log, writer.folder

    def on_start(self, state: TrainState) -> Actions:
        yield from self.on_end(state)

    def on_end(self, state: TrainState) -> Actions:
        rows = self._loss_log.read()
        if state.end in ("", "iterations") and is_due(
            state.options, state.recipe, state.iteration, rows
        ):
            yield from self._begin(state)

    def on_evaluate(self, state: TrainState) -> Actions:
        if worse := score_increase(self._loss_log.read()):
            yield from self._undo(state, worse)

    def _begin(self, state: TrainState) -> Actions:
        """Go on against a critic, from a state that can be gone back to."""
        at = state.iteration
        yield Evaluate()
        state = yield SaveCheckpoint(BEFORE)
        yield from self._writer.flush()
        if state.iteration != at:
            # It was not fit to be saved, and has gone back.
            return
        end, name = gan_end(state.options, at), self._folder.name
        self._loss_log.add_row({"iteration": at, GAN_UNTIL: end})
        yield ChangeSettings(*change_settings(state.recipe, {_setting(state.recipe): POWER}, name))
        yield TrainUntil(end)
        yield Note(
            text=f"{name}: it learns against a critic, for fine detail, until iteration {end}."
        )

    def _undo(self, state: TrainState, worse: float) -> Actions:
        """Go back to before the critic came, on disk too, which is the end.

        Raises BadProject where that backup is damaged or gone.
        """
        yield from self._writer.flush()
        folder, at = self._folder, state.iteration
        kept = [each for each in backups.list_backups(folder / BACKUPS) if each.why == BEFORE]
        if not kept:
            raise BadProject(
                f"{folder / BACKUPS}: the backup from before the critic is gone. Set"
                f" {_setting(state.recipe)} to 0 and train on."
            )
        saved = checkpoint.copy_as_current(folder / CHECKPOINTS, kept[-1].folder)
        recipe, _ = change_settings(state.recipe, {_setting(state.recipe): 0}, folder.name)
        state = yield Restore(saved, recipe)
        back = (
            f"back from {at}: under the critic the score on held-out faces became {worse:.0%} worse"
        )
        self._loss_log.add_row(
            {"iteration": state.iteration, "setback": back, FINISH_UNTIL: state.iteration}
        )
        self._loss_log.write(state.iteration)
        yield TrainUntil(state.iteration)
        yield StopTraining("iterations")
        yield Warned(
            text=(
                f"{folder.name}: {back}. It is as it was at iteration {state.iteration}, and that"
                " is the end."
            )
        )


def validate_gan_phase(options: TrainOptions, recipe: ModelRecipe) -> None:
    """Raise BadOption where --until gan cannot be: no critic, or a model that pretrains."""
    if options.until == "gan" and options.pretrain:
        raise BadOption("until: gan: not while a model pretrains. Take --until finish.")
    if options.until == "gan" and not type(recipe.model_options).has_critic():
        raise BadOption(
            f"until: {recipe.model} has no critic that could come in at the end. Take --until"
            " finish."
        )


def is_due(options: TrainOptions, recipe: ModelRecipe, iteration: int, rows: HistoryRows) -> bool:
    """Whether the critic comes now, once: where a finish that the run began by itself is over.

    rows: of the history.
    """
    if options.until != "gan" or recipe.settings[_setting(recipe)]:
        return False
    ends = [(key, row[key]) for row in rows for key in (FINISH_UNTIL, GAN_UNTIL) if key in row]
    # With the end of its time written down and no critic there, the run was killed in between.
    return bool(ends) and (
        ends[-1][0] == GAN_UNTIL or (not _begun(rows) and iteration >= ends[-1][1])
    )


def score_increase(rows: HistoryRows) -> float:
    """By what share the score on held-out faces has become worse under the critic.

    0 where that is bearable, or not known yet.
    """
    begun = _begun(rows)
    # From its first iteration on scores count anew; those before are up to there.
    before = scored(row for row in rows if row["iteration"] <= begun and "changed" not in row)[1][
        -_LAST:
    ]
    since = scored(row for row in rows if row["iteration"] > begun)[1][-_LAST:]
    if not begun or not before or len(since) < 2:
        return 0.0
    worse = float(np.median(since) / np.median(before))
    return worse - 1 if worse > MAX_INCREASE else 0.0


def _begun(rows: HistoryRows) -> int:
    """The iteration from which on there has been a critic; 0 where there is none."""
    return next((row["iteration"] for row in reversed(rows) if GAN_UNTIL in row), 0)


def _setting(recipe: ModelRecipe) -> str:
    """The name of the setting that says how much the critic counts."""
    name = type(recipe.model_options).gan_setting
    assert name is not None
    return name
