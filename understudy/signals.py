"""Signals that end a run, and what they do while no stage is there to be asked to stop."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator


def stop_signals() -> tuple[signal.Signals, ...]:
    """Ctrl-C, SIGTERM and a terminal that is closed; not the last one below `nohup`."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    # Windows has none.
    if hasattr(signal, "SIGHUP") and not outlives_terminal():
        numbers.append(signal.SIGHUP)
    return tuple(numbers)


def outlives_terminal() -> bool:
    """Whether this process is meant to go on when its terminal is closed: below `nohup`."""
    closed = getattr(signal, "SIGHUP", None)
    return closed is not None and signal.getsignal(closed) is signal.SIG_IGN


def end_at_once(code: int) -> None:
    """From now on a signal ends this process with `code`, without a word. Main thread only."""
    for number in stop_signals():
        # No exception: it would come out of whatever import is under way, as whatever that makes of
        # it.
        signal.signal(number, lambda number, frame: os._exit(code))


def ignore() -> None:
    """From now on signals do nothing, not even while Python takes its modules down."""
    for number in stop_signals():
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Signals wait meanwhile; processes that are started here never get them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, stop_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
