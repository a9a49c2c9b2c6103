"""A run that is killed at any operation on files, and started again, ends like one that was not."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from survival.harness import Expectation, Faults, Runner
from survival.scenarios import SCENARIOS, Scenario

Expect = Callable[[Scenario], Expectation]

# Seconds of a run up to which it is killed at every operation.
CHEAP = 0.5
# Where it is dearer, at so many.
MANY = 25
# Seconds after which workers of a killed run are gone.
ORPHANED = 10


def check_again(runner: Runner, each: Scenario, expectation: Expectation, moment: str) -> None:
    """Run it once more: it ends well, and all is as if nothing had been."""
    again = runner.run(*each.words)
    told = f"{each.name}, {moment}: code {again.code}, {again.told[-600:]}"
    assert again.code in each.again, told
    differences = expectation.differences(runner.root, each.extra)
    assert not differences, "\n".join([told, *differences])


def kill_at(runner: Runner, each: Scenario, expectation: Expectation, number: int) -> None:
    runner.load(each.state)
    killed = runner.run(*each.words, fault="kill", at=number)
    assert killed.code == -signal.SIGKILL, killed.told
    check_again(runner, each, expectation, f"killed at {number}: {killed.operations[-1]}")


SHORT = {
    "new": 2, "cut": 2, "denoise": 1, "frames": 2, "extract": 2, "faces": 1, "train": 3,
    "merge": 3, "copy": 2, "rename": 2, "trash": 2, "restore": 3, "history": 1,
    "extract-anew": 1, "extract-restored": 1, "sort": 2, "faces-trash": 1, "faces-undo": 1,
}  # fmt: skip


@pytest.mark.parametrize("name", SHORT)
def test_a_run_killed_at_some_operation_is_made_good_by_the_next(
    name: str, runner: Runner, scenario: Callable[[str], Scenario], expect: Expect
) -> None:
    each = scenario(name)
    expectation = expect(each)
    count = len(expectation.operations)
    for number in random.Random(name).sample(range(1, count + 1), min(SHORT[name], count)):
        kill_at(runner, each, expectation, number)


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("each", SCENARIOS, ids=lambda each: each.name)
def test_killed_at_every_operation_where_that_is_cheap_and_at_many_elsewhere(
    each: Scenario, runner: Runner, expect: Expect
) -> None:
    expectation = expect(each)
    numbers = list(range(1, len(expectation.operations) + 1))
    if each.cost > CHEAP and len(numbers) > MANY:
        numbers = sorted(random.Random(each.name).sample(numbers, MANY))
    faults = Faults()
    for number in numbers:
        with faults.gathered():
            kill_at(runner, each, expectation, number)
    faults.check()
    print(f"{each.name}: {len(numbers)} kills of {len(expectation.operations)} operations")


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("each", SCENARIOS, ids=lambda each: each.name)
def test_killed_at_any_time(each: Scenario, runner: Runner, expect: Expect) -> None:
    """Between operations, too: within a write, a codec or a library that writes itself."""
    expectation, chance, faults = expect(each), random.Random(each.name), Faults()
    runner.load(each.state)
    begun = time.monotonic()
    runner.run(*each.words)
    whole = time.monotonic() - begun
    for _ in range(MANY):
        runner.load(each.state)
        moment = chance.uniform(0, whole)
        run = runner.start(*each.words)
        time.sleep(moment)
        workers = children(run.process)
        run.send(signal.SIGKILL)
        run.wait()
        with faults.gathered():
            wait_until_gone(workers)
            check_again(runner, each, expectation, f"killed after {moment:.3f} s of {whole:.3f}")
    faults.check()


@pytest.mark.slow
@pytest.mark.exhaustive
def test_a_worker_that_is_killed_changes_nothing(
    runner: Runner, scenario: Callable[[str], Scenario], expect: Expect
) -> None:
    each = scenario("extract-2")
    expectation, chance, killed = expect(each), random.Random(1), 0
    for _ in range(10):
        runner.load(each.state)
        run = runner.start(*each.words)
        deadline = time.monotonic() + 60
        while len(children(run.process)) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 4))
        for process in children(run.process)[:1]:
            os.kill(process, signal.SIGKILL)
            killed += 1
        ended = run.wait()
        assert ended.code == 0 and "Traceback" not in ended.told, ended.told
        assert not expectation.differences(runner.root, each.extra)
    assert killed


def children(process: int) -> list[int]:
    """The processes that one has started."""
    return [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/stat")
        if parent_of(path) == process
    ]


def parent_of(stat: Path) -> int | None:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return None


def wait_until_gone(processes: list[int]) -> None:
    deadline = time.monotonic() + ORPHANED
    while left := [each for each in processes if Path(f"/proc/{each}").exists()]:
        assert time.monotonic() < deadline, f"processes {left} outlive the run that started them"
        time.sleep(0.02)
