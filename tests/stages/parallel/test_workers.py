"""Work that is spread over processes comes back whole, whatever becomes of the workers."""

import importlib.util
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from understudy.errors import BadMedia, MissingExtra, WorkerLost
from understudy.stages.parallel.tally import Steps, Tally, run_counted
from understudy.stages.parallel.workers import map_stepwise, map_unordered


def squared(number):
    return number * number


def where(number):
    return os.getpid()


def deadly(folder, number):
    """Takes its process down at the first try of every third number."""
    mark = folder / str(number)
    if number % 3 == 0 and not mark.exists():
        mark.touch()
        os._exit(1)
    return number * number


def hopeless(number):
    os._exit(1)


def failing(number):
    raise BadMedia(f"frame {number}: broken. Mend it.")


def test_every_item_comes_back_with_its_result():
    assert sorted(map_unordered(squared, range(9), 3)) == [
        (number, number * number) for number in range(9)
    ]
    assert list(map_unordered(squared, range(3), 1)) == [(0, 0), (1, 1), (2, 4)]
    assert list(map_unordered(squared, [], 3)) == []


def test_one_worker_or_one_item_needs_no_other_process():
    assert {process for _, process in map_unordered(where, range(4), 1)} == {os.getpid()}
    assert {process for _, process in map_unordered(where, [5], 4)} == {os.getpid()}
    assert os.getpid() not in {process for _, process in map_unordered(where, range(4), 2)}


def test_a_worker_that_dies_loses_nothing(tmp_path):
    assert sorted(map_unordered(partial(deadly, tmp_path), range(7), 2)) == [
        (number, number * number) for number in range(7)
    ]
    assert len(list(tmp_path.iterdir())) == 3


def test_work_that_kills_every_worker_is_given_up(monkeypatch):
    monkeypatch.setattr("understudy.stages.parallel.workers._LOSSES", 2)
    with pytest.raises(WorkerLost, match=r"died 2 times.*--workers 1"):
        list(map_unordered(hopeless, range(2), 2))


ORPHANS = """
import os, sys
sys.path[:0] = [sys.argv[1]]
import test_workers as t
found = t.map_unordered(t.where, range(4), 2)
print(next(found)[1], flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(
    sys.platform == "win32", reason="a process of Windows does not learn that its parent is gone"
)
def test_workers_end_with_a_parent_that_was_killed():
    killed = subprocess.run(
        [sys.executable, "-c", ORPHANS, Path(__file__).parent], stdout=subprocess.PIPE, text=True
    )
    worker, deadline = int(killed.stdout), time.monotonic() + 60
    while is_alive(worker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert killed.returncode == -9 and not is_alive(worker)


class Fatal:
    """Kills the process that sends it to a worker, which is by then begun and not yet ready."""

    def __reduce__(self):
        os.kill(os.getpid(), 9)


YOUNG_ORPHANS = """
import sys
sys.path[:0] = [sys.argv[1]]
import test_workers as t
from understudy.stages.parallel import workers
workers._IDLE = 3600
next(workers.map_unordered(t.where, [t.Fatal(), t.Fatal()], 2))
"""


@pytest.mark.skipif(
    sys.platform == "win32", reason="a process of Windows does not learn that its parent is gone"
)
def test_workers_that_are_still_starting_end_with_a_parent_that_was_killed():
    # The workers hold its standard output, so this waits for all of them.
    order = [sys.executable, "-c", YOUNG_ORPHANS, Path(__file__).parent]
    assert subprocess.run(order, stdout=subprocess.PIPE, timeout=300).returncode == -9


def is_alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # Nobody may be there to clear away what is left of it.
    return (
        "(zombie)" not in Path(f"/proc/{process}/status").read_text()
        if Path(f"/proc/{process}").exists()
        else True
    )


def test_what_a_task_raises_is_raised_here():
    with pytest.raises(BadMedia, match=r"frame \d: broken"):
        list(map_unordered(failing, range(4), 2))


def test_without_ray_the_extra_is_named():
    if importlib.util.find_spec("ray") is not None:
        pytest.skip("Ray is installed")
    with pytest.raises(MissingExtra, match=r"--with farm|ray>="):
        list(map_unordered(squared, range(2), 2, "ray"))


@pytest.mark.slow
def test_ray_does_the_same():
    pytest.importorskip("ray")
    assert sorted(map_unordered(squared, range(9), 2, "ray")) == [
        (number, number * number) for number in range(9)
    ]


def counting(until: int) -> Steps[int]:
    """Takes so many steps, the last of them long."""
    for step in range(until):
        time.sleep(0.5 if step == until - 1 else 0.01)
        yield
    return until * until


@pytest.mark.parametrize(("workers", "items"), [(1, [5, 6]), (2, [5, 6, 7])])
def test_steps_of_unfinished_tasks_are_heard_of(
    workers: int, items: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("understudy.stages.parallel.workers._TICK", 0.1)
    heard = list(map_stepwise(counting, items, workers))
    assert sorted(each for each in heard if not isinstance(each, int)) == [
        (each, each * each) for each in items
    ]
    steps = [each for each in heard if isinstance(each, int)]
    assert steps and 0 < max(steps) <= sum(items)
    assert list(map_stepwise(counting, [], workers)) == []


def test_the_steps_of_a_task_whose_worker_dies_are_counted_once(tmp_path: Path) -> None:
    with Tally.temporary(2) as tally:
        for _ in range(2):
            assert run_counted(counting, tally.path, 1, 3) == 9
            assert tally.total() == 3
        tally.clear(1)
        assert tally.total() == 0
    assert not tally.path.exists() and run_counted(counting, None, 0, 3) == 9
