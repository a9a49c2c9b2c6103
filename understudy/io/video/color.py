"""Coded video pictures to upright RGB and back, with the colour tags resolved and obeyed.

Code points are those of ITU-T H.273: matrix 1 = BT.709, 5 and 6 = BT.601, 9 = BT.2020, 0 = RGB, 2 =
not stated.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.sidedata.sidedata import SideData, Type
from av.video.reformatter import ColorRange, Interpolation
from numpy.typing import NDArray

from understudy.io.video.fields import mark_fields
from understudy.io.video.orientation import Orientation, apply_orientation
from understudy.types import Array, Bytes, Chroma, Color, FieldOrder, LightLevels

# Without these flags swscale repeats chroma pixels and darkens every conversion by about one level
# in 255 (measured).
_FAITHFUL = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
# For pictures of 8 bits that come in: chroma enlarged linearly takes half the time, and is 0.05
# levels from the above (measured). With more bits swscale's linear way gives wrong colours.
_SOUND = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
# H.273 matrix -> swscale's own number.
_MATRICES = {0: 1, 1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
# Primaries and transfer that go with a matrix when the file states only that.
_PARTNERS = {0: (1, 13), 4: (4, 4), 5: (5, 6), 6: (6, 6), 7: (7, 7), 9: (9, 14), 10: (9, 14)}
_UNKNOWN = 2
# FFmpeg's records of mastering displays and of content light levels.
_MASTERING, _CONTENT = struct.Struct("=22i"), struct.Struct("=2I")
# No screen and no camera knows more light than this, in cd/m2, nor has the format room for it.
_BRIGHTEST = 65535


def resolve_color(frame: av.VideoFrame) -> Color:
    """Return the frame's colour tags, with absent ones as players take them.

    No matrix: RGB for RGB formats, else BT.709 from 720 lines or 1280 columns on, else BT.601
    (SMPTE 170M). No range: limited, or full for RGB.
    """
    is_rgb = frame.format.is_rgb
    matrix = int(frame.colorspace)
    if is_rgb:
        matrix = 0
    elif matrix in (_UNKNOWN, 0, 3):
        matrix = 1 if frame.height >= 720 or frame.width >= 1280 else 6
    primaries, transfer = _PARTNERS.get(matrix, (1, 1))
    if int(frame.color_primaries) not in (0, _UNKNOWN, 3):
        primaries = int(frame.color_primaries)
    if int(frame.color_trc) not in (0, _UNKNOWN, 3):
        transfer = int(frame.color_trc)
    return Color(primaries, transfer, matrix, int(frame.color_range) or (2 if is_rgb else 1))


def is_readable(color: Color) -> bool:
    """Return whether pictures with this matrix can be turned into RGB (not YCgCo and ICtCp)."""
    return color.matrix in _MATRICES


def output_color(color: Color) -> Color:
    """Return the tags to write such footage under as YCbCr: RGB becomes limited BT.709."""
    return (
        Color(color.primaries, 1 if color.transfer == 13 else color.transfer, 1, 1)
        if color.matrix == 0
        else color
    )


def bit_depth(frame: av.VideoFrame) -> int:
    """Return the bits per channel."""
    return max(component.bits for component in frame.format.components)


def chroma_of(frame: av.VideoFrame) -> Chroma:
    """Return how finely the frame keeps colour; "420" where it has none, or is RGB.

    What is coarser than 420 counts as that; as 422 what is halved one way, whichever it is, since
    pictures may be turned.
    """
    layout = frame.format
    if layout.is_rgb or layout.has_palette or len(layout.components) < 3:
        return "420"
    parts = 16 // layout.chroma_width(16), 16 // layout.chroma_height(16)
    if max(parts) > 2 or min(parts) == 2:
        return "420"
    return "444" if max(parts) == 1 else "422"


def light_levels(frame: av.VideoFrame) -> LightLevels | None:
    """Return how the frame's HDR was mastered, as far as it says so."""
    try:
        found = [
            cast(SideData | None, frame.side_data.get(kind))  # type: ignore[call-overload]
            for kind in (Type.MASTERING_DISPLAY_METADATA, Type.CONTENT_LIGHT_LEVEL)
        ]
    except ValueError:
        # One of the frame's notes is of a kind that PyAV knows no name for (stereo HEVC has one),
        # and then it gives none of them.
        return None
    display, content = (b"" if each is None else bytes(each) for each in found)
    mastering = _mastering(display) if len(display) >= _MASTERING.size else None
    levels = _CONTENT.unpack_from(content) if len(content) >= _CONTENT.size else (0, 0)
    most = levels if 0 < max(levels) <= _BRIGHTEST else None
    return LightLevels(mastering, most) if mastering or most else None


