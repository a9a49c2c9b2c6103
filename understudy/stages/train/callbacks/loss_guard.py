"""A watch for runs whose losses go wrong."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median


@dataclass
class Watch:
    """Tells when losses have left the rails: not a number, or far above the median of the recent
    ones.
    """

    SPAN = 100
    # So many before the median means something, and so far above it is too far.
    FEWEST, FAR = 20, 10

    recent: deque[float] = field(default_factory=lambda: deque(maxlen=Watch.SPAN))

    def broken(self, losses: Iterable[float]) -> str:
        """What is wrong with the first bad loss in a row of them; empty when all is well."""
        for loss in losses:
            if not math.isfinite(loss):
                return "the loss is not a number"
            if len(self.recent) >= self.FEWEST and loss > self.FAR * median(self.recent):
                return f"the loss rose to {loss:.3g}, its median was {median(self.recent):.3g}"
            self.recent.append(loss)
        return ""
