"""What time given in minutes buys is told early, and again where the pace changes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from understudy.stages.events import Event, Note, Warned
from understudy.stages.train.callbacks.pace import Pace


def run(rates: list[tuple[float, float]], minutes: float | None, needed: int | None) -> list[Event]:
    """What is told in a run of these (seconds, iterations a second), with a report each second."""
    pace, told = Pace("tiny"), []
    at = {"seconds": 0.0, "iteration": 0.0}
    for length, rate in rates:
        for _ in range(round(length)):
            at = {"seconds": at["seconds"] + 1, "iteration": at["iteration"] + rate}
            state: Any = SimpleNamespace(
                options=SimpleNamespace(minutes=minutes),
                seconds=at["seconds"],
                iteration=round(at["iteration"]),
                recipe=SimpleNamespace(model="tiny"),
                trainable=SimpleNamespace(model_options=SimpleNamespace(likeness=needed)),
            )
            told += list(pace.on_report(state, ()))
    return told


def test_too_little_time_is_told_with_how_much_would_do() -> None:
    (event,) = run([(299, 1.0)], 5, 1500)
    assert isinstance(event, Warned)
    assert event.text == (
        "tiny: about 300 iterations in 5 minutes on this machine; a likeness needs about 1500. Give"
        " it 25 (--minutes 25), or train where nothing else runs."
    )


def test_it_is_told_within_the_first_iterations_of_a_slow_machine() -> None:
    (event,) = run([(12, 0.4)], 0.5, 1000)
    assert isinstance(event, Warned) and "about 15 iterations in 0.5 minutes" in event.text


@pytest.mark.parametrize(
    ("needed", "end"),
    [
        (1000, "; a likeness needs about 1000."),
        (None, ". How many tiny needs for a likeness was not measured."),
    ],
)
def test_time_enough_or_nobody_knows(needed: int | None, end: str) -> None:
    (event,) = run([(60, 6.0)], 5, needed)
    assert isinstance(event, Note)
    assert event.text == f"tiny: about 1800 iterations in 5 minutes on this machine{end}"


def test_a_machine_that_gets_busy_or_free_is_told_again_and_one_that_wavers_is_not() -> None:
    first, slower, faster = run([(60, 4.0), (30, 3.0), (30, 1.0), (60, 4.0)], 5, 1000)
    assert isinstance(first, Note) and "about 1200 iterations" in first.text
    assert isinstance(slower, Warned) and "tiny: slower now, " in slower.text
    assert "faster now" in faster.text


def test_where_no_time_is_given_nothing_is_told() -> None:
    assert run([(60, 4.0)], None, 1000) == []
