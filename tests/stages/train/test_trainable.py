"""A model that learns keeps what its optimizers remember, and only of what is still the same."""

from __future__ import annotations

import pytest
import torch
from stepper import Stepper

from understudy.nets.optim import ema, optimizers
from understudy.parts.models.base.model import Batch, Samples
from understudy.stages.saved_models.recipe import ModelRecipe
from understudy.stages.train.options import TrainOptions
from understudy.stages.train.trainable import TrainableModel, make_optimizers

SMALL = {
    "resolution": 64,
    "archi": "df",
    "ae_dims": 32,
    "e_dims": 16,
    "d_dims": 16,
    "d_mask_dims": 16,
}


def trained(settings: dict[str, object], **options: object) -> Stepper:
    """One that has learnt from one batch."""
    asked = TrainOptions.layered({"precision": "fp32", **options})
    stepper = Stepper(ModelRecipe(model="saehd", settings=settings), asked)
    side = Samples(
        *(
            torch.rand(1, 3 if part in ("input", "target") else 1, 64, 64)
            for part in Samples.__slots__
        )
    )
    stepper.step(Batch(side, side))
    return stepper


# Patches of 12 and of 16 pixels have critics of the same shapes, but of other strides.
@pytest.mark.parametrize("change", [{"gan_patch_size": 12}, {"gan_dims": 8}])
def test_a_critic_of_another_size_starts_renewed_even_where_its_tensors_fit(
    change: dict[str, int],
) -> None:
    settings = {**SMALL, "gan_power": 0.1, "gan_patch_size": 16}
    trainable = trained(settings).trainable
    before = {name: weight.clone() for name, weight in trainable.model.state_dict().items()}
    renewed = trainable.change_settings(ModelRecipe(model="saehd", settings=settings | change))
    assert set(renewed) == set(trainable.groups["critic"])
    assert all(
        torch.equal(weight, before[name]) != (name in renewed)
        for name, weight in trainable.model.state_dict().items()
    )
    memory = optimizers.state_to_arrays(trainable.optimizers, trainable.groups)
    assert memory["generator/steps"] == 1 and not any(name.startswith("critic/") for name in memory)


def test_the_mean_of_the_weights_outlasts_a_change_of_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ema, "UPDATE_EVERY", 1)
    settings = {**SMALL, "gan_power": 0.1, "gan_patch_size": 16}
    trainable = trained(settings, ema=0.9).trainable
    assert trainable.ema is not None
    before = {name: weight.clone() for name, weight in trainable.ema.weights.items()}
    renewed = trainable.change_settings(
        ModelRecipe(model="saehd", settings=settings | {"gan_dims": 8})
    )
    now = dict(trainable.model.named_parameters())
    assert any(not torch.equal(before[name], now[name]) for name in now if name not in renewed)
    for name, weight in trainable.ema.weights.items():
        assert torch.equal(weight, now[name] if name in renewed else before[name])


def test_a_model_averages_as_its_own_way_is_unless_told_otherwise() -> None:
    def decay(model: str, **options: object) -> float:
        recipe = ModelRecipe(model=model, settings=SMALL if model == "saehd" else {})
        trainable = TrainableModel(recipe, TrainOptions(**options), torch.device("cpu"))
        return trainable.ema.decay if trainable.ema else 0

    assert decay("tiny") == 0.998 and decay("saehd") == 0
    assert decay("tiny", ema=0) == 0 and decay("saehd", ema=0.99) == 0.99


def test_quick96_always_takes_a_random_part_of_each_step() -> None:
    made = {}
    for name, options in (
        ("quick96", {}),
        ("asked", {"lr_dropout": True}),
        ("other", {"optimizer": "adam"}),
    ):
        recipe = ModelRecipe(model="quick96", settings={})
        with torch.device("meta"):
            groups = recipe.model_options.build().parameter_groups()
        made[name] = make_optimizers(
            recipe, TrainOptions.layered({"model": "quick96", **options}), groups
        )["generator"]
    assert (made["quick96"].lr_dropout, made["quick96"].cosine) == (True, False)
    assert (made["asked"].lr_dropout, made["asked"].cosine) == (True, True)
    assert not hasattr(made["other"], "dropping")
