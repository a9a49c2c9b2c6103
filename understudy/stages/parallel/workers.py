"""The same task for many items, on processes or machines; nothing is lost with a worker."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Literal, TypeVar

import cv2

from understudy import signals
from understudy.errors import WorkerLost
from understudy.io import processes
from understudy.io.system import cpu_count
from understudy.stages.parallel.tally import Steps, Tally, run_counted

Item = TypeVar("Item")
Result = TypeVar("Result")
Engine = Literal["local", "ray"]

# An item that took so many workers down with it is to blame itself.
_LOSSES = 3
# Seconds after which processes that have nothing to do go.
_IDLE = 20
# Seconds after which a word is due of how far those are that take long.
_TICK = 0.5
# Seconds between two looks whether the parent is still there.
_LOOK = 1


def map_unordered(
    task: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int | None = None,
    engine: Engine = "local",
) -> Generator[tuple[Item, Result], None, None]:
    """Yield each item with what `task` makes of it, in whatever order they are ready.

    At most two a worker are under way. What a task raises is raised here. A worker that dies loses
    nothing: its items are done again. Closing it drops what waits.

    Args:
        task: Can travel to another process, as can items and results.
        items: What it is called with.
        workers: Processes; None = one a core. With one, or for one item, the caller's own process
            does the work.
        engine: "local" = this machine, "ray" = the Ray cluster at hand.
    """
    count = min(workers or cpu_count(), len(items))
    if engine == "ray":
        # Late, as below: most commands never need them.
        from understudy.stages.parallel.ray_backend import map_on_ray

        yield from map_on_ray(task, items, workers)
    elif count <= 1:
        for item in items:
            yield item, task(item)
    else:
        done = _map_on_processes(lambda number: partial(task, items[number]), len(items), count)
        with contextlib.closing(done):
            for number, result in filter(None, done):
                yield items[number], result


def map_stepwise(
    task: Callable[[Item], Steps[Result]],
    items: Sequence[Item],
    workers: int | None = None,
    engine: Engine = "local",
) -> Generator[int | tuple[Item, Result], None, None]:
    """As `map_unordered`, for tasks that yield after each of their steps and return a result.

    Between results comes now and then how many steps were done for those that are yet to come. From
    a cluster nothing of that is heard.
    """
    count = min(workers or cpu_count(), len(items))
    if engine == "ray":
        yield from map_unordered(partial(run_counted, task, None, 0), items, workers, engine)
    elif count <= 1:
        yield from _take_steps(task, items)
    else:
        yield from _map_counted(task, items, count)


def _map_counted(
    task: Callable[[Item], Steps[Result]], items: Sequence[Item], count: int
) -> Generator[int | tuple[Item, Result], None, None]:
    """The work on so many processes, which count their steps."""
    with Tally.temporary(len(items)) as tally:
        done = _map_on_processes(
            lambda number: partial(run_counted, task, tally.path, number, items[number]),
            len(items),
            count,
            _TICK,
        )
        with contextlib.closing(done):
            for found in done:
                if found is None:
                    yield tally.total()
                else:
                    tally.clear(found[0])
                    yield items[found[0]], found[1]


def _take_steps(
    task: Callable[[Item], Steps[Result]], items: Sequence[Item]
) -> Generator[int | tuple[Item, Result], None, None]:
    """All the work in this process."""
    told = time.monotonic()
    for item in items:
        steps, done = task(item), 0
        with contextlib.closing(steps):
            while True:
                try:
                    next(steps)
                except StopIteration as end:
                    result: Result = end.value
                    break
                done += 1
                if time.monotonic() - told > _TICK:
                    told = time.monotonic()
                    yield done
        yield item, result


def _map_on_processes(
    call: Callable[[int], Callable[[], Result]],
    total: int,
    count: int,
    tick: float | None = None,
) -> Generator[tuple[int, Result] | None, None, None]:
    """As `map_unordered`, by number; and None after each `tick` seconds in which nothing got ready.

    Args:
        call: Makes what does the work of a number, when its turn comes.
        total: How many there are.
        count: Of processes.
        tick: None = never.
    """
    from loky import get_reusable_executor

    waiting, losses = deque(range(total)), Counter[int]()
    while waiting:
        # The same processes serve the next task too, with the footage and the networks that they
        # have open. `submit` starts them, and the thread that may start others later.
        with signals.held_back():
            pool = get_reusable_executor(
                count,
                timeout=_IDLE,
                initializer=_initialize_worker,
                initargs=(os.getpid(),),
                env={**processes.python_environment(), "OMP_NUM_THREADS": "1"},
            )
        under_way: dict[Future[Result], int] = {}
        try:
            while waiting or under_way:
                # A suspect works alone: then nobody else can have been to blame, or be blamed.
                most = 1 if max(losses.values(), default=0) >= _LOSSES - 1 else 2 * count
                while waiting and len(under_way) < most:
                    number = waiting.popleft()
                    with signals.held_back():
                        under_way[pool.submit(call(number))] = number
                ready, _ = wait(under_way, timeout=tick, return_when=FIRST_COMPLETED)
                if not ready:
                    yield None
                for future in ready:
                    result = future.result()
                    losses.pop(under_way[future], None)
                    yield under_way.pop(future), result
        except BrokenProcessPool:
            # Nobody can tell whose fault it was, so each that was under way counts.
            lost = sorted(under_way.values())
            losses.update(lost)
            waiting.extendleft(reversed(lost))
            if max(losses.values()) >= _LOSSES:
                raise WorkerLost(
                    f"A worker process died {_LOSSES} times over the same work, perhaps for want of"
                    " memory. Use fewer: --workers 1."
                ) from None
        finally:
            for future in under_way:
                future.cancel()


def _initialize_worker(parent: int) -> None:
    """Set up a worker process: one thread, and it ends with its parent.

    Signals are the parent's business: it ends its workers, or they see that it is gone.

    Args:
        parent: Process id. The parent passes it: the system would name another process where the
            parent was killed before the worker has begun.
    """
    signals.ignore()
    cv2.setNumThreads(1)
    threading.Thread(target=_exit_with_parent, args=(parent,), daemon=True).start()


def _exit_with_parent(parent: int) -> None:
    """End this process when the parent is gone; one that is killed cannot say so."""
    while os.getppid() == parent:
        time.sleep(_LOOK)
    os._exit(1)
