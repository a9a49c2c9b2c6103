"""The last phase of a run that ends by itself: once all else has come to rest it learns on against
a critic, for fine detail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from understudy.core.training.score import score_curve as scored
from understudy.errors import BadOption, BadProject
from understudy.io.model_files import backups, checkpoint
from understudy.stages.saved_models.recipe import (
    BACKUPS,
    CHECKPOINTS,
    ModelRecipe,
    change_settings,
    write_recipe,
)
from understudy.stages.train.learner import Learner
from understudy.stages.train.options import TrainOptions
from understudy.stages.train.schedule import CRITIC, PLANNED

# How much the critic asks for, and why there is a backup of the model as it was
# before.
POWER: Final = 0.1
BEFORE: Final = "gan"
# So many times the score before it is more than fine detail is worth; told by so many measurements
# of each side at most.
WORST: Final = 1.1
_LAST: Final = 3

Rows = Sequence[Mapping[str, Any]]


def refuse_without(options: TrainOptions, recipe: ModelRecipe) -> None:
    """Raises BadOption when a critic is waited for that the model does not have, or that may not be
    there while it pretrains.
    """
    if options.until == "gan" and options.pretrain:
        raise BadOption("until: gan: not while a model pretrains. Take --until finish.")
    if options.until == "gan" and not type(recipe.model_options).has_critic():
        raise BadOption(
            f"until: {recipe.model} has no critic, so there is no such phase. Take --until finish."
        )


def is_due(options: TrainOptions, recipe: ModelRecipe, iteration: int, rows: Rows) -> bool:
    """Whether the critic comes now, once: where a finish that the run began by itself is over.
    rows: of the history.
    """
    if options.until != "gan" or recipe.settings[_setting(recipe)]:
        return False
    ends = [(key, row[key]) for row in rows for key in (PLANNED, CRITIC) if key in row]
    # With the end of its time written down and no critic there, the run was killed in between.
    return bool(ends) and (ends[-1][0] == CRITIC or (not _begun(rows) and iteration >= ends[-1][1]))


def harm(rows: Rows) -> float:
    """By what share the score on held-out faces has become worse under the critic; 0 where that is
    bearable or not known yet.
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
    return worse - 1 if worse > WORST else 0.0


def with_critic(recipe: ModelRecipe, name: str) -> tuple[ModelRecipe, list[str]]:
    """The recipe with a critic at work, and what changes, in words."""
    return change_settings(recipe, {_setting(recipe): POWER}, name)


def undo(folder: Path, learner: Learner) -> None:
    """Make the model what it was before the critic came, on disk too. Raises BadProject where that
    is damaged or gone.
    """
    kept = [each for each in backups.list_backups(folder / BACKUPS) if each.why == BEFORE]
    if not kept:
        raise BadProject(
            f"{folder / BACKUPS}: the backup from before the critic is gone. Set"
            f" {_setting(learner.recipe)} to 0 and train on."
        )
    saved = checkpoint.copy_as_current(folder / CHECKPOINTS, kept[-1].folder)
    recipe, _ = change_settings(learner.recipe, {_setting(learner.recipe): 0}, folder.name)
    learner.change(recipe)
    learner.restore(saved)
    write_recipe(folder, recipe)


def _setting(recipe: ModelRecipe) -> str:
    """The name of the setting that says how much the critic counts."""
    name = type(recipe.model_options).gan_setting
    assert name is not None
    return name


def _begun(rows: Rows) -> int:
    """The iteration from which on there has been a critic; 0 where there is none."""
    return next((row["iteration"] for row in reversed(rows) if CRITIC in row), 0)
