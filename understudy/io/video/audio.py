"""Sound on its way from one file to another: copied packet by packet, or coded anew."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Annotated, Final, Literal

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from pydantic import Field

from understudy.errors import BadMedia, BadOption
from understudy.io.footage.base import Footage
from understudy.io.footage.clock import NO_OFFSET, Clock
from understudy.io.video import packets
from understudy.io.video.faults import as_bad_media, bad_media
from understudy.io.video.sound_encoder import Coding, SoundEncoder
from understudy.io.video.sound_tracks import SoundTrack, plan_tracks
from understudy.io.video.timing.sound_times import SoundTimeMender
from understudy.options import Options, option

_UNREAD = "its sound cannot be read"
_WHAT_NOW = "Fetch the file again, or leave its sound out with --audio-track none."
# Seconds of sound before and after a cut that are decoded with it: what some codecs build on.
_BESIDE: Final = 2
# Seconds by which rounding may lay a packet before the one ahead of it.
_ROUNDING: Final = Fraction(1, 100)
# Ticks a second in which a packet that is copied is moved, at least.
_FINE: Final = 100_000


class SoundOptions(Options):
    """Which sound goes with the pictures."""

    audio_track: Annotated[int, Field(ge=0, le=99)] | Literal["all", "none"] = option(
        "all",
        "Sound track to keep, counted from 0; all = every one, none = no sound",
        formerly={-1: "none"},
    )


@dataclass(frozen=True)
class AudioClip:
    """Which sound to carry over.

    path: the file that holds it. track: its number among the sound tracks, from 0; None = all.
    start, stop: seconds from the start of presentation; of sound that is copied only packets that
    begin and end within are taken. The sound is moved by -start when start is given. clock: the
    file's own.
    """

    path: Path
    track: int | None = None
    start: Fraction | None = None
    stop: Fraction | None = None
    clock: Clock = NO_OFFSET

    @classmethod
    def of(
        cls,
        footage: Footage,
        track: int | None = None,
        start: Fraction | None = None,
        stop: Fraction | None = None,
    ) -> AudioClip:
        """Return the sound of footage, which fits its pictures."""
        return cls(footage.path, track, start, stop, footage.clock)


@dataclass
class SoundPlan:
    """What becomes of each track of a sound in a file of another kind.

    losses: once it was written, what was lost of it on the way, for people.
    """

    sound: AudioClip
    tracks: tuple[SoundTrack, ...]
    losses: list[str] = field(default_factory=list)


def choose_sound(
    footage: Footage,
    options: SoundOptions,
    suffix: str,
    start: Fraction | None = None,
    stop: Fraction | None = None,
) -> SoundPlan | None:
    """Return what becomes of the chosen sound of footage in a file that ends in `suffix`.

    None = there is none, or none is wanted. start, stop: as in `AudioClip`. Raises BadOption where
    there is no such track, BadMedia where the file can no longer be read.
    """
    track = options.audio_track
    if track == "none" or (track in ("all", 0) and not footage.has_audio):
        return None
    sound = AudioClip.of(footage, None if track == "all" else track, start, stop)
    if not footage.has_audio:
        raise BadOption(
            f"{footage.path}: there is no sound track {track}, no sound at all. Leave audio-track"
            " out."
        )
    return plan_sound(sound, suffix)


def plan_sound(sound: AudioClip, suffix: str) -> SoundPlan:
    """Return what becomes of a sound in a file that ends in `suffix`. Raises as `choose_sound`."""
    with (
        as_bad_media(sound.path, _UNREAD, _WHAT_NOW),
        packets.open_container(sound.path) as source,
    ):
        return SoundPlan(sound, plan_tracks(source, select_tracks(source, sound), suffix))


@contextmanager
def open_sound(
    sound: AudioClip | SoundPlan, output: OutputContainer, target: Path
) -> Iterator[SoundWriter]:
    """Yield what writes a sound into an open output that becomes `target`; its streams are added.

    Raises as `plan_sound`.
    """
    plan = sound if isinstance(sound, SoundPlan) else plan_sound(sound, target.suffix.lower())
    path = plan.sound.path
    with as_bad_media(path, _UNREAD, _WHAT_NOW):
        source = packets.open_container(path)
    with source:
        writer = SoundWriter(plan, source, output)
        yield writer
        plan.losses[:] = writer.losses()


class SoundWriter:
    """Writes the sound of a plan into an open output, step by step, in step with the pictures."""

    def __init__(self, plan: SoundPlan, source: InputContainer, output: OutputContainer) -> None:
        self._sound, self._output = plan.sound, output
        self._by_source: dict[int, _Track] = {}
        self._by_target: dict[int, _Track] = {}
        streams = {stream.index: stream for stream in source.streams.audio}
        for each in plan.tracks:
            if each.becomes is None:
                continue
            stream = streams.get(each.index)
            if stream is None or stream.codec_context is None:
                raise BadMedia(
                    f"{plan.sound.path}: its sound is not what it was when the work began: track"
                    f" {each.number} is gone. Run the same command again."
                )
            added = each.add_to(output, stream)
            track = (
                _CodedTrack(each, stream, added, each.becomes, plan.sound)
                if isinstance(each.becomes, Coding)
                else _CopiedTrack(each, added, plan.sound)
            )
            self._by_source[stream.index] = self._by_target[added.index] = track
        self._mender = SoundTimeMender()
        self._packets = self._iter_packets(source)
        self._next: Packet[AudioStream] | None = None
        self._has_begun = False

    def write_until(self, seconds: Fraction | None) -> None:
        """Write the packets that begin before this time of the output (None = all the rest)."""
        if not self._has_begun:
            # What the file as a whole cannot be is no fault of a packet.
            self._output.start_encoding()
            self._has_begun = True
            self._advance()
        while self._next is not None and (seconds is None or _start_time(self._next) <= seconds):
            track = self._by_target[self._next.stream_index]
            try:
                self._output.mux(self._next)
            except (av.error.ArgumentError, av.error.InvalidDataError, OverflowError):
                track.lost += 1
            self._advance()

    def losses(self) -> list[str]:
        """Return what was lost of each track, for people."""
        name = self._sound.path.name
        lost = [
            f"{name}: sound track {track.plan.number}: packets that are damaged or come twice, and"
            f" are left out: {track.lost}."
            for track in self._by_source.values()
            if track.lost
        ]
        if self._mender.mended:
            lost.append(
                f"{name}: packets of sound whose time makes no sense: {self._mender.mended}. Each"
                " is heard after the one before it."
            )
        return lost

    def _advance(self) -> None:
        try:
            self._next = next(self._packets, None)
        except OSError as error:
            raise bad_media(self._sound.path, _UNREAD, _WHAT_NOW, error) from error

    def _iter_packets(self, source: InputContainer) -> Iterator[Packet[AudioStream]]:
        """The packets of the output, in about their order."""
        waiting = dict(self._by_source)
        streams = [each for each in source.streams.audio if each.index in waiting]
        read = packets.iter_readable(source, streams, self._sound.clock) if waiting else ()
        for packet in self._mender(read):
            if isinstance(packet, OSError):
                raise packet
            if isinstance(packet, Exception) or not waiting:
                # Where a file cannot be read on, its pictures end, too: that was told on opening.
                break
            track = waiting.get(packet.stream_index)
            if track is None or not packet.size:
                continue
            if self._sound.stop is not None and _start_time(packet) > self._sound.stop + _BESIDE:
                del waiting[packet.stream_index]
                continue
            yield from track.feed(packet)
        for track in self._by_source.values():
            yield from track.finish()


class _Track(ABC):
    """A track on its way. lost: how many of its packets could not be taken along."""

    def __init__(self, plan: SoundTrack, target: AudioStream, sound: AudioClip) -> None:
        self.plan, self.lost = plan, 0
        self._target, self._sound = target, sound

    @abstractmethod
    def feed(self, packet: Packet[AudioStream]) -> Iterator[Packet[AudioStream]]:
        """Take a packet of the source, and yield those of the output that are ready."""

    def finish(self) -> Iterator[Packet[AudioStream]]:
        """Yield the packets that are still held."""
        yield from ()


class _CopiedTrack(_Track):
    def __init__(self, plan: SoundTrack, target: AudioStream, sound: AudioClip) -> None:
        super().__init__(plan, target, sound)
        # When the last packet began, in ticks of the output, and where it ended in the source.
        self._last: int | None = None
        self._end = 0
        # Matroska cannot hide what lies before the first picture: the picture would come late.
        self._starts_with_sound = target.container.format.name == "matroska"

    def feed(self, packet: Packet[AudioStream]) -> Iterator[Packet[AudioStream]]:
        start, stop, tick = self._sound.start or Fraction(0), self._sound.stop, packet.time_base
        ticks = packet.pts if packet.pts is not None else packet.dts
        ticks = self._end if ticks is None else ticks
        self._end = ticks + (packet.duration or 0)
        if self._sound.start is not None and ticks * tick < start:
            return
        if stop is not None and self._end * tick > stop:
            return
        if self._starts_with_sound and self._end * tick < -_ROUNDING:
            return
        # A tick of an AVI is a whole packet.
        parts = max(1, ceil(tick * _FINE))
        time = round(ticks * parts - start / tick * parts)
        if self._last is not None and time <= self._last:
            if (self._last - time) * tick / parts > _ROUNDING:
                self.lost += 1
                return
            time = self._last + 1
        self._last = packet.pts = packet.dts = time
        packet.duration = (packet.duration or 0) * parts
        packet.stream, packet.time_base = self._target, tick / parts
        yield packet


class _CodedTrack(_Track):
    def __init__(
        self,
        plan: SoundTrack,
        source: AudioStream,
        target: AudioStream,
        coding: Coding,
        sound: AudioClip,
    ) -> None:
        super().__init__(plan, target, sound)
        self._source = source
        self._encoder = SoundEncoder(target, coding, sound.start or Fraction(0), sound.stop)

    def feed(self, packet: Packet[AudioStream]) -> Iterator[Packet[AudioStream]]:
        if self._sound.start is None or _start_time(packet) > self._sound.start - _BESIDE:
            yield from self._encoder.feed(packet)
            self.lost = self._encoder.damaged

    def finish(self) -> Iterator[Packet[AudioStream]]:
        yield from self._encoder.finish(self._source)
        self.lost = self._encoder.damaged


def select_tracks(source: InputContainer, sound: AudioClip) -> list[AudioStream]:
    """Return the sound tracks that `sound` asks for.

    Raises:
        BadOption: There is no track of that number.
    """
    tracks = list(source.streams.audio)
    if sound.track is None:
        return tracks
    if sound.track >= len(tracks):
        last = len(tracks) - 1
        have = f"only {'track 0' if last == 0 else f'tracks 0 to {last}'}" if tracks else "no sound"
        raise BadOption(
            f"{sound.path}: there is no sound track {sound.track}, {have}. Choose another"
            " audio-track."
        )
    return [tracks[sound.track]]


def _start_time(packet: Packet[AudioStream]) -> Fraction:
    time = packet.pts if packet.pts is not None else packet.dts
    return (time or 0) * packet.time_base
