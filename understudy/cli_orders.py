"""Orders to a running stage: Ctrl-C, and JSON lines on standard input."""

from __future__ import annotations

import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

from pydantic import ValidationError

from understudy.io import processes
from understudy.stages.events import Event, Order, Progress, Stop, read_order

# Under torchrun a second signal within so many seconds is the first again: it passes on what the
# terminal has sent us too.
ECHO = 0.5
STOPPING = "Stopping: saving what there is. Once more to break off at once."


class Orders:
    """While open, the first Ctrl-C (or SIGTERM) asks the stage to stop and the second breaks off.

    from_stdin: also take orders as JSON lines from standard input. say: where remarks to the user
    go.
    """

    def __init__(self, from_stdin: bool, say: Callable[[str], None]) -> None:
        self.stopped = False
        self._stopped_at = 0.0
        self._say = say
        self._waiting: queue.SimpleQueue[Order] = queue.SimpleQueue()
        self._before: dict[int, Any] = {}
        if from_stdin:
            threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> Self:
        # Handlers can only be set in the main thread; elsewhere (tests, a notebook's worker) Ctrl-C
        # is not ours.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
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
        if self.stopped:
            if processes.torchrun_ranks()[1] > 1 and time.monotonic() - self._stopped_at < ECHO:
                return
            raise KeyboardInterrupt
        self.stopped, self._stopped_at = True, time.monotonic()
        self._say(STOPPING)

    def _listen(self) -> None:
        for line in sys.stdin:
            if line.strip():
                try:
                    self._waiting.put(read_order.validate_json(line))
                except ValidationError:
                    self._say(
                        f"standard input: {line.strip()!r} is not an order. Write one like"
                        ' {"order": "stop"}.'
                    )
