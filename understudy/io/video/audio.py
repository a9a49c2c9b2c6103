"""Sound, copied from one file to another packet by packet, never decoded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

from understudy.errors import BadMedia, BadOption
from understudy.io.footage.base import Footage
from understudy.io.footage.clock import NO_OFFSET, Clock
from understudy.io.video import packets
from understudy.io.video.faults import FOREIGN, as_bad_media, reason


@dataclass(frozen=True)
class AudioClip:
    """Which sound to carry over.

    path: the file that holds it. track: its number among the sound tracks, from 0; None = all.
    start, stop: seconds from the start of presentation; only packets that begin and end within are
    copied. The sound is moved by -start when start is given. clock: the file's own.
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


_WHAT_NOW = "Fetch the file again, or leave its sound out: understudy cut, --audio-track none."


class AudioCopier:
    """Copies the packets of an `AudioClip` into an open output, step by step.

    Raises:
        BadMedia: The output's kind of file cannot hold the codec, or the sound is damaged.
        BadOption: There is no such track.
    """

    def __init__(
        self, sound: AudioClip, source: InputContainer, output: OutputContainer, target: Path
    ) -> None:
        self._sound, self._output = sound, output
        self._streams = {
            stream.index: _add_stream(stream, output, sound, target)
            for stream in select_tracks(source, sound)
        }
        self._packets = self._iter_packets(source)
        self._next: Packet[Stream] | None = None
        self._advance()

    def copy_until(self, seconds: Fraction | None) -> None:
        """Write the packets that begin before this time of the output (None = all the rest)."""
        while self._next is not None and (seconds is None or _start_time(self._next) <= seconds):
            try:
                self._output.mux(self._next)
            except (av.error.ArgumentError, av.error.InvalidDataError, OverflowError) as error:
                raise BadMedia(
                    f"{self._sound.path}: its sound cannot be copied: {reason(error)}. Leave it out"
                    " first: understudy cut, with --audio-track none."
                ) from error
            self._advance()

    def _advance(self) -> None:
        try:
            self._next = next(self._packets, None)
        except FOREIGN as error:
            if isinstance(error, OSError):
                raise BadMedia(
                    f"{self._sound.path}: its sound cannot be read: {reason(error)}. {_WHAT_NOW}"
                ) from error
            # Where a file cannot be read on, its pictures end, too: that was told on opening.
            self._next = None

    def _iter_packets(self, source: InputContainer) -> Iterator[Packet[Stream]]:
        start, stop = self._sound.start, self._sound.stop
        streams = [source.streams[index] for index in self._streams]
        for packet in packets.iter_packets(source, streams, self._sound.clock) if streams else ():
            if not packet.size:
                continue
            begin = _start_time(packet)
            if start is not None and begin < start:
                continue
            if stop is not None and begin + (packet.duration or 0) * packet.time_base > stop:
                continue
            if start is not None:
                shift = round(start / packet.time_base)
                packet.pts = None if packet.pts is None else packet.pts - shift
                packet.dts = None if packet.dts is None else packet.dts - shift
            packet.stream = self._streams[packet.stream_index]
            yield packet


def select_tracks(source: InputContainer, sound: AudioClip) -> list[AudioStream]:
    """Return the sound tracks that `sound` asks for.

    Raises:
        BadOption: There is no track of that number.
    """
    tracks = list(source.streams.audio)
    if sound.track is None:
        return tracks
    if sound.track >= len(tracks):
        have = f"only tracks 0 to {len(tracks) - 1}" if tracks else "no sound at all"
        raise BadOption(
            f"{sound.path}: there is no sound track {sound.track}, {have}. Choose another"
            " audio-track."
        )
    return [tracks[sound.track]]


def open_source(sound: AudioClip) -> InputContainer:
    """Open the file that holds the sound. Raises BadMedia."""
    with as_bad_media(sound.path, "its sound cannot be read", _WHAT_NOW):
        return packets.open_container(sound.path)


def _add_stream(
    stream: AudioStream, output: OutputContainer, sound: AudioClip, target: Path
) -> AudioStream:
    if stream.codec_context is None:
        number = [each.index for each in stream.container.streams.audio].index(stream.index)
        raise BadMedia(
            f"{sound.path}: sound track {number} is coded in a way that is not known here, so it"
            " cannot be copied. Leave it out first: understudy cut, with --audio-track none."
        )
    codec = stream.codec_context.codec.canonical_name
    if codec not in output.supported_codecs:
        raise BadMedia(
            f"{sound.path}: its sound is coded as {codec}, which a {target.suffix} file cannot"
            f" hold, and sound is never re-encoded here. Write to {target.stem}.mkv or .mov"
            " instead."
        )
    added = output.add_stream_from_template(stream)
    added.metadata.update(
        {name: text for name, text in stream.metadata.items() if name in ("language", "title")}
    )
    return added


def _start_time(packet: Packet[Stream]) -> Fraction:
    time = packet.pts if packet.pts is not None else packet.dts
    return (time or 0) * packet.time_base
