"""The sound tracks of footage, and what becomes of each in a file of another kind."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.layout import AudioLayout
from av.audio.stream import AudioStream
from av.codec.codec import Codec
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Discard, Disposition

from understudy.io.footage.clock import NO_OFFSET
from understudy.io.video import packets, sound_encoder
from understudy.io.video.faults import FOREIGN
from understudy.io.video.sound_encoder import Coding, SoundEncoder

# What is copied as it is: codecs that the kind of file is defined for, and that common players of
# it play.
_COMPRESSED: Final = {"aac", "ac3", "alac", "eac3", "mp2", "mp3"}
_COPIED: Final = {
    ".mp4": _COMPRESSED | {"flac", "opus"},
    ".mov": _COMPRESSED
    | {"adpcm_ima_qt", "amr_nb", "amr_wb", "mace3", "mace6", "qdm2", "qdmc"}
    | {"pcm_alaw", "pcm_mulaw", "pcm_s8", "pcm_u8"}
    | {f"pcm_{kind}{end}" for kind in ("s16", "s24", "s32", "f32", "f64") for end in ("le", "be")},
}
_FORMATS: Final = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}
# In these a track may change on its way, so it is looked at up to its end. (Of MP4 and MOV only the
# sound is read for that.)
_CHANGING: Final = {"flv", "mov", "mpeg", "mpegts"}
# So many packets of a track are looked at: enough to find its rate and channels, and to write it.
_HEAD: Final = 16
# What a track says of itself, and stays.
_MARKS: Final = (
    Disposition.default
    | Disposition.dub
    | Disposition.original
    | Disposition.comment
    | Disposition.hearing_impaired
    | Disposition.visual_impaired
    | Disposition.clean_effects
    | Disposition.captions
    | Disposition.descriptions
)
# Languages that FFmpeg writes into a .mov by other letters only.
_LETTERS_IN_MOV: Final = {"cze": "ces", "deu": "ger", "ell": "gre", "fre": "fra", "isl": "ice"} | {
    "mkd": "mac",
    "nld": "dut",
    "rum": "ron",
    "slo": "slk",
    "sqi": "alb",
    "swe": "sve",
    "zho": "chi",
}


@dataclass(frozen=True, slots=True)
class SoundTrack:
    """A sound track, and what becomes of it.

    index: among the streams of its file. number: among its sound tracks, from 0. told: how it is
    coded, for people. becomes: a `Coding`, "copy", or None = it is left out. why: it is not copied.
    kept_in: the suffix of a kind of file that it could be copied into, where there is one.
    is_empty: it has no packet, so nothing is lost with it.
    """

    index: int
    number: int
    told: str = "unknown codec"
    becomes: Coding | Literal["copy"] | None = None
    why: str = ""
    kept_in: str = ""
    is_empty: bool = False

    def add_to(self, output: OutputContainer, source: AudioStream) -> AudioStream:
        """Add a stream for it to the output, with language, title and marks of its source."""
        if isinstance(self.becomes, Coding):
            added = self.becomes.add_to(output)
        else:
            added = output.add_stream_from_template(source)
        added.metadata.update(_properties(source, output.format.name))
        added.disposition = source.disposition & _MARKS
        return added


def plan_tracks(
    source: InputContainer, streams: Iterable[AudioStream], suffix: str
) -> tuple[SoundTrack, ...]:
    """Say what becomes of these streams of an open file in a file that ends in `suffix`.

    Reads packets, up to the end of the file where a track may change on its way. Raises OSError
    when the disk fails.
    """
    chosen = list(streams)
    found = _read_packets(source, chosen)
    numbers = [each.index for each in source.streams.audio]
    return tuple(
        _decide(stream, found[stream.index], numbers.index(stream.index), suffix)
        for stream in chosen
    )


@dataclass(slots=True)
class _TrackHead:
    """The first packets of a track, and what all of them say. config: how the last one is coded.

    changes: the coding does, on the way.
    """

    head: list[Packet[AudioStream]]
    config: bytes = b""
    changes: bool = False


def _read_packets(source: InputContainer, streams: list[AudioStream]) -> dict[int, _TrackHead]:
    found = {stream.index: _TrackHead([]) for stream in streams}
    known = [stream for stream in streams if stream.codec_context is not None]
    for stream in source.streams:
        # Where the kind of file has an index, the rest of it is not even read.
        stream.discard = Discard.none if stream in known else Discard.all
    may_change = bool(_CHANGING & set(source.format.name.split(",")))
    wanted = len(known) * _HEAD
    for packet in packets.iter_readable(source, known, NO_OFFSET) if known else ():
        if isinstance(packet, OSError):
            raise packet
        if isinstance(packet, Exception):
            # As far as the file can be read.
            break
        if not packet.size:
            continue
        seen = found[packet.stream_index]
        if len(seen.head) < _HEAD:
            seen.head.append(packet)
            wanted -= 1
        config = _config(packet)
        seen.changes = seen.changes or bool(config and seen.config and config != seen.config)
        seen.config = config or seen.config
        if not wanted and not may_change:
            break
    return found


def _config(packet: Packet[AudioStream]) -> bytes:
    """How the sound of a packet is coded, where it is a packet that says so."""
    if packet.has_sidedata("new_extradata"):
        return bytes(packet.get_sidedata("new_extradata"))
    context = packet.stream.codec_context
    if context.codec.canonical_name == "aac" and not context.extradata:
        head = bytes(memoryview(packet)[:4])
        if len(head) == 4 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
            # ADTS: profile, rate and channels.
            return bytes((head[2] & 0xFD, head[3] & 0xC0))
    return b""


def _decide(stream: AudioStream, seen: _TrackHead, number: int, suffix: str) -> SoundTrack:
    """Copied where that can be, else coded anew without loss or as AAC, else left out."""
    context = stream.codec_context
    track = SoundTrack(stream.index, number)
    if context is None:
        return replace(track, why="it is coded in a way that is not known here")
    codec = context.codec.canonical_name
    track = replace(track, told=codec)
    if not seen.head:
        return replace(track, why="there is nothing in it", is_empty=True)
    kind = _kind(context, seen.head)
    if kind is None:
        return replace(track, why="nothing in it can be decoded")
    layout = sound_encoder.known_layout(kind.layout)
    track = replace(track, told=f"{codec}, {layout.name}, {kind.rate / 1000:g} kHz")
    why = _obstacle(stream, seen, suffix)
    if not why:
        return replace(track, becomes="copy")
    others = (other for other in _FORMATS if other != suffix)
    track = replace(
        track,
        why=why,
        kept_in=next((each for each in others if not _obstacle(stream, seen, each)), ""),
    )
    for coding in _codings(context.codec, kind, suffix):
        if _can_write(coding, kind, suffix):
            return replace(track, becomes=coding)
    return track


@dataclass(frozen=True, slots=True)
class _Kind:
    """What the samples of a track are. format: FFmpeg's name."""

    rate: int
    layout: AudioLayout
    format: str


