"""Callbacks read the state and ask; only the loop writes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from understudy.stages.events import Event, Finished, Note, Order, Saved
from understudy.stages.train import run
from understudy.stages.train.callbacks.base import (
    Actions,
    Callback,
    SaveCheckpoint,
    StopTraining,
    TrainUntil,
)
from understudy.stages.train.command import train
from understudy.stages.train.options import TrainOptions
from understudy.stages.train.state import TrainState

pytestmark = pytest.mark.usefixtures("small_models")

SMALL = {"tiny": {"resolution": 64}, "batch": 1, "device": "cpu", "precision": "fp32"}


class Asking(Callback):
    """Asks for everything at its first report, and writes down what it sees."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    def on_report(self, state: TrainState, orders: Sequence[Order]) -> Actions:
        if self.seen:
            return
        state = yield SaveCheckpoint()
        self.seen.append(state.saved_iteration == state.iteration)
        state = yield TrainUntil(state.iteration + 2)
        self.seen.append(state.options.iterations == state.iteration + 2)
        with pytest.raises(FrozenInstanceError):
            state.iteration = 99  # type: ignore[misc]
        yield Note(text="asked")

    def on_end(self, state: TrainState) -> Actions:
        self.seen.append(state.end)
        if self.seen.count("iterations") == 1:
            yield TrainUntil(state.iteration + 1)

    def on_stop(self, state: TrainState) -> Actions:
        state = yield StopTraining("asked")
        self.seen.append(state.end)


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> Asking:
    callback, standard = Asking(), run._callbacks
    monkeypatch.setattr(run, "_callbacks", lambda *given: [*standard(*given), callback])
    return callback


def test_a_request_is_carried_out_before_the_callback_goes_on(show: Path, asking: Asking) -> None:
    events: list[Event] = list(train(show, TrainOptions.layered({**SMALL, "iterations": 100})))
    assert asking.seen == [True, True, "iterations", "iterations", "asked"]
    finished = events[-1]
    assert isinstance(finished, Finished) and finished.summary["ended"] == "asked"
    assert finished.summary["iteration"] < 100
    saved = [each for each in events if isinstance(each, Saved) and each.what == "checkpoint"]
    # As asked for, at the first end, and at the second.
    assert len(saved) == 3
    assert sum(isinstance(each, Note) and each.text == "asked" for each in events) == 1
