"""When sound is heard: a time of a packet that contradicts those around it is mended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Final

from av.audio.stream import AudioStream
from av.packet import Packet

# Seconds after the end of the packet before it: later than this a time is looked at twice, and at
# the end of the file, or where it is a day, it is wrong for sure.
_PAUSE: Final = Fraction(1)
_AT_THE_END: Final = Fraction(10)
_LONGEST: Final = Fraction(86_400)


class SoundTimeMender:
    """Passes on packets of sound in their order, the times of damaged ones mended.

    mended: how many were.
    """

    def __init__(self) -> None:
        self.mended = 0
        # Of each track: when it should go on, the packet that waits for the next one to be judged
        # by, and how much its times are ahead.
        self._due: dict[int, Fraction] = {}
        self._waiting: dict[int, Packet[AudioStream]] = {}
        self._ahead: dict[int, Fraction] = {}

    def __call__(
        self, packets: Iterable[Packet[AudioStream] | Exception]
    ) -> Iterator[Packet[AudioStream] | Exception]:
        """Yield the packets, and what was raised."""
        for packet in packets:
            if isinstance(packet, Exception):
                yield packet
            elif packet.pts is None or not packet.size:
                yield packet
            else:
                yield from self._look_at(packet)
        for number, waiting in self._waiting.items():
            if _time(waiting) > self._due.get(number, _time(waiting)) + _AT_THE_END:
                self._mend(waiting)
            yield waiting

    def _look_at(self, packet: Packet[AudioStream]) -> Iterator[Packet[AudioStream]]:
        number = packet.stream_index
        if number in self._ahead:
            _move(packet, -self._ahead[number])
        waiting = self._waiting.pop(number, None)
        if waiting is not None:
            # Of the first one nothing is known but the second.
            begin = _time(packet) - (waiting.duration or 0) * waiting.time_base
            surplus = _time(waiting) - self._due.setdefault(number, begin)
            if _time(packet) < _time(waiting):
                self._mend(waiting)
            elif surplus > _LONGEST:
                self._ahead[number] = self._ahead.get(number, Fraction(0)) + surplus
                self._mend(waiting)
                _move(packet, -surplus)
            yield self._passed(waiting)
        if number not in self._due or _time(packet) > self._due[number] + _PAUSE:
            self._waiting[number] = packet
        else:
            yield self._passed(packet)

    def _mend(self, packet: Packet[AudioStream]) -> None:
        _move(packet, self._due[packet.stream_index] - _time(packet))
        self.mended += 1

    def _passed(self, packet: Packet[AudioStream]) -> Packet[AudioStream]:
        self._due[packet.stream_index] = _time(packet) + (packet.duration or 0) * packet.time_base
        return packet


def _time(packet: Packet[AudioStream]) -> Fraction:
    return (packet.pts or 0) * packet.time_base


def _move(packet: Packet[AudioStream], seconds: Fraction) -> None:
    packet.pts = packet.dts = (packet.pts or 0) + round(seconds / packet.time_base)
