"""Bounded queues between threads: the next items are made while the caller works on the last."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, Full, Queue
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")

# How often a waiting thread looks whether the other side has gone.
_LOOK_SECONDS = 0.1


def prefetch(source: Generator[Item, None, None], depth: int) -> Generator[Item, None, None]:
    """Yield the items of `source` in their order, made ahead on a thread of their own.

    The thread starts with the first item asked for; the source runs and is closed on it. What the
    source raises is raised here in its place. Closing this generator stops the thread and closes
    the source before it returns.

    Args:
        source: Makes the items.
        depth: So many are made ahead of the caller at most.
    """
    pipe: Queue[Item | _End] = Queue(depth)
    gone = threading.Event()
    thread = threading.Thread(
        target=_fill, args=(source, pipe, gone), name="understudy-ahead", daemon=True
    )
    thread.start()
    try:
        while True:
            item = pipe.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        gone.set()
        # A put that waits for room must not wait for ever.
        while thread.is_alive():
            try:
                pipe.get(timeout=_LOOK_SECONDS)
            except Empty:
                continue
        thread.join()


def map_on_threads(
    source: Generator[Item, None, None], work: Callable[[Item], Made], threads: int, depth: int
) -> Generator[Made, None, None]:
    """Yield what `work` makes of the items of `source`, in their order, made on several threads.

    What the source or the work raises is raised here in its place. Closing this generator waits for
    what is under way and closes the source.

    Args:
        source: Gives the items.
        work: Called for each.
        threads: How many.
        depth: So many items are under way at most.
    """
    with contextlib.closing(source), ThreadPoolExecutor(threads, "understudy-pooled") as pool:
        under_way: deque[Future[Made]] = deque()
        try:
            for item in source:
                under_way.append(pool.submit(work, item))
                if len(under_way) >= depth:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()


def iter_windows(
    source: Generator[Item, None, None], reach: int, note: Callable[[Item], Made]
) -> Generator[tuple[Item, Sequence[Made]], None, None]:
    """Yield each item with the notes of those around it in order, its own among them.

    A note is taken when its item comes; the items before are not kept.

    Args:
        source: Gives the items.
        reach: So many items before and as many after one belong to its window.
        note: What is kept of an item.
    """
    ahead_of_caller: deque[Item] = deque()
    notes: deque[Made] = deque()
    with contextlib.closing(source):
        for item in source:
            ahead_of_caller.append(item)
            notes.append(note(item))
            if len(ahead_of_caller) > reach:
                yield ahead_of_caller.popleft(), tuple(notes)
                if len(notes) > 2 * reach:
                    notes.popleft()
        while ahead_of_caller:
            while len(notes) - len(ahead_of_caller) > reach:
                notes.popleft()
            yield ahead_of_caller.popleft(), tuple(notes)


class _End:
    """The source is through; error: what it raised, if it did."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def _fill(
    source: Generator[Item, None, None], pipe: Queue[Item | _End], gone: threading.Event
) -> None:
    error: BaseException | None = None
    try:
        for item in source:
            if not _put(item, pipe, gone):
                break
    except BaseException as raised:
        error = raised
    finally:
        source.close()
    _put(_End(error), pipe, gone)


def _put(item: Item | _End, pipe: Queue[Item | _End], gone: threading.Event) -> bool:
    """Put the item; False when the caller has gone instead."""
    while not gone.is_set():
        try:
            pipe.put(item, timeout=_LOOK_SECONDS)
        except Full:
            continue
        return True
    return False
