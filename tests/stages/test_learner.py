"""A model that learns keeps what its optimizers remember, and only of what is still the same."""

from __future__ import annotations

import pytest
import torch

from understudy.nets import optim
from understudy.parts.models.contract import Batch, Samples
from understudy.stages.learner import Learner, optimizers_of
from understudy.stages.recipes import Recipe
from understudy.stages.train import TrainOptions

SMALL = {"resolution": 64, "archi": "df", "ae_dims": 32, "e_dims": 16, "d_dims": 16, "d_mask_dims": 16}


# Patches of 12 and of 16 pixels have critics of the same shapes, but of other strides.
@pytest.mark.parametrize("change", [{"gan_patch_size": 12}, {"gan_dims": 8}])
def test_a_critic_of_another_size_starts_anew_even_where_its_tensors_fit(change: dict[str, int]) -> None:
    settings = {**SMALL, "gan_power": 0.1, "gan_patch_size": 16}
    learner = Learner(Recipe(model="saehd", settings=settings), TrainOptions(precision="fp32"), torch.device("cpu"))
    side = Samples(*(torch.rand(1, 3 if part in ("input", "target") else 1, 64, 64) for part in Samples.__slots__))
    learner.step(Batch(side, side))
    before = {name: weight.clone() for name, weight in learner.model.state_dict().items()}
    anew = learner.change(Recipe(model="saehd", settings=settings | change))
    assert set(anew) == set(learner.groups["critic"])
    assert all(torch.equal(weight, before[name]) != (name in anew) for name, weight in learner.model.state_dict().items())
    memory = optim.state_arrays(learner.optimizers, learner.groups)
    assert memory["generator/steps"] == 1 and not any(name.startswith("critic/") for name in memory)


def test_quick96_always_takes_a_random_part_of_each_step() -> None:
    made = {}
    for name, options in (("quick96", {}), ("asked", {"lr_dropout": True}), ("other", {"optimizer": "adam"})):
        recipe = Recipe(model="quick96", settings={})
        with torch.device("meta"):
            groups = recipe.model_options.build().groups()
        made[name] = optimizers_of(recipe, TrainOptions.layered({"model": "quick96", **options}), groups)["generator"]
    assert (made["quick96"].dropping, made["quick96"].cosine) == (True, False)
    assert (made["asked"].dropping, made["asked"].cosine) == (True, True)
    assert not hasattr(made["other"], "dropping")
