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
from typing import Literal, TypeVar, overload

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
        yield from (each for each in _map_on_processes(task, items, count) if each is not None)


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
    if engine == "local" and count <= 1:
        yield from _take_steps(task, items)
        return
    with Tally(len(items)) as tally:
        counted, numbered = partial(run_counted, task, tally.path), _Numbered(items)
        for found in (
            _map_on_processes(counted, numbered, count, _TICK)
            if engine == "local"
            else map_unordered(counted, numbered, workers, engine)
        ):
            if found is None:
                yield tally.total()
            else:
                (number, item), result = found
                tally.clear(number)
                yield item, result


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


class _Numbered(Sequence[tuple[int, Item]]):
    """Items with their places; each is asked for when its turn comes."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, place: int) -> tuple[int, Item]: ...
    @overload
    def __getitem__(self, place: slice) -> list[tuple[int, Item]]: ...
    def __getitem__(self, place: int | slice) -> tuple[int, Item] | list[tuple[int, Item]]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        return place, self._items[place]


def _map_on_processes(
    task: Callable[[Item], Result],
    items: Sequence[Item],
    count: int,
    tick: float | None = None,
) -> Generator[tuple[Item, Result] | None, None, None]:
    """As `map_unordered`; and None after each `tick` seconds in which nothing got ready."""
    from loky import get_reusable_executor

    waiting, losses = deque(range(len(items))), Counter[int]()
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
                        under_way[pool.submit(task, items[number])] = number
                ready, _ = wait(under_way, timeout=tick, return_when=FIRST_COMPLETED)
                if not ready:
                    yield None
                for future in ready:
                    result = future.result()
                    losses.pop(under_way[future], None)
                    yield items[under_way.pop(future)], result
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
