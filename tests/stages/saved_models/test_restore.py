"""A model that goes back to a backup, and back again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from understudy.errors import BadOption, BadProject, Busy
from understudy.io.model_files import checkpoint, history
from understudy.stages.events import Backup, Event, Finished, Note, Progress, Saved, Stop
from understudy.stages.jobs import call
from understudy.stages.project import Project
from understudy.stages.train import loop
from understudy.stages.train.command import train
from understudy.stages.train.options import TrainOptions

SMALL = {
    "model": "tiny",
    "tiny": {"resolution": 64},
    "batch": 1,
    "device": "cpu",
    "precision": "fp32",
}

pytestmark = pytest.mark.usefixtures("small_models")


def done(show: Path, **options: object) -> list[Event]:
    return list(train(show, TrainOptions.layered({**SMALL, **options})))


def restored(show: Path, *backup: str) -> Finished:
    last = list(call("trained_restore")(show, "tiny", *backup))[-1]
    assert isinstance(last, Finished)
    return last


def weights(show: Path) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    return checkpoint.load_intact(show / "models/tiny/checkpoints")[0][0].arrays("weights")


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:  # type: ignore[type-arg]
    return all(np.array_equal(one[name], other[name]) for name in one)


@pytest.fixture
def backed(show: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A show whose model has learnt six iterations, with backups of the second and the fourth."""
    monkeypatch.setattr(loop, "REPORT_SECONDS", 0)
    done(show, iterations=6, backup_iterations=2, backups=2)
    return show


def test_a_restored_model_goes_on_as_it_did_the_first_time(backed: Path) -> None:
    listed = restored(backed).summary
    assert [each["iteration"] for each in listed.values()] == [6, 4]
    assert list(call("trained")(backed))[-1].summary["tiny"]["backups"] == 2  # type: ignore[union-attr]
    end = weights(backed)
    assert restored(backed, "4").summary["iteration"] == 4 and not same(end, weights(backed))
    assert (backed / "models/tiny/options.toml").is_file()
    assert all(row["iteration"] <= 4 for row in history.read(backed / "models/tiny/history.jsonl"))
    done(backed, iterations=6)
    assert same(end, weights(backed))


def test_the_state_before_a_restore_is_there_to_come_back_to(backed: Path) -> None:
    end = weights(backed)
    restored(backed, "4")
    (kept,) = [name for name, told in restored(backed).summary.items() if "delete" in told["kept"]]
    restored(backed, kept)
    assert same(end, weights(backed))


def test_mistakes_are_refused(show: Path) -> None:
    with pytest.raises(BadProject, match="no model 'tiny'"):
        restored(show)
    done(show, iterations=1)
    assert any(
        isinstance(event, Note) and "no backups" in event.text
        for event in call("trained_restore")(show, "tiny")
    )
    with pytest.raises(BadOption, match="is no backup of tiny"):
        restored(show, "12")
    with Project.load(show).lock("models/tiny"), pytest.raises(Busy):
        restored(show, "12")


def test_an_order_makes_a_backup_that_stays(show: Path) -> None:
    run = train(show, TrainOptions.layered(SMALL))
    while not isinstance(next(run), Progress):
        pass
    run.send(Backup())
    while not (isinstance(event := next(run), Saved) and event.what == "backup"):
        pass
    assert (event.path / "weights.safetensors").is_file() and "delete" in restored(show).summary[
        event.path.name
    ]["kept"]
    while not isinstance(next(run), Progress):
        pass
    assert isinstance([run.send(Stop()), *run][-1], Finished)


def test_a_copy_of_a_model_leaves_the_backups_behind(backed: Path) -> None:
    list(call("trained_copy")(backed, "tiny", "second"))
    assert (
        not (backed / "models/second/backups").exists()
        and (backed / "models/tiny/backups").is_dir()
    )
