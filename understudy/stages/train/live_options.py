"""What an order to change options does to a run that goes on."""

from __future__ import annotations

from understudy.errors import BadOption
from understudy.stages.events import Change
from understudy.stages.saved_models.recipe import ModelRecipe, change_settings
from understudy.stages.train.options import TrainOptions
from understudy.stages.train.resolve import refuse_other_models
from understudy.stages.train.resume import refuse_powers


def taken(
    order: Change, options: TrainOptions, recipe: ModelRecipe, name: str
) -> tuple[TrainOptions, ModelRecipe, list[str]]:
    """Options and recipe of the model `name` as the order wants them, and what changes in the
    recipe, in words.

    Raises BadOption for values that are wrong, and for what may not change while the model learns.
    """
    wanted = TrainOptions.layered(options.set_values(), order.options, where="train")
    refuse_other_models(TrainOptions.layered(order.options), recipe, name)
    fixed = sorted(set(options.changed_in(wanted)) - TrainOptions.live_names())
    if fixed:
        raise BadOption(
            f"train: {', '.join(fixed)} cannot change while the model learns. Stop it, set it,"
            " start again."
        )
    recipe, changes = change_settings(recipe, wanted.settings_of(recipe.model), name)
    if wanted.pretrain:
        refuse_powers(recipe)
    return wanted, recipe, changes
