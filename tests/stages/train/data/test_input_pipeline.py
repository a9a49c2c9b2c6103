"""What the options of `train` make of the batches."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from understudy.core.training.augment import AugmentConfig
from understudy.io.faceset.faceset import Faceset
from understudy.parts.models.base.model import Batch
from understudy.parts.models.classic import H64
from understudy.stages.project import Project
from understudy.stages.saved_models.recipe import ModelRecipe
from understudy.stages.train.data import input_pipeline
from understudy.stages.train.data.face_store import load_face_store
from understudy.stages.train.options import TrainOptions
from understudy.stages.train.state import TrainState
from understudy.stages.train.trainable import TrainableModel

pytestmark = pytest.mark.usefixtures("small_models")


def fed(show: Path, finishing: bool = False, number: int = 0, **options: object) -> Batch:
    """A batch, the first if not told, where without options nothing is moved."""
    still = {"rotation": 0, "shift": 0, "scale": 0, "warp": 0, "batch": 6}
    chosen = TrainOptions.layered({**still, "iterations": 10, **options})
    trainable = TrainableModel(ModelRecipe(model="h64"), chosen, torch.device("cpu"))
    state = TrainState(chosen, trainable, iteration=9 if finishing else 0)
    src, dst = (
        load_face_store(Faceset(Project.load(show).faces(side)), "half", 64, 0.1)
        for side in ("src", "dst")
    )
    # The drawn faces all look straight on; let one in six turn away.
    src, dst = (replace(side, yaw=np.array([0, 0, 0, 0, 0, 1], np.float32)) for side in (src, dst))
    return input_pipeline.make_batches(state, src, dst).make(number)


@pytest.mark.parametrize(
    ("option", "input_changes", "target_changes"),
    [
        ({"random_hsv_power": 0.3}, True, False),
        ({"ct_mode": "rct"}, True, True),
        ({"src_scale": 0.2}, True, True),
        ({"warp": 1}, True, False),
        ({"uniform_yaw": True}, True, True),
        ({"yaw_matched": True}, True, True),
    ],
)
def test_an_option_changes_what_it_should(
    show: Path, option: dict[str, object], input_changes: bool, target_changes: bool
) -> None:
    plain, other = fed(show).src, fed(show, **option).src
    assert torch.equal(plain.target, other.target) != target_changes
    assert torch.equal(plain.input, other.input) != input_changes


def test_a_finish_bends_nothing(show: Path) -> None:
    bent, straight = fed(show, warp=1), fed(show, warp=1, finishing=True)
    assert float((bent.src.input - bent.src.target).abs().mean()) > 2 * float(
        (straight.src.input - straight.src.target).abs().mean()
    )


def test_a_model_may_ask_for_every_second_batch_unbent(
    show: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bent = fed(show, warp=1, number=2)
    monkeypatch.setattr(H64, "plain_every", 2)
    again = fed(show, warp=1, number=2)
    assert torch.equal(again.dst.target, fed(show, warp=1, number=1).dst.target) and torch.equal(
        again.dst.input, again.dst.target
    )
    assert not torch.equal(bent.dst.input, bent.dst.target)


def test_where_options_say_nothing_the_model_decides() -> None:
    own = AugmentConfig(0.1, 0.2, 0.3, warp=0.5)
    assert input_pipeline.augment_configs(TrainOptions(), own) == (own, own)
    src, dst = input_pipeline.augment_configs(
        TrainOptions(rotation=5, src_flip=True, src_scale=-0.1), own
    )
    assert src == replace(own, rotation=math.radians(5), flip=True, zoom=-0.1) and dst == replace(
        own, rotation=math.radians(5)
    )
    assert np.isclose(src.margin, max(src.margin, dst.margin))
