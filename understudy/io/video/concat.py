"""Concatenates encoded parts of a video: packets are copied, never coded again."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from understudy.errors import BadData, BadMedia, CannotRead
from understudy.io import system_faults
from understudy.io.footage.base import Footage
from understudy.io.video import segment_file
from understudy.io.video.audio import AudioClip, SoundPlan, open_sound
from understudy.io.video.encode_options import EncodeOptions
from understudy.io.video.faults import reason
from understudy.io.video.writer import (
    Encoding,
    atomic_video,
    check_target,
    check_written,
    frame_duration,
    open_output,
)

# Bytes that go through Python at a time.
_BUFFER = 1 << 20


@dataclass(frozen=True, slots=True)
class EncodedPart:
    """A file that `write_part` made, its `segment_file.digest`, and which frames are in it."""

    path: Path
    frames: range
    sha256: str


def concat(
    path: Path,
    parts: Sequence[EncodedPart],
    like: Footage,
    options: EncodeOptions,
    sound: AudioClip | SoundPlan | None = None,
    comment: str = "",
    into: BinaryIO | None = None,
) -> Generator[int]:
    """Write the parts in their order as one .mp4 or .mov and yield how many frames are in so far.

    The file is what `write_video` makes of the same frames, but that each part begins with a
    keyframe: like's times, sound's packets, the comment. like, options: as for the parts. into: as
    for `write_video`. What lies between two parts shows the last frame before it. Of a part of
    the frames the times count from the first one. All or nothing. Raises CannotWrite, and
    BadMedia for parts that are not what was written and sound that does not fit.
    """
    check_target(path, options)
    coding = Encoding(like, options)
    orders = _display_orders(parts)
    frames = [index for part in parts for index in part.frames]
    is_whole = frames[-1] + 1 - frames[0] == len(like)
    shown, lasting = _presentation_times(frames, coding, from_zero=not is_whole)
    decoded = _decoding_times(
        shown, max(place - rank for order in orders for place, rank in enumerate(order))
    )
    with atomic_video(path, into) as file:
        with ExitStack() as stack:
            output = stack.enter_context(open_output(file, path, coding.muxer_options(path)))
            if comment:
                output.metadata["comment"] = comment
            stream = _stream(output, parts[0].path, coding)
            heard = stack.enter_context(open_sound(sound, output, path)) if sound else None
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
                    if heard:
                        heard.write_until(packet.dts * packet.time_base)
                    output.mux(packet)
                done += len(order)
                yield done
            if heard:
                heard.write_until(None)
        yield from check_written(file, path, [float(time * coding.time_base) for time in shown])


def _display_orders(parts: Sequence[EncodedPart]) -> list[list[int]]:
    """Of each part, which of its frames each of its packets is, in decoding order."""
    header: bytes | None = None
    orders = []
    for part in parts:
        with _explain_damage(part.path):
            if segment_file.digest(part.path) != part.sha256:
                raise BadMedia(
                    f"{part.path}: changed since it was written. Run the same command again: these"
                    " frames are then rendered anew."
                )
            header = _header(part.path) if header is None else header
            if _header(part.path) != header:
                raise BadMedia(
                    f"{part.path}: coded by another version of the encoder than those before."
                    " Delete it and run the same command again."
                )
            times = [packet.pts for packet in _iter_packets(part.path)]
        shown = sorted(time for time in times if time is not None)
        ranks = {time: rank for rank, time in enumerate(shown)}
        if len(ranks) != len(part.frames) or len(times) != len(part.frames):
            raise BadMedia(
                f"{part.path}: holds {len(times)} frames, not {len(part.frames)}. Delete it and run"
                " the same command again."
            )
        orders.append([ranks[time] for time in times if time is not None])
    return orders


@contextmanager
def _explain_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except BadData as error:
        raise BadMedia(f"{path}: {error.reason}. Run the same command again.") from None
    except (OSError, ValueError, av.FFmpegError) as error:
        if isinstance(error, OSError) and (fault := system_faults.reading(error)):
            raise CannotRead(f"{path}: cannot be read: {fault}") from error
        raise BadMedia(
            f"{path}: cannot be read: {reason(error)}. Delete it and run the same command again."
        ) from error


def _header(path: Path) -> bytes:
    """What the decoder must know before the first packet."""
    with _open_part(path) as container:
        return bytes(container.streams.video[0].codec_context.extradata or b"")


def _iter_packets(path: Path) -> Iterator[Packet[VideoStream]]:
    with _open_part(path) as container:
        for packet in container.demux(container.streams.video[0]):
            if packet.size:
                yield packet


@contextmanager
def _open_part(path: Path) -> Iterator[InputContainer]:
    """Raises OSError, ValueError, av.FFmpegError."""
    with (
        path.open("rb") as file,
        segment_file.SegmentFile(file) as movie,
        av.open(movie, "r", format=segment_file.FORMAT, buffer_size=_BUFFER) as container,
    ):
        yield container


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
    with _open_part(first) as container:
        template = container.streams.video[0]
        stream = output.add_stream_from_template(template)
        # Of several tags for the same codec the container would take its own favourite.
        stream.codec_context.codec_tag = template.codec_context.codec_tag
        # ProRes says nothing of it, and what the container says does not come along.
        stream.codec_context.sample_aspect_ratio = coding.like.pixel_aspect
        stream.time_base = coding.time_base
    return stream
