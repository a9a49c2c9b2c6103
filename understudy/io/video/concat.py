"""Concatenates encoded parts of a video: packets are copied, never coded again."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from understudy.errors import BadMedia
from understudy.io.footage.base import Footage
from understudy.io.video import packets
from understudy.io.video.audio import AudioClip, AudioCopier, open_source
from understudy.io.video.writer import (
    EncodeOptions,
    Encoding,
    atomic_video,
    check_target,
    frame_duration,
)


@dataclass(frozen=True, slots=True)
class EncodedPart:
    """A file that `write_part` made, and which frames of the footage are in it."""

    path: Path
    frames: range


def concat(
    path: Path,
    parts: Sequence[EncodedPart],
    like: Footage,
    options: EncodeOptions,
    sound: AudioClip | None = None,
    comment: str = "",
) -> Generator[int]:
    """Write the parts in their order as one .mp4 or .mov and yield how many frames are in so far.

    The file is what `write_video` makes of the same frames, but that each part begins with a
    keyframe: like's times, sound's packets, the comment. like, options: as for the parts. What lies
    between two parts shows the last frame before it. A sound with a start: the times count from the
    first frame, too. All or nothing. Raises CannotWrite, and BadMedia for parts that are damaged
    and sound that does not fit.
    """
    check_target(path, options)
    coding = Encoding(like, options)
    orders = [_display_order(part, _header(parts[0].path)) for part in parts]
    frames = [index for part in parts for index in part.frames]
    shown, lasting = _presentation_times(
        frames, coding, from_zero=sound is not None and sound.start is not None
    )
    decoded = _decoding_times(
        shown, max(place - rank for order in orders for place, rank in enumerate(order))
    )
    with atomic_video(path) as partial, ExitStack() as stack:
        output = stack.enter_context(av.open(str(partial), "w", options=coding.muxer_options(path)))
        if comment:
            output.metadata["comment"] = comment
        stream = _stream(output, parts[0].path, coding)
        source = stack.enter_context(open_source(sound)) if sound else None
        copy = AudioCopier(sound, source, output, path) if sound and source else None
        done = 0
        for part, order in zip(parts, orders, strict=True):
            for place, packet in enumerate(_iter_packets(part.path)):
                at = done + order[place]
                packet.pts, packet.dts, packet.duration = (
                    shown[at],
                    decoded[done + place],
                    lasting[at],
                )
                packet.stream, packet.time_base = stream, coding.time_base
                if copy:
                    copy.copy_until(packet.dts * packet.time_base)
                output.mux(packet)
            done += len(order)
            yield done
        if copy:
            copy.copy_until(None)


def _display_order(part: EncodedPart, header: bytes) -> list[int]:
    """Which frame of the part each of its packets is, in decoding order.

    header: what the part must begin with.
    """
    try:
        if _header(part.path) != header:
            raise BadMedia(
                f"{part.path}: coded by another version of the encoder than those before. Delete it"
                " and run the same command again."
            )
        times = [packet.pts for packet in _iter_packets(part.path)]
    except av.FFmpegError as error:
        raise BadMedia(
            f"{part.path}: cannot be read: {error.strerror}. Delete it and run the same command"
            " again."
        ) from None
    ranks = {
        time: rank for rank, time in enumerate(sorted(time for time in times if time is not None))
    }
    if len(ranks) != len(part.frames) or len(times) != len(part.frames):
        raise BadMedia(
            f"{part.path}: holds {len(times)} frames, not {len(part.frames)}. Delete it and run the"
            " same command again."
        )
    return [ranks[time] for time in times if time is not None]


def _header(path: Path) -> bytes:
    """What the decoder must know before the first packet."""
    with packets.open_container(path) as container:
        return bytes(container.streams.video[0].codec_context.extradata or b"")


def _iter_packets(path: Path) -> Iterator[Packet[VideoStream]]:
    with packets.open_container(path) as container:
        for packet in container.demux(container.streams.video[0]):
            if packet.size:
                yield packet


def _presentation_times(
    frames: Sequence[int], coding: Encoding, from_zero: bool
) -> tuple[list[int], list[int]]:
    """When each frame appears and how long it stays, in ticks."""
    if not coding.like.is_video:
        return list(range(len(frames))), [1] * len(frames)
    first = coding.like.pts[frames[0]] if from_zero else 0
    return [coding.like.pts[index] - first for index in frames], [
        frame_duration(index, coding.like) for index in frames
    ]


def _decoding_times(shown: Sequence[int], delay: int) -> list[int]:
    """The decoding time of each packet: ascending, and never after its own frame is shown.

    delay: how many packets a frame comes later at most than its place among the frames.
    """
    head = [shown[place] - (shown[delay] - shown[0]) for place in range(delay)]
    return [*head, *shown[: len(shown) - delay]]


def _stream(output: OutputContainer, first: Path, coding: Encoding) -> VideoStream:
    """A stream that says of itself what the one in the first part does."""
    with packets.open_container(first) as container:
        template = container.streams.video[0]
        stream = output.add_stream_from_template(template)
        # Of several tags for the same codec the container would take its own favourite.
        stream.codec_context.codec_tag = template.codec_context.codec_tag
        stream.time_base = coding.time_base
    return stream
