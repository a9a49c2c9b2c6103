"""The last phase of a run that ends by itself: learning against a critic, as long as that does not
make faces worse.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.errors import BadOption
from understudy.io.model_files import backups, checkpoint, history
from understudy.stages.events import Event, Finished, Note, Progress, Stop, Warned
from understudy.stages.project import Project
from understudy.stages.saved_models.recipe import read_recipe
from understudy.stages.train import auto, loop, schedule
from understudy.stages.train.callbacks.evaluator import Evaluator
from understudy.stages.train.command import train
from understudy.stages.train.evaluation.validation import Validation
from understudy.stages.train.options import TrainOptions

pytestmark = pytest.mark.usefixtures("small_models")

SMALL = {
    "resolution": 64,
    "archi": "df",
    "ae_dims": 32,
    "e_dims": 16,
    "d_dims": 16,
    "d_mask_dims": 16,
}
FINISH, END = 10, 13


@pytest.fixture
def known(make_show: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A show of which every model plateaus at iteration 6, so that its finish ends at 10 and the
    critic at 13; all is measured.
    """
    plateaus = property(lambda evaluator: evaluator._measured_at == 6)
    monkeypatch.setattr(Evaluator, "has_plateaued", plateaus)
    monkeypatch.setattr(Validation, "is_due", lambda validation, learnt: True)
    monkeypatch.setattr(loop, "REPORT_SECONDS", 0)
    return make_show(tmp_path / "show", 40)


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """scored(late): from now on a model without a critic scores 1, and one with a critic `late`."""

    def set_to(late: float) -> None:
        def measure(self: Validation, model: object) -> dict[str, float]:
            self.latest = {"score": late if model.critics else 1.0}  # type: ignore[attr-defined]
            return self.latest

        monkeypatch.setattr(Validation, "measure", measure)

    return set_to


def run(show: Path, **options: object) -> list[Event]:
    asked = {
        "model": "saehd",
        "saehd": SMALL,
        "batch": 1,
        "device": "cpu",
        "precision": "fp32",
        "until": "gan",
        "preview_minutes": 0,
    }
    return list(train(show, TrainOptions.layered({**asked, **options})))


def told(show: Path) -> list[dict[str, object]]:
    return history.read(show / "models/saehd/history.jsonl")


def newest(show: Path) -> checkpoint.Checkpoint:
    return checkpoint.load_intact(show / "models/saehd/checkpoints")[0][0]


def before(show: Path) -> backups.Backup:
    (found,) = [
        each for each in backups.list_backups(show / "models/saehd/backups") if each.why == "gan"
    ]
    return found


def test_after_the_finish_a_critic_asks_for_fine_detail(
    known: Path, scored: Callable[[float], None]
) -> None:
    scored(1.05)
    events = run(known)
    finished = events[-1]
    assert isinstance(finished, Finished) and (
        finished.summary["iteration"],
        finished.summary["ended"],
    ) == (END, "iterations")
    assert "gan" in finished.summary["losses"] and finished.summary["losses"]["critic"] > 0
    assert (
        sum("learns against a critic" in event.text for event in events if isinstance(event, Note))
        == 1
    )
    assert read_recipe(known / "models/saehd").settings["gan_power"] == 0.1
    assert before(known).iteration == FINISH and any(
        "critic" in name for name in newest(known).arrays("weights")
    )
    # That was all of it.
    assert run(known)[-1].summary["iteration"] == END  # type: ignore[union-attr]


def test_a_critic_that_makes_faces_worse_goes_and_all_is_as_it_was(
    known: Path, scored: Callable[[float], None]
) -> None:
    scored(1.2)
    events = run(known)
    assert any("20% worse" in event.text for event in events if isinstance(event, Warned))
    finished = events[-1]
    assert isinstance(finished, Finished) and finished.summary["iteration"] == FINISH
    assert read_recipe(known / "models/saehd").settings["gan_power"] == 0
    ours, theirs = (
        newest(known).arrays("weights"),
        checkpoint.Checkpoint(before(known).folder, FINISH, {}).arrays("weights"),
    )
    assert ours.keys() == theirs.keys() and all(
        np.array_equal(ours[name], theirs[name]) for name in ours
    )
    assert any("back from" in str(row.get("setback")) for row in told(known))
    # It does not come again.
    again = run(known)[-1]
    assert isinstance(again, Finished) and again.summary["iteration"] == FINISH
    assert read_recipe(known / "models/saehd").settings["gan_power"] == 0


def test_a_run_that_is_stopped_under_the_critic_ends_where_it_would_have(
    known: Path, scored: Callable[[float], None]
) -> None:
    scored(1.0)
    asked = {
        "model": "saehd",
        "saehd": SMALL,
        "batch": 1,
        "device": "cpu",
        "until": "gan",
        "preview_minutes": 0,
    }
    going = train(known, TrainOptions.layered(asked))
    while not (isinstance(event := next(going), Progress) and event.done == FINISH + 1):
        pass
    stopped = [going.send(Stop()), *going][-1]
    assert isinstance(stopped, Finished) and stopped.summary["iteration"] == FINISH + 1
    assert run(known)[-1].summary["iteration"] == END  # type: ignore[union-attr]
    assert (
        len([row for row in told(known) if schedule.GAN_UNTIL in row]) == 1
        and before(known).iteration == FINISH
    )


def test_a_run_that_was_killed_while_the_critic_came_still_gets_one(
    known: Path, scored: Callable[[float], None]
) -> None:
    scored(1.0)
    list(run(known, until="finish"))
    assert newest(known).iteration == FINISH
    history.append(
        known / "models/saehd/history.jsonl", [{"iteration": FINISH, schedule.GAN_UNTIL: END}]
    )
    assert run(known)[-1].summary["iteration"] == END  # type: ignore[union-attr]
    assert any("critic" in name for name in newest(known).arrays("weights"))


def test_only_a_model_with_a_critic_that_has_met_its_people_can_wait_for_one(known: Path) -> None:
    with pytest.raises(BadOption, match="until: tiny has no critic"):
        run(known, model="tiny", saehd={})
    with pytest.raises(BadOption, match="not while a model pretrains"):
        run(known, pretrain=str(known / "src" / "faces"))


def test_auto_takes_the_critic_where_the_model_has_one(
    known: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, plain = Project.load(known), TrainOptions.layered({"model": "auto"})
    assert auto.resolve(project, plain).options.until == "finish"
    choice = auto.Choice("saehd", {}, 4, "a card")
    monkeypatch.setattr(auto, "choose", lambda project, device, minutes: choice)
    assert auto.resolve(project, plain).options.until == "gan"
    assert auto.resolve(project, TrainOptions(iterations=5)).options.until is None


def test_the_critics_time_is_the_second_half_of_the_finish_once_more() -> None:
    options = TrainOptions(iterations=schedule.gan_end(TrainOptions(), 1000))
    assert options.iterations == 1250
    assert math.isclose(schedule.finish_progress(options, 1000, 0), 0.5) and math.isclose(
        schedule.lr_share(options, 1250, 0), schedule.MIN_LR_SHARE
    )
