"""Work on several threads that comes out in the order in which it went in."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(items: Iterable[Item], workers: list[Callable[[Item], Result]]) -> Generator[Result, None, None]:
    """What the workers make of the items, in the items' order; at most two items a worker are under way.

    workers: functions that do the same, each called by one thread at a time, so each may have state of its own; what they
    call should let go of the interpreter lock (OpenCV, LiteRT, torch). `items` is read in the caller's thread. What a worker
    raises is raised here in its place; then, and when this generator is closed, what is under way is finished and what waits
    is dropped.
    """
    free: SimpleQueue[Callable[[Item], Result]] = SimpleQueue()
    for worker in workers:
        free.put(worker)

    def work(item: Item) -> Result:
        worker = free.get()
        try:
            return worker(item)
        finally:
            free.put(worker)

    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(len(workers), thread_name_prefix="understudy")
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= 2 * len(workers):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def cores() -> int:
    """How many CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
