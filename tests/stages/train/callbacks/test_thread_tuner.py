"""As many threads compute as learn fastest, whatever else runs, and the number that was there
before is there afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from understudy.stages.events import Note
from understudy.stages.train.callbacks import thread_tuner
from understudy.stages.train.callbacks.thread_tuner import (
    PAUSE,
    TIMED,
    WARMUP,
    ThreadTuner,
    thread_counts,
)
from understudy.stages.train.command import train
from understudy.stages.train.options import TrainOptions

TRIAL = WARMUP + TIMED
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def four() -> Iterator[None]:
    """Four threads, on any machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def messages(tuner: ThreadTuner) -> list[object]:
    """What the tuner tells at a report."""
    return list(tuner.on_report(None, ()))  # type: ignore[arg-type]


def used(chosen: ThreadTuner, taking: dict[int, float], iterations: int) -> list[int]:
    """With how many threads each of so many iterations computes, where an iteration takes so long
    with each number.
    """
    found: list[int] = []
    for _ in range(iterations):
        found.append(torch.get_num_threads())
        chosen.record(taking[found[-1]])
    return found


@pytest.mark.parametrize(
    ("taking", "best"),
    [
        ({4: 1.0, 2: 2.0, 1: 4.0}, 4),
        ({4: 4.0, 2: 2.0, 1: 3.0}, 2),
        ({4: 9.0, 2: 4.0, 1: 1.0}, 1),
        # Within what chance does, and beyond a hill.
        ({4: 1.0, 2: 0.95, 1: 0.1}, 4),
    ],
)
def test_the_fastest_number_stays(taking: dict[int, float], best: int) -> None:
    with ThreadTuner((4, 2, 1)) as chosen:
        used(chosen, taking, 4 * TRIAL)
        *_, last = used(chosen, taking, 1)
        notes = messages(chosen)
    assert last == best and torch.get_num_threads() == 4
    assert len(notes) == (4, 2, 1).index(best)
    if notes:
        assert isinstance(notes[-1], Note)
        assert f"an iteration takes {1e3 * taking[best]:.0f} ms, with" in notes[-1].text
    assert not messages(chosen)


def test_it_follows_other_work_that_comes_and_goes() -> None:
    alone, beside = {2: 1.0, 1: 1.5}, {2: 4.0, 1: 1.6}
    with ThreadTuner((2, 1)) as chosen:
        assert used(chosen, alone, 3 * TRIAL)[-1] == 2
        assert used(chosen, beside, 2 * PAUSE * TRIAL)[-1] == 1
        # The last trial took long, so the next is longer off.
        assert used(chosen, alone, 6 * PAUSE * TRIAL)[-1] == 2
        assert [note.text for note in messages(chosen) if isinstance(note, Note)] == [
            "1 thread of the processor trains from here on, in place of 2: an iteration takes"
            " 1600 ms, with 2 it took 4000 ms.",
            "2 threads of the processor train from here on, in place of 1: an iteration takes"
            " 1000 ms, with 1 it took 1500 ms.",
        ]


def test_trials_take_a_small_share_of_the_time() -> None:
    taking = {4: 1.0, 2: 3.0, 1: 9.0}
    with ThreadTuner((4, 2, 1)) as chosen:
        counts = used(chosen, taking, 1000)
    assert set(counts) == {4, 2}
    # Of the time that it would have taken without.
    assert sum(taking[count] for count in counts) < 1.06 * 1000


@pytest.mark.parametrize("iterations", [TRIAL, 2 * TRIAL, 4 * TRIAL, 40 * TRIAL])
def test_a_trial_that_gains_nothing_takes_two_iterations(iterations: int) -> None:
    taking = {4: 1.0, 2: 1.8, 1: 3.6}
    with ThreadTuner((4, 2, 1)) as chosen:
        counts = used(chosen, taking, iterations)
    assert counts[:20].count(2) == (2 if iterations > TRIAL else 0)
    assert sum(taking[count] for count in counts) <= 1.05 * iterations + 2 * (1.8 - 1)


def test_one_slow_iteration_does_not_undo_what_a_trial_found() -> None:
    with ThreadTuner((2, 1)) as chosen:
        used(chosen, {2: 2.0}, TRIAL)
        for seconds in (1.0, 1.0, 1.0, 1.0, 3.0):
            assert torch.get_num_threads() == 1
            chosen.record(seconds)
        assert torch.get_num_threads() == 1 and len(messages(chosen)) == 1


def test_there_is_no_trial_where_the_number_is_asked_for_or_must_not_change() -> None:
    assert thread_counts(TrainOptions(), CPU, ranks=1) == (4, 2, 1)
    assert thread_counts(TrainOptions(threads=3), CPU, ranks=1) == (3,)
    assert thread_counts(TrainOptions(), CPU, ranks=2) == (4,)
    assert thread_counts(TrainOptions(compile="on"), CPU, ranks=1) == (4,)
    assert thread_counts(TrainOptions(), torch.device("cuda"), ranks=1) == (4,)
    with ThreadTuner((3,)) as chosen:
        assert used(chosen, {3: 1.0}, 100) == [3] * 100 and not messages(chosen)


@pytest.mark.usefixtures("small_models")
def test_a_run_tells_what_it_found_and_puts_the_number_back(
    show: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whatever is tried counts as faster.
    monkeypatch.setattr(thread_tuner, "GAIN", 1000)
    torch.set_num_threads(2)
    settings = {"tiny": {"resolution": 64}, "batch": 1, "device": "cpu", "precision": "fp32"}
    used: list[int] = []
    for event in train(show, TrainOptions.layered({**settings, "iterations": 2 * TRIAL + 2})):
        used.append(torch.get_num_threads())
        if isinstance(event, Note) and "of the processor" in event.text:
            assert event.text.startswith("1 thread ")
            break
    else:
        pytest.fail("nothing was told of threads")
    assert used[-1] == 1
    used.clear()
    for _ in train(show, TrainOptions.layered({**settings, "iterations": 4 * TRIAL, "threads": 3})):
        used.append(torch.get_num_threads())
    assert 3 in used and 1 not in used and torch.get_num_threads() == 2


def test_an_error_leaves_the_number_as_it_was() -> None:
    with pytest.raises(ZeroDivisionError), ThreadTuner((2, 1)):
        assert torch.get_num_threads() == 2
        raise ZeroDivisionError
    assert torch.get_num_threads() == 4
