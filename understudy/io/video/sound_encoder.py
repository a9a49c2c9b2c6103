"""A sound track coded anew: decoded, laid along its own times, and encoded, a packet at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from numpy.typing import NDArray

from understudy.io.video.faults import FOREIGN

# (samples, channels) as they come out of the decoder, in one of `_KINDS`.
Samples = NDArray[np.generic]

# Packed: PyAV reads past the planes of a frame that has eight or more.
_PACKED: Final = {
    "u8": "u8",
    "u8p": "u8",
    "s16": "s16",
    "s16p": "s16",
    "flt": "flt",
    "fltp": "flt",
    "dbl": "dbl",
    "dblp": "dbl",
}
_PCM: Final = {
    "u8": "pcm_u8",
    "s16": "pcm_s16le",
    "s32": "pcm_s32le",
    "flt": "pcm_f32le",
    "dbl": "pcm_f64le",
}
_KINDS: Final = {
    "u8": np.uint8,
    "s16": np.int16,
    "s32": np.int32,
    "flt": np.float32,
    "dbl": np.float64,
}
# Of the rates that AAC knows, those that every player does.
_AAC_RATES: Final = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
# The layouts of AAC that every player knows, by their speakers.
_AAC_LAYOUTS: Final = ("mono", "stereo", "3.0", "4.0", "5.0", "5.1", "7.1")
# Names for the same speakers: what is beside a listener is told as behind where a codec has no
# other place for it. The order of the channels is the same.
_BEHIND: Final = {
    "5.0(side)": "5.0",
    "5.1(side)": "5.1",
    "quad(side)": "quad",
}
# Seconds. Times may be rounded to milliseconds: by more than this a packet does not follow the one
# ahead of it, but a hole, or comes twice.
_ROUNDING: Final = Fraction(1, 200)
# Packets that follow each other may still drift from their samples: RealMedia counts 23 ms for
# 23.22, and catches up later. What is off by more than this is put right all the same.
_DRIFT: Final = Fraction(1, 25)
# Some decoders give a frame out that many packets later at most.
_DELAY: Final = 2
# Seconds; a longer hole comes of times that make no sense.
_LONGEST_HOLE: Final = 3600


@dataclass(frozen=True, slots=True)
class Coding:
    """How a sound track is coded anew.

    encoder: FFmpeg's name. rate: samples a second. layout: FFmpeg's name of its channels. format:
    of the samples that it is given, packed. bit_rate: bits a second, 0 = without loss.
    """

    encoder: str
    rate: int
    layout: str
    format: str
    bit_rate: int = 0

    @property
    def told(self) -> str:
        """What it is, for people."""
        return f"{self._how()}, {self.layout}"

    def _how(self) -> str:
        name = {"aac": "AAC", "alac": "ALAC", "flac": "FLAC"}.get(self.encoder, "PCM")
        if self.bit_rate:
            return f"{name}, {self.bit_rate / 1000:.0f} kb/s"
        bits = {"u8": "8 bits", "s16": "16 bits", "flt": "32-bit floats", "dbl": "64-bit floats"}
        return f"{name}, {bits.get(self.format, '32 bits' if name == 'PCM' else '24 bits')}"

    def add_to(self, output: OutputContainer) -> AudioStream:
        """Add a stream of this coding. Raises `faults.FOREIGN` where that cannot be."""
        stream = output.add_stream(self.encoder, rate=self.rate, layout=self.layout)
        assert isinstance(stream, AudioStream)
        if self.bit_rate:
            stream.bit_rate = self.bit_rate
        else:
            is_planar = self.encoder == "alac"
            stream.codec_context.format = f"{self.format}p" if is_planar else self.format
        return stream


def aac(rate: int, layout: AudioLayout) -> Iterator[Coding]:
    """Yield AAC of 128 kb/s for one channel, 256 for two to four, 64 for each of more."""
    rate = next((each for each in _AAC_RATES if each >= rate), _AAC_RATES[-1])
    target = _holding(layout)
    channels = AudioLayout(target).nb_channels
    # No packet of AAC holds more.
    most = 6 * rate * channels
    wanted = 128_000 * channels if channels <= 2 else max(256_000, 64_000 * channels)
    yield Coding("aac", rate, target, "flt", min(wanted, most))


def alac_or_flac(rate: int, layout: AudioLayout, format: str) -> Iterator[Coding]:
    """Yield what keeps each sample of 16 or 24 bits, best first."""
    packed = "s16" if _packed(format) in ("u8", "s16") else "s32"
    name = known_layout(layout).name
    for each in dict.fromkeys((name, _BEHIND.get(name, name))):
        yield Coding("alac", rate, each, packed)
    yield Coding("flac", rate, name, packed)


def pcm(rate: int, layout: AudioLayout, format: str) -> Iterator[Coding]:
    """Yield PCM of the decoder's own samples, whatever they are."""
    packed = _packed(format)
    yield Coding(_PCM[packed], rate, known_layout(layout).name, packed)


