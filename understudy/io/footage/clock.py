"""The clock of a file: how its own times become times from the start of presentation."""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Clock:
    """What is taken from a file's times, so that presentation starts at 0 and runs on.

    origin: seconds on the file's own clock at which presentation starts. jumps: where that clock
    jumps: for a stream's number the first byte in the file of each stretch of it but the first,
    ascending, and how many further seconds are taken there.
    """

    origin: Fraction = Fraction(0)
    jumps: Mapping[int, tuple[tuple[int, Fraction], ...]] = field(default_factory=dict)

    def taken(self, stream: int, byte: int, time_base: Fraction) -> int:
        """Return the ticks to take from the times of the stream's packet at that byte."""
        jumps = self.jumps.get(stream, ())
        place = bisect.bisect_right(jumps, byte, key=lambda jump: jump[0])
        jump = jumps[place - 1][1] if place else Fraction(0)
        # Each by itself, so that times of the same stretch are moved by the same.
        return round(self.origin / time_base) + round(jump / time_base)


NO_OFFSET = Clock()
