"""Where the clock of a recording jumps, and how much that is of each stretch between."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

# Seconds. What comes so much later is a jump, and no pause; so much earlier may be rounding.
_AHEAD, _BACK = 10.0, 0.1
# A stream is back on a clock that it had before where it goes on within so many.
_RETURN = 1.0
# So many stretches are looked through for that: where all times are damaged there is one a packet.
_RECENT = 64


@dataclass(slots=True)
class _Stretch:
    """A part of a recording over which its clock runs on.

    taken: roughly, until all is seen. last: of each stream in it, when its last packet began.
    entries: of each stream, the stretch that it came from, when it would have gone on on that one's
    clock, and when it does on this one's.
    """

    taken: float
    last: dict[int, float] = field(default_factory=dict)
    entries: dict[int, tuple[int, float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Pause:
    """Where a stream went on later than it should: at which byte, when it was due, when it did."""

    byte: int
    due: float
    time: float


class JumpFinder:
    """Is shown the packets of a recording in their order, and finds where its clock jumps.

    A jump takes all streams along: each comes to it at another place in the file, and all are moved
    by the same, so that the picture goes on evenly.
    """

    def __init__(self, picture: int) -> None:
        self._picture = picture
        self._stretches = [_Stretch(0.0)]
        self._at: dict[int, int] = {}
        self._next: dict[int, float] = {}
        self._byte: dict[int, int] = {}
        self._begins: dict[int, list[tuple[int, int]]] = {}
        self._pauses: dict[int, _Pause] = {}

    def see(self, stream: int, byte: int | None, time: float, duration: float) -> None:
        """Look at a packet. time, duration: seconds; byte: where it lies, None = as before."""
        byte = self._byte.get(stream, -1) + 1 if byte is None else byte
        at = self._at.get(stream)
        if at is None:
            found = self._first_stretch(time)
        else:
            found = self._stretch(stream, at, time, byte)
        stretch = self._stretches[found]
        if found != at:
            if at is not None or found:
                self._begins.setdefault(stream, []).append((byte, found))
            if at is not None and stream not in stretch.entries and at < found:
                stretch.entries[stream] = (at, self._next[stream], time)
            self._pauses.pop(stream, None)
        elif time - self._next[stream] > _RETURN:
            self._pauses[stream] = _Pause(byte, self._next[stream], time)
        if not duration and found == at:
            duration = max(0.0, time - stretch.last[stream])
        self._at[stream], self._byte[stream] = found, byte
        self._next[stream], stretch.last[stream] = time + duration, time

    def jumps(self) -> dict[int, tuple[tuple[int, Fraction], ...]]:
        """What `Clock.jumps` says of them."""
        taken = [0.0]
        for stretch in self._stretches[1:]:
            entry = stretch.entries.get(self._picture)
            if entry is None:
                taken.append(stretch.taken)
            else:
                came_from, expected, begins = entry
                taken.append(begins - (expected - taken[came_from]))
        return {
            stream: tuple((byte, _exact(taken[number])) for byte, number in begins)
            for stream, begins in self._begins.items()
        }

    def _first_stretch(self, time: float) -> int:
        """Where a stream begins that has not been seen: the newest, or a new one."""
        newest = self._stretches[-1]
        if not newest.last or min(abs(time - last) for last in newest.last.values()) <= _AHEAD:
            return len(self._stretches) - 1
        return self._begin(time - (max(newest.last.values()) - newest.taken))

    def _stretch(self, stream: int, at: int, time: float, byte: int) -> int:
        """The stretch that a packet of the stream is of."""
        stretch, pause = self._stretches[at], self._pauses.get(stream)
        goes_back = time < stretch.last[stream] - _BACK
        if pause and goes_back and -_BACK <= time - pause.due <= _RETURN:
            # It was none: the times since were wrong.
            self._begins.setdefault(stream, []).extend(
                [(pause.byte, self._set_apart(stream, at, pause)), (byte, at)]
            )
            return at
        late = time - self._next[stream]
        if not goes_back and late <= _RETURN:
            return at
        due = self._next[stream] - stretch.taken
        off = {
            number: time - self._stretches[number].taken - due
            for number in range(max(0, len(self._stretches) - _RECENT), len(self._stretches))
            if number != at
        }
        fits = [
            number
            for number in off
            if (
                -_BACK <= off[number] <= _RETURN
                if stream in self._stretches[number].last
                else number > at and abs(off[number]) <= _AHEAD
            )
        ]
        if fits:
            return min(fits, key=lambda number: abs(off[number]))
        if not goes_back and late <= _AHEAD:
            return at
        return self._begin(time - due)

    def _set_apart(self, stream: int, at: int, pause: _Pause) -> int:
        """A stretch for what the stream has had since it seemed to pause."""
        number = self._begin(self._stretches[at].taken + pause.time - pause.due)
        self._stretches[number].entries[stream] = (at, pause.due, pause.time)
        self._pauses.pop(stream)
        self._next[stream] = pause.due
        return number

    def _begin(self, taken: float) -> int:
        self._stretches.append(_Stretch(taken))
        return len(self._stretches) - 1


def _exact(seconds: float) -> Fraction:
    """To the nanosecond: no file's clock is finer."""
    return Fraction(round(seconds * 10**9), 10**9)
