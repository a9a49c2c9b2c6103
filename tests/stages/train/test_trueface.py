"""`trueface` in a run: two parts equal one, and its learning rate falls as it learns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from understudy.errors import BadOption
from understudy.io.model_files import checkpoint
from understudy.stages.events import Event, Finished, Saved
from understudy.stages.saved_models.load import load_model
from understudy.stages.saved_models.recipe import ModelRecipe
from understudy.stages.train.command import train
from understudy.stages.train.options import TrainOptions
from understudy.stages.train.state import TrainState
from understudy.stages.train.trainable import TrainableModel

SMALL = {
    "model": "trueface",
    "trueface": {"resolution": 64, "dims": 8},
    "batch": 2,
    "device": "cpu",
    "threads": 1,
}

pytestmark = pytest.mark.usefixtures("small_models")


def done(show: Path, **options: object) -> list[Event]:
    return list(train(show, TrainOptions.layered({**SMALL, **options})))


def newest(show: Path) -> checkpoint.Checkpoint:
    return checkpoint.load_intact(show / "models/trueface/checkpoints")[0][0]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_run_in_two_parts_equals_an_unbroken_one(
    make_show: Callable[..., Path], tmp_path: Path, precision: str
) -> None:
    whole, parts = make_show(tmp_path / "whole"), make_show(tmp_path / "parts")
    events = done(whole, iterations=4, precision=precision)
    for iterations in (2, 4):
        done(parts, iterations=iterations, precision=precision)
    for part in ("weights", "optimizer", "ema"):
        one, other = newest(whole).arrays(part), newest(parts).arrays(part)
        assert one.keys() == other.keys() and all(
            np.array_equal(one[name], other[name]) for name in one
        )
    # The mean of src's codes is one of the weights, and of every batch.
    weights = newest(whole).arrays("weights")
    assert weights["net.batches"] == 4 and np.abs(weights["net.src_code"]).max() > 0
    finished = events[-1]
    assert isinstance(finished, Finished) and {"features", "gan", "critic", "penalty"} <= set(
        finished.summary["losses"]
    )
    (preview,) = [
        event.path
        for event in events
        if isinstance(event, Saved) and event.what == "preview" and "masked" not in event.path.name
    ]
    assert cv2.imread(str(preview)).std() > 5
    faces = np.random.default_rng(0).random((2, 64, 64, 3), np.float32)
    models = [load_model(show / "models/trueface", "cpu") for show in (whole, parts)]
    one, other = (model.predict(faces).image for model in models)
    assert np.array_equal(one, other)


def test_the_learning_rate_falls_from_the_start() -> None:
    recipe = ModelRecipe(model="trueface", settings=SMALL["trueface"])
    options = TrainOptions.layered({"model": "trueface", "device": "cpu"})
    trainable = TrainableModel(recipe, options, torch.device("cpu"))
    rates = [TrainState(options, trainable, iteration).lr for iteration in (0, 10_000, 90_000)]
    assert rates == pytest.approx([1e-4, 5e-5, 1e-5])


def test_its_critic_is_none_that_comes_at_the_end(show: Path) -> None:
    with pytest.raises(BadOption, match="no critic that could come in at the end"):
        done(show, until="gan")