def _mastering(record: bytes) -> tuple[tuple[int, int], ...] | None:
    """Of FFmpeg's record: ten fractions, and whether the primaries and the light are told."""
    *parts, has_primaries, has_light = _MASTERING.unpack_from(record)
    if not (has_primaries and has_light) or not all(parts[1::2]):
        return None
    values = [Fraction(*each) for each in zip(parts[::2], parts[1::2], strict=True)]
    points, (least, most) = [round(each * 50_000) for each in values[:8]], values[8:]
    levels = round(most * 10_000), round(least * 10_000)
    if not (all(0 <= each <= 50_000 for each in points) and 0 <= levels[1] < levels[0] < 2**32):
        return None
    return (*zip(points[::2], points[1::2], strict=True), levels)


def to_rgb(
    frame: av.VideoFrame,
    color: Color,
    bits: int,
    orientation: Orientation,
    size: tuple[int, int],
    rough: bool = False,
) -> Array:
    """Return the frame as upright RGB.

    Args:
        frame: As it was decoded.
        color: See `resolve_color`.
        bits: Per channel in the source.
        orientation: See `orientation.read_orientation`.
        size: (width, height) before it is turned; a frame of another size is scaled.
        rough: Off by a level on average, ten times as fast; of no effect with more than 8 bits.

    Returns:
        (H, W, 3): uint8, or uint16 (full scale 65535) for more than 8 bits.
    """
    layout, interpolation = (
        ("rgb48le", _FAITHFUL)
        if bits > 8
        else ("rgb24", Interpolation.BILINEAR if rough else _SOUND)
    )
    width, height = size
    if color.matrix == 0:
        rgb = frame.reformat(width, height, layout, interpolation=interpolation)
    else:
        rgb = frame.reformat(
            width,
            height,
            format=layout,
            src_colorspace=_MATRICES[color.matrix],
            src_color_range=color.range,
            dst_color_range=ColorRange.JPEG,
            interpolation=interpolation,
        )
    return apply_orientation(cast(Array, rgb.to_ndarray()), orientation)


def from_rgb(
    image: Bytes | NDArray[np.uint16],
    layout: str,
    color: Color,
    fields: FieldOrder | None = None,
) -> av.VideoFrame:
    """Return RGB as a frame of a YCbCr pixel format.

    Args:
        image: (H, W, 3), uint8 or uint16.
        layout: FFmpeg's name of the pixel format, such as "yuv420p".
        color: See `output_color`.
        fields: Which of its fields comes first, where it holds two: the colour of each is then its
            own, and the frame is marked.
    """
    whole = cast(Bytes, np.ascontiguousarray(image))
    rgb = av.VideoFrame.from_ndarray(
        whole, format="rgb24" if image.dtype == np.uint8 else "rgb48le"
    )
    if fields:
        rgb = mark_fields(rgb, fields)
    return rgb.reformat(
        format=layout,
        dst_colorspace=_MATRICES[color.matrix],
        dst_color_range=color.range,
        src_color_range=ColorRange.JPEG,
        interpolation=_FAITHFUL,
    )
