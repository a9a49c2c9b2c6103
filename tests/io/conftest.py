"""Tiny clips of every awkward kind, made with PyAV alone, so that reader and writer are not their
own witnesses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

Clip = Callable[..., Path]
RATE = 44100


@pytest.fixture
def clip(tmp_path: Path) -> Clip:
    """A maker: clip("a.mp4", frames=12, pts=[…], rotation=90, …) -> path. Frame n carries its
    number; see `picture`.
    """

    def make(
        name: str = "clip.mp4",
        frames: int = 12,
        size: tuple[int, int] = (64, 48),
        codec: str = "libx264",
        layout: str = "yuv420p",
        time_base: Fraction = Fraction(1, 15360),
        pts: Sequence[int] | None = None,
        rotation: int = 0,
        tracks: int = 0,
        sound: str = "aac",
        tags: tuple[int, int, int, int] | None = None,
        options: dict[str, str] | None = None,
        muxer: dict[str, str] | None = None,
    ) -> Path:
        path = tmp_path / name
        step = round(1 / (30 * time_base))
        with av.open(str(path), "w", options=muxer or {}) as output:
            stream = output.add_stream(codec, rate=30)
            context = stream.codec_context
            context.width, context.height, context.pix_fmt, context.time_base = (
                *size,
                layout,
                time_base,
            )
            context.options = options or (
                {"g": "5", "bf": "2", "crf": "4"} if "264" in codec else {"b": "4000000"}
            )
            if tags:
                (
                    context.color_primaries,
                    context.color_trc,
                    context.colorspace,
                    context.color_range,
                ) = tags
            if rotation:
                stream.set_display_rotation(rotation)
            sounds = [output.add_stream(sound, rate=RATE, layout="mono") for _ in range(tracks)]
            for number, track in enumerate(sounds):
                _tone(output, track, frames / 30, 440 * (number + 1))
            for number in range(frames):
                frame = _coded(picture(number, size, deep="10" in layout), layout, tags)
                frame.pts, frame.time_base = (pts[number] if pts else number * step), time_base
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
        return path

    return make


def picture(number: int, size: tuple[int, int], deep: bool = False) -> np.ndarray:
    """A picture without symmetry: red grows to the right, green downwards, blue with the number;
    smooth, so codecs keep it.
    """
    width, height = size
    x, y = np.meshgrid(np.linspace(40, 215, width), np.linspace(40, 215, height))
    image = np.stack([x, y, np.full_like(x, 40 + 12 * (number % 15))], -1)
    return np.round(image * 257).astype(np.uint16) if deep else np.round(image).astype(np.uint8)


@pytest.fixture
def shown() -> Callable[..., np.ndarray]:
    """The picture that frame n of a made clip shows: shown(3, (64, 48)), see `picture`."""
    return picture


@pytest.fixture
def packets() -> Callable[[Path], list[list[tuple[bytes, int | None, int | None]]]]:
    """What lies in each sound track of a file: the bytes, pts and dts of its packets."""

    def read(path: Path) -> list[list[tuple[bytes, int | None, int | None]]]:
        with av.open(str(path)) as container:
            found: dict[int, list[tuple[bytes, int | None, int | None]]] = {
                s.index: [] for s in container.streams.audio
            }
            for packet in container.demux(container.streams.audio) if found else ():
                if packet.size:
                    found[packet.stream_index].append((bytes(packet), packet.pts, packet.dts))
        return list(found.values())

    return read


def _coded(image: np.ndarray, layout: str, tags: tuple[int, int, int, int] | None) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(
        image, format="rgb48le" if image.dtype == np.uint16 else "rgb24"
    )
    if layout.startswith(("rgb", "gbr", "bgr")):
        return frame.reformat(format=layout)
    matrix, span = (tags[2], tags[3]) if tags else (5, 1)
    return frame.reformat(
        format=layout,
        dst_colorspace=5 if matrix == 6 else matrix,
        dst_color_range=span,
        src_color_range=2,
    )


def _tone(
    output: av.container.OutputContainer, stream: av.AudioStream, seconds: float, pitch: float
) -> None:
    for start in range(0, round(seconds * RATE), 1024):
        times = (start + np.arange(1024)) / RATE
        wave = (0.3 * np.sin(2 * np.pi * pitch * times)).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))
