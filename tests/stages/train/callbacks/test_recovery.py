"""Runs that go wrong, and what is left of them."""

from __future__ import annotations

import errno
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from understudy.errors import Busy, CannotWrite, DeviceLost, Diverged
from understudy.io import file_list
from understudy.io.model_files import checkpoint
from understudy.parts.models.base.model import Batch
from understudy.stages.events import Event, Finished, Progress, Warned
from understudy.stages.saved_models.recipe import ModelRecipe
from understudy.stages.train import device_errors, loop
from understudy.stages.train.callbacks import collapse_check, previews
from understudy.stages.train.callbacks import recovery as recovery_module
from understudy.stages.train.callbacks.base import Restore
from understudy.stages.train.callbacks.checkpoint_writer import CheckpointWriter
from understudy.stages.train.callbacks.collapse_check import CollapseCheck
from understudy.stages.train.callbacks.compile_tuner import CompileTuner
from understudy.stages.train.callbacks.loss_log import LossLog
from understudy.stages.train.callbacks.recovery import Recovery
from understudy.stages.train.command import train
from understudy.stages.train.options import TrainOptions
from understudy.stages.train.state import TrainState
from understudy.stages.train.state_dict import restore, take_snapshot
from understudy.stages.train.train_step import Losses, train_step
from understudy.stages.train.trainable import TrainableModel

SMALL = {
    "model": "tiny",
    "tiny": {"resolution": 64},
    "batch": 1,
    "device": "cpu",
    "precision": "fp32",
}
SAEHD = {
    "resolution": 64,
    "archi": "liae-ud",
    "ae_dims": 32,
    "e_dims": 16,
    "d_dims": 16,
    "d_mask_dims": 16,
}
HOLD = "import sys, time; from pathlib import Path; from understudy.stages.project import Project\n"
HOLD += (
    "with Project.load(Path(sys.argv[1])).lock('models/tiny'): print(flush=True); time.sleep(60)"
)

pytestmark = pytest.mark.usefixtures("small_models")

Make = Callable[..., Path]


def done(show: Path, **options: object) -> list[Event]:
    return list(train(show, TrainOptions.layered({**SMALL, **options})))


def warned(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Warned)]


def saved(show: Path, name: str = "tiny") -> int:
    return checkpoint.load_intact(show / "models" / name / "checkpoints")[0][0].iteration


def test_saehd_that_dies_at_once_starts_over_with_smaller_steps(show: Path) -> None:
    flags = {
        "model": "saehd",
        "saehd": SAEHD,
        "lr": 1e-3,
        "iterations": 12,
        "batch": 1,
        "device": "cpu",
        "precision": "fp32",
    }
    events = list(train(show, TrainOptions.layered(flags)))
    (told,) = warned(events)
    assert "collapsed" in told and "Back to 0" in told and "0.0005" in told
    finished = events[-1]
    assert isinstance(finished, Finished) and finished.summary["iteration"] == 12
    assert finished.summary["losses"]["src"] < 5


def test_a_collapse_later_on_leads_back_to_the_last_good_checkpoint(
    show: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collapse_check, "EARLIEST", 0)
    done(show, iterations=3)
    steps: list[int] = []

    def dying(state: TrainState, batch: Batch, tuner: CompileTuner) -> tuple[TrainState, Losses]:
        steps.append(state.iteration)
        if len(steps) == 2:
            monkeypatch.setattr(
                type(state.model), "reconstruct", black(type(state.model).reconstruct)
            )
        return train_step(state, batch, tuner)

    def black(
        real: Callable[..., dict[str, tuple[torch.Tensor, torch.Tensor]]],
    ) -> Callable[..., object]:
        def once(model: torch.nn.Module, *faces: torch.Tensor) -> object:
            monkeypatch.setattr(type(model), "reconstruct", real)
            return {name: (0 * face, mask) for name, (face, mask) in real(model, *faces).items()}

        return once

    monkeypatch.setattr(loop, "train_step", dying)
    events = done(show, iterations=6)
    (told,) = warned(events)
    assert "black" in told and "Back to 3" in told and saved(show) == 6
    assert checkpoint.load_intact(show / "models/tiny/checkpoints")[0][0].state["slowed"] == 0.5


def test_a_model_that_collapses_again_and_again_ends_and_keeps_what_was_good(
    show: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery_module, "EARLIEST", 0)
    done(show, iterations=3)
    before = saved(show)
    monkeypatch.setattr(CollapseCheck, "find_trouble", lambda *_: "the model has collapsed (test)")
    with pytest.raises(Diverged, match=r"5th time.*is kept"):
        done(show, iterations=6)
    assert saved(show) == before


