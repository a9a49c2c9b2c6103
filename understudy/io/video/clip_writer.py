"""Synthetic clips: pictures and sound made by a program, as an ordinary video file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream

from understudy.io.video.color import from_rgb
from understudy.io.video.writer import atomic_video, open_output
from understudy.types import Bytes, Color, Floats

_STANDARD = Color(
    primaries=6, transfer=6, matrix=6, range=1
)  # as television below 720 lines is coded
_HIGH = Color(primaries=1, transfer=1, matrix=1, range=1)


def write_clip(
    path: Path,
    images: Iterable[Bytes],
    size: tuple[int, int],
    fps: int = 25,
    sound: Floats | None = None,
    rate: int = 48000,
    comment: str = "",
    into: BinaryIO | None = None,
) -> Iterator[int]:
    """Write a clip (H.264, AAC) and yield how many frames are in.

    The file takes its name after the last one.

    Args:
        path: Ends in .mp4; replaced when it exists.
        images: (height, width, 3) uint8 RGB each.
        size: (width, height), both even.
        fps: Frames a second.
        sound: (samples,) float32 in -1..1, one channel.
        rate: Samples a second.
        comment: What the container says of itself.
        into: As in `write_video`.
    """
    with (
        atomic_video(path, into) as file,
        open_output(file, path, {"movflags": "+faststart"}) as output,
    ):
        if comment:
            output.metadata["comment"] = comment
        color = _HIGH if size[1] >= 720 else _STANDARD
        stream = _picture_stream(output, size, fps, color)
        track = output.add_stream("aac", rate=rate, layout="mono") if sound is not None else None
        done = 0
        for image in images:
            picture = from_rgb(image, "yuv420p", color)
            picture.pts, picture.time_base = done, Fraction(1, fps)
            output.mux(stream.encode(picture))
            done += 1
            yield done
        output.mux(stream.encode(None))
        if isinstance(track, AudioStream) and sound is not None:
            _write_sound(output, track, sound, rate)


def _picture_stream(
    output: OutputContainer, size: tuple[int, int], fps: int, color: Color
) -> VideoStream:
    stream = output.add_stream("libx264", rate=fps)
    assert isinstance(stream, VideoStream)
    context = stream.codec_context
    context.width, context.height = size
    context.pix_fmt, context.time_base = "yuv420p", Fraction(1, fps)
    context.color_primaries, context.color_trc = color.primaries, color.transfer
    context.colorspace, context.color_range = color.matrix, color.range
    context.options = {"preset": "fast", "crf": "14"}
    return stream


def _write_sound(output: OutputContainer, track: AudioStream, sound: Floats, rate: int) -> None:
    block = 1024
    for start in range(0, len(sound), block):
        piece = np.ascontiguousarray(sound[None, start : start + block])
        frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        output.mux(track.encode(frame))
    output.mux(track.encode(None))
