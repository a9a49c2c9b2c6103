"""The models of a show: listed, renamed, copied, put away."""

from __future__ import annotations

from pathlib import Path

import pytest

from understudy.errors import BadOption, BadProject, Busy
from understudy.stages.events import Event, Finished, Note, Warned
from understudy.stages.jobs import call
from understudy.stages.project import Project
from understudy.stages.saved_models.load import load_model
from understudy.stages.train.command import train
from understudy.stages.train.options import TrainOptions

pytestmark = pytest.mark.usefixtures("small_models")


@pytest.fixture
def filled(show: Path) -> Path:
    """A show with a model called first."""
    list(
        train(
            show,
            TrainOptions.layered(
                {"batch": 1, "device": "cpu", "iterations": 1, "model": "h64", "name": "first"}
            ),
        )
    )
    return show


def told(events: list[Event]) -> Finished:
    assert isinstance(events[-1], Finished)
    return events[-1]


def test_the_list_says_what_each_model_is_and_how_far(filled: Path) -> None:
    (one,) = told(list(call("trained")(filled))).summary.items()
    assert (
        one[0] == "first"
        and {"model": "h64", "light": False, "iteration": 1}.items() <= one[1].items()
    )
    (filled / "models/first/checkpoints/current").unlink()
    assert told(list(call("trained")(filled))).summary["first"]["iteration"] == 1
    (filled / "models/first/options.toml").write_text("model = 3")
    events = list(call("trained")(filled))
    assert any(isinstance(event, Warned) and "model" in event.text for event in events)
    assert told(events).summary["first"]["model"] == "h64", "its checkpoint says it, too"


def test_a_show_without_models_says_so(show: Path) -> None:
    events = list(call("trained")(show))
    assert (
        isinstance(events[0], Note)
        and "no models yet" in events[0].text
        and told(events).summary == {}
    )


def test_a_copy_can_be_used_and_leaves_the_first_alone(filled: Path) -> None:
    list(call("trained_copy")(filled, "first", "second"))
    assert set(told(list(call("trained")(filled))).summary) == {"first", "second"}
    assert load_model(filled / "models/second", "cpu").resolution == 64
    assert not list(filled.glob(".second*"))


def test_a_renamed_model_is_found_under_its_new_name_only(filled: Path) -> None:
    project = Project.load(filled)
    project.file.options["merge"] = {"model": "first"}
    project.save()
    events = list(call("trained_rename")(filled, "first", "best"))
    assert any(isinstance(event, Warned) and "[options.merge]" in event.text for event in events)
    assert set(told(list(call("trained")(filled))).summary) == {"best"}


def test_trash_keeps_everything(filled: Path) -> None:
    list(call("trained_copy")(filled, "first", "second"))
    list(call("trained_trash")(filled, "first"))
    list(call("trained_rename")(filled, "second", "first"))
    list(call("trained_trash")(filled, "first"))
    assert {each.name for each in (filled / "models_trash").iterdir()} == {"first", "first-2"}
    assert all(
        (each / "checkpoints/current").is_file() for each in (filled / "models_trash").iterdir()
    )
    assert told(list(call("trained")(filled))).summary == {}


def test_mistakes_are_refused(filled: Path) -> None:
    list(call("trained_copy")(filled, "first", "second"))
    with pytest.raises(BadProject, match="There are: first, second"):
        list(call("trained_trash")(filled, "third"))
    with pytest.raises(BadOption, match="is there already"):
        list(call("trained_rename")(filled, "first", "second"))
    with pytest.raises(BadOption, match="cannot be a folder's name"):
        list(call("trained_copy")(filled, "first", "../out"))
    with Project.load(filled).lock("models/first"), pytest.raises(Busy):
        list(call("trained_trash")(filled, "first"))
