"""Interlaced video: which of a frame's two fields comes first, read from frames and marked on them.

A frame of HEVC that is marked as interlaced is one field alone; of all others, two that are woven.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final, cast

import av
from av.error import BlockingIOError as NothingYet
from av.filter import Graph
from av.video.stream import VideoStream

from understudy.io.video.orientation import Orientation, swaps_sides
from understudy.types import FieldOrder

# These never hold two fields in a frame.
_WHOLE: Final = frozenset({"av1", "gif", "hevc", "vp8", "vp9", "vvc"})
# These bear no mark of their fields: only the container can tell.
_UNMARKED: Final = frozenset(
    {"ffvhuff", "huffyuv", "jpeg2000", "png", "qtrle", "r210", "rawvideo", "v210", "v308", "v410"}
)
# FFmpeg's AVFieldOrder, by which field is shown first.
_STATED: Final[dict[int, FieldOrder]] = {2: "top", 3: "bottom", 4: "bottom", 5: "top"}


def read_fields(
    frame: av.VideoFrame, orientation: Orientation, stated: FieldOrder | None = None
) -> FieldOrder | None:
    """Return which field of the upright picture comes first; None where it is one whole picture.

    So is one that lies on its side, whose fields are columns.

    Args:
        frame: As it was decoded.
        orientation: Of the frame.
        stated: See `stated_fields`.
    """
    is_woven = frame.interlaced_frame or stated is not None
    if not is_woven or frame.height % 2 or swaps_sides(orientation):
        return None
    if stated is not None:
        is_top = stated == "top"
    else:
        is_top = _filter(frame, "select", "eq(interlace_type,TOPFIRST)") is not None
    is_upside_down = orientation[3] < 0
    return "top" if is_top != is_upside_down else "bottom"


def mark_fields(frame: av.VideoFrame, fields: FieldOrder) -> av.VideoFrame:
    """Return the frame marked as interlaced, without its time.

    Conversions then work field by field, and encoders pass the mark on.
    """
    marked = _filter(frame, "setfield", "tff" if fields == "top" else "bff")
    assert marked is not None
    return marked


def stated_fields(stream: VideoStream) -> FieldOrder | None:
    """Return which field comes first in every frame by the container, where frames do not tell."""
    context = stream.codec_context
    return _STATED.get(int(context.field_order)) if context.name in _UNMARKED else None


def may_have_fields(codec: str) -> bool:
    """Return whether frames of the codec may hold two fields."""
    return codec not in _WHOLE


def _filter(frame: av.VideoFrame, name: str, settings: str) -> av.VideoFrame | None:
    """What one of FFmpeg's filters makes of the frame; None where it lets nothing pass."""
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1)
    )
    sink = graph.add("buffersink")
    graph.link_nodes(source, graph.add(name, settings), sink).configure()
    source.push(frame)
    try:
        return cast(av.VideoFrame, sink.pull())
    except NothingYet:
        return None
