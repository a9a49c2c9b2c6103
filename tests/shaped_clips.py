"""Clips whose pixels are not square, or that hold two fields in a frame, made with PyAV alone."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

_FAITHFUL = 0x4 | 0x40000 | 0x2000  # bicubic, accurate rounding, full chroma


def squeeze(picture: np.ndarray, aspect: Fraction) -> np.ndarray:
    """The picture as pixels of that aspect hold it, in even numbers: narrower or lower."""
    height, width = picture.shape[:2]
    size = (
        (round(width / aspect / 2) * 2, height)
        if aspect > 1
        else (width, round(height * aspect / 2) * 2)
    )
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def weave(first: np.ndarray, second: np.ndarray, order: str) -> np.ndarray:
    """A frame of two fields, out of two pictures that follow one another."""
    top, bottom = (first, second) if order == "top" else (second, first)
    woven = np.empty_like(first)
    woven[0::2], woven[1::2] = top[0::2], bottom[1::2]
    return woven


def write_plates(
    path: Path,
    plates: Sequence[np.ndarray],
    aspect: Fraction = Fraction(1),
    orders: Sequence[str | None] = (None,),
    codec: str = "libx264",
    layout: str = "yuv420p",
    options: dict[str, str] | None = None,
    rotation: int = 0,
) -> Path:
    """Write frames as they are, 25 a second; orders: which field is first, None = whole, of each
    frame in turn, over and over.
    """
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25)
        context = stream.codec_context
        context.height, context.width = plates[0].shape[:2]
        context.pix_fmt, context.sample_aspect_ratio = layout, aspect
        first = next((order for order in orders if order), None)
        woven = {"flags": "+ildct+ilme", "field_order": "tt" if first == "top" else "bb"}
        woven = woven if first else {}
        context.options = {**woven, **(options or ({"crf": "4"} if "264" in codec else {}))}
        if rotation:
            stream.set_display_rotation(rotation)
        for number, plate in enumerate(plates):
            rgb = "rgb48le" if plate.dtype == np.uint16 else "rgb24"
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(plate), format=rgb)
            order = orders[number % len(orders)]
            if order:
                frame = _marked(frame, order)
            if layout.startswith("yuv"):
                frame = frame.reformat(
                    format=layout, dst_colorspace=5, dst_color_range=1, interpolation=_FAITHFUL
                )
            elif layout != frame.format.name:
                frame = frame.reformat(format=layout)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def shown_order(frame: av.VideoFrame) -> str | None:
    """Which field comes first by the mark of a decoded frame."""
    if not frame.interlaced_frame:
        return None
    for order, name in (("top", "TOPFIRST"), ("bottom", "BOTTOMFIRST")):
        try:
            _filtered(frame, "select", f"eq(interlace_type,{name})")
        except BlockingIOError:
            continue
        return order
    return None


def _marked(frame: av.VideoFrame, order: str) -> av.VideoFrame:
    return _filtered(frame, "setfield", "tff" if order == "top" else "bff")


def _filtered(frame: av.VideoFrame, name: str, settings: str) -> av.VideoFrame:
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1)
    )
    sink = graph.add("buffersink")
    graph.link_nodes(source, graph.add(name, settings), sink).configure()
    source.push(frame)
    return sink.pull()
