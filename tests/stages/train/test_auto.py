"""Which model is trained when nobody says."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from understudy.io.model_files import history
from understudy.stages.events import Finished, Note, Progress, Stage, Stop
from understudy.stages.project import Project
from understudy.stages.train import auto, schedule
from understudy.stages.train.callbacks.evaluator import Evaluator
from understudy.stages.train.command import train
from understudy.stages.train.options import TrainOptions

GB = 10**9


def test_more_memory_makes_larger_faces_and_never_more_than_fits() -> None:
    found = [auto.largest_that_fits(free * GB, "full", 1000) for free in (3, 5, 8, 24)]
    sizes = [choice.settings["resolution"] for choice in found if choice]
    assert len(sizes) == 4 and sizes == sorted(sizes) and sizes[0] < sizes[-1] == 256
    for free, choice in zip((3, 5, 8, 24), found, strict=True):
        assert choice is not None
        assert (
            auto.estimate_memory(
                auto.ModelRecipe(model="saehd", settings=choice.settings), choice.pairs
            )
            < auto.MEMORY_SHARE * free * GB
        )
    assert auto.largest_that_fits(GB // 10, "full", 1000) is None


def test_the_memory_of_a_model_is_that_of_its_larger_pass_and_of_its_critic_too() -> None:
    small, large = (
        auto.estimate_memory(
            auto.ModelRecipe(model="trueface", settings={"resolution": 64, "dims": dims}), 4
        )
        for dims in (8, 16)
    )
    # Weights of generator and critic alone, and maps that are twice as deep.
    assert large > 18 * 1.4e6 and 1.5 * small < large < 4 * small


def test_faces_are_no_larger_than_the_plate_shows_them() -> None:
    choice = auto.largest_that_fits(24 * GB, "half", 140)
    assert (
        choice is not None
        and choice.settings["resolution"] == 128
        and choice.settings["face_type"] == "half"
    )
    assert "140 px" in choice.reason


def test_a_processor_gets_tiny_and_a_gpu_what_its_memory_holds(
    show: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project.load(show)
    assert auto.choose(project, torch.device("cpu")).model == "tiny"
    monkeypatch.setattr(auto, "free_bytes", lambda device: 24 * GB)
    choice = auto.choose(project, torch.device("cuda"))
    assert (choice.model, choice.settings["face_type"]) == ("saehd", "full")
    assert auto.choose(project, torch.device("cuda"), minutes=10).model == "tiny"
    monkeypatch.setattr(auto, "free_bytes", lambda device: GB // 10)
    assert auto.choose(project, torch.device("cuda")).model == "tiny"


def test_what_the_user_says_comes_first(show: Path) -> None:
    project = Project.load(show)
    for options in (
        TrainOptions(model="h64"),
        TrainOptions.layered({"model": "auto", "from_": "elsewhere"}),
    ):
        resolved = auto.resolve(project, options)
        assert resolved.options == options and not resolved.reason
    resolved = auto.resolve(
        project, TrainOptions.layered({"model": "auto", "tiny": {"resolution": 64}, "seed": 3})
    )
    found, reason = resolved.options, resolved.reason
    assert (found.model, found.tiny.resolution, found.seed) == (
        "tiny",
        64,
        3,
    ) and reason.startswith("tiny")


def test_a_show_goes_on_with_the_model_that_was_trained_last(
    show: Path, small_models: None
) -> None:
    from understudy.stages.jobs import call

    for name in ("first", "second"):
        list(call("train")(show, model="tiny", name=name, iterations=1, tiny={"resolution": 64}))
    resolved = auto.resolve(Project.load(show), TrainOptions.layered({"model": "auto"}))
    assert resolved.options.name == "second" and "trained last" in resolved.reason
    named = TrainOptions.layered({"model": "auto", "name": "first"})
    resolved = auto.resolve(Project.load(show), named)
    assert (resolved.options.model, resolved.options.name, resolved.reason) == ("tiny", "first", "")


def test_auto_in_the_project_file_goes_on_with_any_model(show: Path, small_models: None) -> None:
    """It is as good as no word on the model: what there is was built with another."""
    from understudy.stages.jobs import call

    quick = {"iterations": 1, "device": "cpu", "batch": 1}
    list(call("train")(show, model="h64", **quick))
    project = Project.load(show)
    options = {"train": {"model": "auto"}}
    replace(project, file=project.file.model_copy(update={"options": options})).save()
    finished = list(call("train")(show, **{**quick, "iterations": 2}))[-1]
    assert isinstance(finished, Finished) and finished.summary["model"] == "h64"
    finished = list(call("train")(show, **quick, name="other", from_="h64"))[-1]
    assert isinstance(finished, Finished) and finished.summary["model"] == "other"


def test_a_run_that_rests_finishes_and_one_that_was_stopped_in_the_finish_ends_where_it_would_have(
    make_show: Callable[..., Path],
    tmp_path: Path,
    small_models: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Evaluator, "has_plateaued", property(lambda self: bool(self.latest)))
    monkeypatch.setattr(Evaluator, "is_due", lambda self, state: state.iteration >= 6)
    show = make_show(tmp_path / "forty", 40)
    settings = {"tiny": {"resolution": 64}, "batch": 2, "preview_minutes": 0}
    run = train(show, TrainOptions.layered(settings))
    event = next(run)
    while not (isinstance(event, Note) and "nothing is warped any more" in event.text):
        event = next(run)
    while not isinstance(event, Progress):
        event = next(run)
    rested = event.done
    list(_stopped(run))
    finished = list(train(show, TrainOptions.layered(settings)))[-1]
    assert isinstance(finished, Finished) and finished.summary["ended"] == "iterations"
    assert 6 / 0.6 <= finished.summary["iteration"] <= math.ceil(rested / 0.6)
    plans = [
        row[schedule.FINISH_UNTIL]
        for row in history.read(show / "models/tiny/history.jsonl")
        if schedule.FINISH_UNTIL in row
    ]
    assert plans == [finished.summary["iteration"]]


def test_only_a_run_without_an_end_gets_a_finish() -> None:
    assert schedule.finish_end(TrainOptions(until="finish"), 600) == 1000
    assert schedule.finish_end(TrainOptions(until="finish", minutes=5), 600) == 0
    assert (
        schedule.finish_end(TrainOptions(until="plateau"), 600)
        == schedule.finish_end(TrainOptions(), 600)
        == 0
    )
    assert schedule.end_reason(TrainOptions(until="finish"), 600, 1, has_plateaued=True) == ""


def _stopped(run: Stage) -> Stage:
    yield run.send(Stop())
    yield from run


def test_a_run_by_the_clock_counts_as_through_only_at_its_end():
    options = TrainOptions(minutes=1)
    going_on = [
        schedule.total_iterations(options, iteration, 60 * iteration / 1405.2)
        for iteration in range(1400, 1406)
    ]
    assert all(total > at for at, total in enumerate(going_on, 1400))
    assert schedule.total_iterations(options, 1406, 60.03) == 1406
