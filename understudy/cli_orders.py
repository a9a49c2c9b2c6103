"""Orders to a running stage: Ctrl-C, and JSON lines on standard input."""

from __future__ import annotations

import contextlib
import io
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any, Self, TextIO

from understudy import signals
from understudy.errors import BadData
from understudy.io import data_files, processes
from understudy.printable import quoted
from understudy.stages.events import Event, Order, Progress, Stop, read_order

# A second signal within so many seconds may be the first again: torchrun passes on what the
# terminal has sent us too, and `timeout` sends SIGTERM to its child and to all of its group.
ECHO = 0.5
# A longer line is no order.
LINE = 65536
STOPPING = "Stopping: saving what there is. Once more to break off at once."


class Orders:
    """While open, the first Ctrl-C asks the stage to stop and the second breaks off.

    SIGTERM and a terminal that is closed do the same. from_stdin: also take orders as JSON lines
    from standard input. say: where remarks to the user go.
    """

    def __init__(self, from_stdin: bool, say: Callable[[str], None]) -> None:
        self.stopped = False
        self._broken_off = False
        self._stopped_at = 0.0
        self._say = say
        self._waiting: queue.SimpleQueue[Order] = queue.SimpleQueue()
        self._remarks: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._teller = threading.Thread(target=self._tell, daemon=True)
        self._before: dict[int, Any] = {}
        self._terminals = [number for number in (1, 2) if os.isatty(number)]
        if from_stdin and sys.stdin is not None:
            threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> Self:
        self._teller.start()
        # Handlers can only be set in the main thread; elsewhere (tests, a notebook's worker) Ctrl-C
        # is not ours.
        if threading.current_thread() is threading.main_thread():
            for number in signals.stop_signals():
                self._before[number] = signal.signal(number, self._interrupted)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._remarks.put(None)
        self._teller.join()
        if self._broken_off and isinstance(error, Exception):
            # Whatever was under way may have made something else of it.
            raise KeyboardInterrupt from error

    def readers_gone(self) -> None:
        """Ask the stage to stop as whoever read its output has gone; below `nohup` it goes on."""
        self.stopped = self.stopped or not signals.outlives_terminal()

    def after(self, event: Event) -> Order | None:
        """The order to send in answer to `event`, if any.

        A stage looks at orders where it reports progress, so others wait for that; a stop is
        repeated until the stage ends.
        """
        if self.stopped:
            return Stop()
        if not isinstance(event, Progress) or self._waiting.empty():
            return None
        order = self._waiting.get()
        self.stopped = isinstance(order, Stop)
        return order

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        is_terminal_gone = number not in (signal.SIGINT, signal.SIGTERM)
        if is_terminal_gone:
            # Nothing that is told there shall end the saving.
            for terminal in self._terminals:
                os.dup2(os.open(os.devnull, os.O_WRONLY), terminal)
        if self.stopped:
            is_soon = time.monotonic() - self._stopped_at < ECHO
            is_doubled = number != signal.SIGINT or processes.torchrun_ranks()[1] > 1
            # The shell says that its terminal is gone, and so does the kernel.
            if is_terminal_gone or (is_soon and is_doubled):
                return
            self._broken_off = True
            raise KeyboardInterrupt
        self.stopped, self._stopped_at = True, time.monotonic()
        self._remarks.put(STOPPING)

    def _tell(self) -> None:
        """Pass remarks on, on a thread: a handler may have come amid a write to the same file."""
        while (remark := self._remarks.get()) is not None:
            # Where nobody reads any more, the next event finds that out, too.
            with contextlib.suppress(OSError):
                self._say(remark)

    def _listen(self) -> None:
        for line in _lines(sys.stdin):
            if line.strip():
                try:
                    self._waiting.put(data_files.parse_json_as(line, "order", read_order))
                except BadData:
                    self._say(
                        f"standard input: {quoted(line.strip())} is not an order. Write one like"
                        ' {"order": "stop"}.'
                    )


def _lines(stream: TextIO) -> Iterator[str]:
    """The lines of a stream, each at most `LINE` characters of it; bytes that are no text as �."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
    while line := stream.readline(LINE):
        yield line
        while line and not line.endswith("\n"):
            line = stream.readline(LINE)
