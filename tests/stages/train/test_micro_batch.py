"""What happens where memory is short: batches in parts, smaller batches, and a mean of the weights
beside them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stepper import Stepper

from understudy.errors import BadOption
from understudy.io import system
from understudy.io.model_files import checkpoint
from understudy.nets.device import resolve_device, tensors_to_numpy
from understudy.nets.optim import ema
from understudy.parts.models.base.model import Batch, Samples
from understudy.stages.events import Finished, Warned
from understudy.stages.saved_models.load import load_model
from understudy.stages.saved_models.recipe import ModelRecipe
from understudy.stages.train import device_errors, loop, micro_batch
from understudy.stages.train.callbacks.compile_tuner import CompileTuner
from understudy.stages.train.command import train
from understudy.stages.train.options import TrainOptions
from understudy.stages.train.state import TrainState
from understudy.stages.train.train_step import Losses, train_step

CPU = torch.device("cpu")
SMALL = {"tiny": {"resolution": 64}, "device": "cpu", "precision": "fp32"}

pytestmark = pytest.mark.usefixtures("small_models")


def batch_of(pairs: int, number: int = 0) -> Batch:
    chance = torch.Generator().manual_seed(number)
    sides = (
        [torch.rand((pairs, channels, 64, 64), generator=chance) for channels in (3, 3, 1, 1, 1)]
        for _ in range(2)
    )
    return Batch(*(Samples(*side) for side in sides))


def stepper_of(model: str = "h64", **options: object) -> Stepper:
    recipe = ModelRecipe(model=model, settings={"resolution": 64} if model == "tiny" else {})
    return Stepper(recipe, TrainOptions.layered({"precision": "fp32", **options}))


@pytest.mark.parametrize("clip", [0, 1])
def test_a_batch_learnt_in_parts_leads_to_the_same_place(clip: float) -> None:
    whole, parts = (
        stepper_of(clip=clip, optimizer="rmsprop"),
        stepper_of(clip=clip, optimizer="rmsprop", accumulate=3),
    )
    for number in range(2):
        told = [stepper.step(batch_of(4, number)) for stepper in (whole, parts)]
        assert all(
            float(told[0][name]) == pytest.approx(float(loss), rel=1e-4)
            for name, loss in told[1].items()
        )
    for one, other in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        assert float((one - other).detach().norm()) < 1e-3 * float(one.detach().norm()) + 1e-4


def test_parts_are_even_and_never_empty() -> None:
    assert [
        (len(part.dst.mask), share) for part, share in micro_batch.split_batch(batch_of(3), 2)
    ] == [(2, 2 / 3), (1, 1 / 3)]
    assert [share for _, share in micro_batch.split_batch(batch_of(2), 8)] == [0.5, 0.5]


class Short:
    """In place of `train_step`: as if memory did for so many pairs only."""

    def __init__(self, pairs: int, error: Exception) -> None:
        self.pairs, self.error = pairs, error

    def __call__(
        self, state: TrainState, batch: Batch, tuner: CompileTuner
    ) -> tuple[TrainState, Losses]:
        if len(batch.src.input) > self.pairs:
            raise self.error
        return train_step(state, batch, tuner)


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA"), MemoryError(), RuntimeError("alloc: not enough memory: you")],
)
def test_where_memory_does_not_suffice_the_batch_halves_and_stays_so(
    show: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = Short(2, error)
    monkeypatch.setattr(loop, "train_step", short)
    events = list(train(show, TrainOptions.layered({**SMALL, "batch": 8, "iterations": 2})))
    said = [event.text for event in events if isinstance(event, Warned)]
    assert len(said) == 2 and "8 pairs" in said[0] and "goes on with 2" in said[1]
    assert isinstance(events[-1], Finished) and events[-1].summary["iteration"] == 2
    (saved, *_), _ = checkpoint.load_intact(show / "models/tiny/checkpoints")
    assert saved.state["batch"] == {"asked": 8, "fits": 2}
    # The next run knows; and what is asked for anew is tried anew.
    assert not [
        each
        for each in train(show, TrainOptions.layered({**SMALL, "batch": 8, "iterations": 3}))
        if isinstance(each, Warned)
    ]
    assert [
        each
        for each in train(show, TrainOptions.layered({**SMALL, "batch": 4, "iterations": 4}))
        if isinstance(each, Warned)
    ]


def test_where_not_even_one_pair_fits_it_says_what_to_do_and_other_errors_come_through(
    show: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = Short(0, MemoryError())
    monkeypatch.setattr(loop, "train_step", short)
    with pytest.raises(BadOption, match="smaller model"):
        list(train(show, TrainOptions.layered({**SMALL, "batch": 2, "iterations": 2})))
    short.error = RuntimeError("shapes do not fit")
    with pytest.raises(RuntimeError, match="shapes"):
        list(train(show, TrainOptions.layered({**SMALL, "batch": 2, "iterations": 2})))


def test_an_error_in_a_step_leaves_no_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    stepper = stepper_of("tiny", accumulate=2)
    losses, calls = stepper.model.losses, []

    def failing(batch: Batch, group: str) -> dict[str, torch.Tensor]:
        calls.append(group)
        if len(calls) == 2:
            raise MemoryError
        return losses(batch, group)

    monkeypatch.setattr(stepper.model, "losses", failing)
    with pytest.raises(MemoryError):
        stepper.step(batch_of(2))
    assert (
        all(weight.grad is None for weight in stepper.model.parameters())
        and stepper.state.iteration == 0
    )


def test_the_mean_of_the_weights_is_kept_resumed_bit_for_bit_and_used(
    show: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ema, "UPDATE_EVERY", 2)
    asked: dict[str, Any] = {**SMALL, "batch": 2, "ema": 0.9}
    for name, ends in (("whole", [6]), ("parts", [3, 6])):
        for end in ends:
            list(
                train(
                    show,
                    TrainOptions.layered({**asked, "name": name, "iterations": end, "finish": 0}),
                )
            )
    whole, parts = (
        checkpoint.load_intact(show / "models" / name / "checkpoints")[0][0]
        for name in ("whole", "parts")
    )
    for part in ("weights", "ema"):
        one, other = whole.arrays(part), parts.arrays(part)
        assert one.keys() == other.keys() and all(
            np.array_equal(one[name], other[name]) for name in one
        )
    loaded = tensors_to_numpy(load_model(show / "models/whole", "cpu").state_dict())
    mean, last = whole.arrays("ema"), whole.arrays("weights")
    assert all(np.array_equal(loaded[name], mean[name]) for name in mean)
    assert any(not np.array_equal(loaded[name], last[name]) for name in mean)


def test_a_gpu_that_cannot_be_used_is_never_passed_over_in_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(system, "list_gpus", lambda: ["NVIDIA"])
    (event,) = device_errors.warn_unused_gpu("auto", CPU)
    assert isinstance(event, Warned) and "NVIDIA" in event.text
    assert not list(device_errors.warn_unused_gpu("cpu", CPU))
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: None)
    with pytest.raises(BadOption, match="best"):
        resolve_device("best")
    assert resolve_device("auto") == CPU