def _kind(context: AudioCodecContext, head: list[Packet[AudioStream]]) -> _Kind | None:
    """As the file says, or as the first frame that can be decoded is."""
    if context.sample_rate > 0 and context.layout.nb_channels > 0 and context.format:
        return _Kind(context.sample_rate, context.layout, context.format.name)
    for packet in head:
        try:
            frames = packet.decode()
        except FOREIGN:
            continue
        for frame in frames:
            if frame.sample_rate > 0 and frame.layout.nb_channels:
                return _Kind(frame.sample_rate, frame.layout, frame.format.name)
    return None


def _codings(codec: Codec, kind: _Kind, suffix: str) -> Iterator[Coding]:
    """How a track may be coded anew, best first."""
    is_pcm = codec.canonical_name.startswith("pcm_")
    if is_pcm or (codec.lossless and not kind.format.startswith(("flt", "dbl"))):
        lossless = sound_encoder.alac_or_flac if suffix == ".mp4" else sound_encoder.pcm
        yield from lossless(kind.rate, kind.layout, kind.format)
    yield from sound_encoder.aac(kind.rate, kind.layout)


def _obstacle(stream: AudioStream, seen: _TrackHead, suffix: str) -> str:
    """Why a track cannot be copied, or ""."""
    codec = stream.codec_context.codec.canonical_name
    if seen.changes:
        return "its coding changes on the way"
    if suffix == ".mp4" and codec.startswith("pcm_"):
        return "many players play PCM in .mp4 as noise"
    if codec not in _COPIED.get(suffix, {codec}):
        return f"few players know it in {suffix}"
    return _copy_problem(stream, seen.head, suffix)


def _copy_problem(stream: AudioStream, head: list[Packet[AudioStream]], suffix: str) -> str:
    """Why FFmpeg does not write these packets into that kind of file, or ""."""
    try:
        with av.open(io.BytesIO(), "w", format=_FORMATS[suffix]) as output:
            added = output.add_stream_from_template(stream)
            for place, packet in enumerate(head):
                copy = Packet(bytes(packet))
                copy.stream, copy.time_base = added, packet.time_base
                copy.pts = copy.dts = place * max(1, head[0].duration or 0)
                copy.duration = packet.duration or 0
                output.mux(copy)
    except FOREIGN:
        return f"{suffix} cannot hold it as it is"
    return ""


def _can_write(coding: Coding, kind: _Kind, suffix: str) -> bool:
    """Whether such sound can be coded so, and written into such a file."""
    try:
        with av.open(io.BytesIO(), "w", format=_FORMATS[suffix]) as output:
            encoder = SoundEncoder(coding.add_to(output), coding)
            output.mux([*encoder.be_silent(kind.rate, kind.layout), *encoder.finish()])
    except FOREIGN:
        return False
    return True


def _properties(source: AudioStream, format: str) -> dict[str, str]:
    """The language and the title of a track, as that kind of file keeps them."""
    kept = {}
    language = source.metadata.get("language")
    if language:
        kept["language"] = _LETTERS_IN_MOV.get(language, language) if format == "mov" else language
    # FFmpeg reads the title of a track of an MP4 as its name.
    title = source.metadata.get("title") or source.metadata.get("name")
    if title:
        kept["title"] = title
        if format != "matroska":
            # Many players show this one.
            kept["handler_name"] = title
    return kept