def known_layout(layout: AudioLayout) -> AudioLayout:
    """Return the layout; where it is but a number of channels, the usual one of that number."""
    if layout.name != f"{layout.nb_channels} channels":
        return layout
    try:
        return AudioLayout(f"{layout.nb_channels}c")
    except ValueError:  # There is no usual one.
        return layout


class SoundEncoder:
    """Codes one track anew: packets of the source in, packets for the output out.

    Times count from `start`. What comes before it or after `stop` is cut off to the sample; holes,
    and packets that cannot be decoded, are silence, so that the rest keeps its time.

    damaged: how many packets could not be decoded.
    """

    def __init__(
        self,
        stream: AudioStream,
        coding: Coding,
        start: Fraction = Fraction(0),
        stop: Fraction | None = None,
    ) -> None:
        self.damaged = 0
        self._stream, self._coding, self._stop = stream, coding, stop
        # The time up to which there is sound, and whether a first sample has come.
        self._reached, self._has_begun = start, False
        self._unpack = _Converter(coding.format)
        self._convert = _Converter(coding.format, coding.layout, coding.rate)
        self._written = 0
        # Where the last packet ended, and for how many frames the sound may be torn there.
        self._end: Fraction | None = None
        self._torn = 0

    def feed(self, packet: Packet[AudioStream]) -> Iterator[Packet[AudioStream]]:
        """Take the next packet of the source; its times are seconds of the footage."""
        begin = None if packet.pts is None else packet.pts * packet.time_base
        if begin is not None and self._end is not None and abs(begin - self._end) > _ROUNDING:
            self._torn = 1 + _DELAY
        lasts = (packet.duration or 0) * packet.time_base
        self._end = begin + lasts if begin is not None and lasts else None
        try:
            frames = packet.decode()
        except FOREIGN:
            self.damaged += 1
            self._torn = 1 + _DELAY
            return
        for frame in frames:
            begin = None if frame.pts is None else frame.pts * (frame.time_base or packet.time_base)
            try:
                yield from self._take(frame, begin)
            except FOREIGN:  # It changes into what cannot be converted.
                self.damaged += 1

    def finish(self, source: AudioStream | None = None) -> Iterator[Packet[AudioStream]]:
        """Give back what the decoder and the encoder still hold; no more packets come."""
        try:
            for frame in source.codec_context.decode(None) if source else ():
                yield from self._take(frame, None)
        except FOREIGN:
            self.damaged += 1
        yield from self._encode(self._convert.flush())
        yield from self._stream.encode(None)

    def be_silent(self, rate: int, layout: AudioLayout) -> Iterator[Packet[AudioStream]]:
        """Take a moment of silence as it would come from the source."""
        yield from self._write(_silence(rate // 10, layout, self._coding.format), rate, layout)

    def _take(self, frame: AudioFrame, begin: Fraction | None) -> Iterator[Packet[AudioStream]]:
        layout = frame.layout
        if frame.sample_rate <= 0 or not layout.nb_channels:
            return
        rate = frame.sample_rate
        for unpacked in self._unpack.convert(frame):
            samples = unpacked.to_ndarray().reshape(-1, layout.nb_channels)
            yield from self._place(samples, begin, rate, layout)
            begin = None

    def _place(
        self, samples: Samples, begin: Fraction | None, rate: int, layout: AudioLayout
    ) -> Iterator[Packet[AudioStream]]:
        """Write samples that begin at a time, after silence or without what is there already."""
        off = Fraction(0) if begin is None else begin - self._reached
        tolerance = _ROUNDING if self._torn else _DRIFT
        self._torn = max(0, self._torn - 1)
        if off > _LONGEST_HOLE or (self._has_begun and abs(off) <= tolerance):
            off = Fraction(0)
        count = round(off * rate)
        if count < 0:
            samples = samples[-count:]
        while count > 0:
            silence = _silence(min(count, rate), layout, self._coding.format)
            count -= len(silence)
            yield from self._write(silence, rate, layout)
        if len(samples):
            self._has_begun = True
            yield from self._write(samples, rate, layout)

    def _write(
        self, samples: Samples, rate: int, layout: AudioLayout
    ) -> Iterator[Packet[AudioStream]]:
        if self._stop is not None:
            samples = samples[: max(0, round((self._stop - self._reached) * rate))]
        if not len(samples):
            return
        self._reached += Fraction(len(samples), rate)
        frame = AudioFrame.from_ndarray(
            np.ascontiguousarray(samples).reshape(1, -1),  # type: ignore[arg-type]
            format=self._coding.format,
            layout=_relabelled(layout, self._coding.layout),
        )
        frame.sample_rate = rate
        yield from self._encode(self._convert.convert(frame))

    def _encode(self, frames: list[AudioFrame]) -> Iterator[Packet[AudioStream]]:
        for frame in frames:
            # Counted, so that no rounding of times adds up.
            frame.pts, frame.time_base = self._written, Fraction(1, self._coding.rate)
            self._written += frame.samples
            yield from self._stream.encode(frame)


class _Converter:
    """Frames in another format, layout and rate; where what comes in changes, it begins anew."""

    def __init__(self, format: str, layout: str | None = None, rate: int | None = None) -> None:
        self._target = (format, layout, rate)
        self._source: tuple[str, str, int] | None = None
        self._resampler: av.AudioResampler | None = None

    def convert(self, frame: AudioFrame) -> list[AudioFrame]:
        source = (frame.format.name, frame.layout.name, frame.sample_rate)
        held: list[AudioFrame] = []
        if self._resampler is None or source != self._source:
            held = self.flush()
            format, layout, rate = self._target
            self._source = source
            self._resampler = av.AudioResampler(format=format, layout=layout, rate=rate)
        # Times are counted elsewhere.
        frame.pts = None
        return held + self._resampler.resample(frame)

    def flush(self) -> list[AudioFrame]:
        held = [] if self._resampler is None else self._resampler.resample(None)
        self._resampler = None
        return [frame for frame in held if frame is not None]


def _packed(format: str) -> str:
    # Whole numbers of 64 bits come from no camera; PyAV has no arrays of them.
    return _PACKED.get(format, "s32")


def _silence(count: int, layout: AudioLayout, format: str) -> Samples:
    return np.full((count, layout.nb_channels), 128 if format == "u8" else 0, _KINDS[format])


def _holding(layout: AudioLayout) -> str:
    """The smallest layout of AAC that has a place for every channel, else stereo."""
    known = known_layout(layout)
    wanted = _speakers(AudioLayout(_BEHIND.get(known.name, known.name)))
    for name in _AAC_LAYOUTS:
        if wanted <= _speakers(AudioLayout(name)):
            return name
    return "7.1" if 6 < known.nb_channels <= 8 else "stereo"


def _speakers(layout: AudioLayout) -> set[str]:
    return {channel.name for channel in layout.channels}


def _relabelled(layout: AudioLayout, target: str) -> AudioLayout:
    """The layout of samples, told by the target's name where that means the same."""
    known = known_layout(layout)
    same = _BEHIND.get(known.name) == target
    return AudioLayout(target) if same else known