def test_setbacks_count_until_a_run_gets_past_where_it_broke(show: Path) -> None:
    options, cpu = TrainOptions.layered(SMALL), torch.device("cpu")
    recipe, folder = ModelRecipe(settings={"resolution": 64}), show / "models/tiny"
    state = TrainState(options, TrainableModel(recipe, options, cpu))
    folder.mkdir(parents=True)

    def save(iteration: int) -> TrainState:
        at = replace(state, iteration=iteration)
        for callback in (recovery, writer):
            list(callback.on_save(at, take_snapshot(at, {"recent": []}), ""))
        return at

    def go_back(at: TrainState) -> TrainState:
        actions = recovery.on_trouble(at, "bad")
        while not isinstance(request := next(actions), Restore):
            pass
        assert request.saved is not None and request.lr_scale is not None
        at = replace(restore(at, request.saved)[0], lr_scale=request.lr_scale)
        assert "Back to 300" in actions.send(at).text  # type: ignore[union-attr]
        return at

    with CheckpointWriter(folder) as writer:
        recovery = Recovery(writer, LossLog(folder / "history.jsonl"))
        for iteration in (100, 200, 300):
            save(iteration)
        state = go_back(replace(state, iteration=350))
        assert (state.iteration, recovery.setbacks, state.lr_scale) == (300, 1, 0.5)
        state = go_back(save(340))
        assert (state.iteration, recovery.setbacks, state.lr_scale) == (300, 2, 0.125)
        assert [each.iteration for each in checkpoint.load_intact(folder / "checkpoints")[0]] == [
            300,
            200,
        ]
        save(360)
        assert recovery.setbacks == 0


def test_what_was_saved_before_the_first_look_may_have_been_dying(
    show: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(show, iterations=3)
    trouble = iter(["the model has collapsed (test)"] * 2)
    monkeypatch.setattr(CollapseCheck, "find_trouble", lambda *_: next(trouble, ""))
    first, second = warned(done(show, iterations=6))
    assert "Back to 3" in first and "Back to 0" in second and saved(show) == 6


def test_a_full_disk_ends_the_run_in_words_and_the_next_goes_on(
    show: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(show, iterations=2)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "_fill", full)
        with pytest.raises(CannotWrite, match="Free some space"):
            done(show, iterations=4)
    assert saved(show) == 2
    done(show, iterations=4)
    assert saved(show) == 4


def test_a_device_that_falls_out_is_told_from_other_errors(
    show: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(show, iterations=2)

    def failing(*_: object) -> None:
        raise RuntimeError("CUDA error: device is lost\nmore of it")

    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_step", failing)
        with pytest.raises(RuntimeError, match="CUDA error"):
            done(show, iterations=4)
        patch.setattr(device_errors, "is_device_alive", lambda device: False)
        with pytest.raises(
            DeviceLost, match=r"device is lost\. What was learnt until iteration 2 is saved"
        ):
            done(show, iterations=4)
    assert device_errors.is_device_alive(torch.device("cpu")) and saved(show) == 2


def test_a_clock_that_jumps_changes_neither_minutes_nor_rates(
    show: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, steps = time.time, iter([0, 86_400, -86_400, 90_000_000] * 10_000)
    monkeypatch.setattr(loop, "REPORT_SECONDS", 0)
    monkeypatch.setattr(time, "time", lambda: now() + next(steps))
    events = done(show, iterations=6, backup_iterations=2)
    finished = events[-1]
    assert isinstance(finished, Finished) and 0 <= finished.summary["minutes"] < 5
    assert all(0 < event.values["it/s"] < 1e5 for event in events if isinstance(event, Progress))
    assert len(list((show / "models/tiny/backups").iterdir())) == 3


def test_hours_of_learning_make_backups_across_runs(
    show: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, ticks = time.monotonic, iter(range(0, 10**9, 600))
    monkeypatch.setattr(loop, "REPORT_SECONDS", 0)
    monkeypatch.setattr(loop.time, "monotonic", lambda: real() + next(ticks))
    done(show, iterations=2, backup_hours=0.5)
    done(show, iterations=8, backup_hours=0.5)
    assert len(list((show / "models/tiny/backups").iterdir())) >= 2


def test_a_second_trainer_is_refused_until_the_first_is_gone_even_if_it_was_killed(
    show: Path,
) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(show)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline()
        with pytest.raises(Busy, match="another run is working on models/tiny"):
            done(show, iterations=1)
        other.kill()
        other.wait()
        assert isinstance(done(show, iterations=1)[-1], Finished)


def test_previews_of_earlier_iterations_are_thinned_out_evenly(tmp_path: Path) -> None:
    folder = tmp_path / "previews"
    folder.mkdir()
    for iteration in range(10, 1000, 10):
        for page in ("", "-masked"):
            file_list.add(folder, {f"{iteration:09d}{page}.png"})
            (folder / f"{iteration:09d}{page}.png").touch()
        previews.thin_out(tmp_path, 10)
    (folder / "000000005-holiday.png").touch()
    (folder / "loss.svg").touch()
    kept = sorted(int(path.stem) for path in folder.glob("*.png") if path.stem.isdigit())
    assert len(kept) == 10 and kept[0] == 10 and kept[-1] == 990 and max(np.diff(kept)) <= 320
    previews.thin_out(tmp_path, 1)
    assert {path.name for path in folder.iterdir()} == {
        "000000990.png",
        "000000990-masked.png",
        "000000005-holiday.png",
        "loss.svg",
        "understudy-files.txt",
    }
