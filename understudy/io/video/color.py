"""Coded video pictures to upright RGB and back, with the colour tags resolved and obeyed.

Code points are those of ITU-T H.273: matrix 1 = BT.709, 5 and 6 = BT.601, 9 = BT.2020, 0 = RGB, 2 =
not stated.
"""

from __future__ import annotations

from typing import cast

import av
import numpy as np
from av.sidedata.sidedata import SideData, Type
from av.video.reformatter import ColorRange, Interpolation
from numpy.typing import NDArray

from understudy.types import Array, Bytes, Color

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

Orientation = tuple[int, int, int, int]
UPRIGHT: Orientation = (1, 0, 0, 1)


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
        orientation: See `read_orientation`.
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


def from_rgb(image: Bytes | NDArray[np.uint16], layout: str, color: Color) -> av.VideoFrame:
    """Return RGB as a frame of a YCbCr pixel format.

    Args:
        image: (H, W, 3), uint8 or uint16.
        layout: FFmpeg's name of the pixel format, such as "yuv420p".
        color: See `output_color`.
    """
    whole = cast(Bytes, np.ascontiguousarray(image))
    rgb = av.VideoFrame.from_ndarray(
        whole, format="rgb24" if image.dtype == np.uint8 else "rgb48le"
    )
    return rgb.reformat(
        format=layout,
        dst_colorspace=_MATRICES[color.matrix],
        dst_color_range=color.range,
        src_color_range=ColorRange.JPEG,
        interpolation=_FAITHFUL,
    )


def read_orientation(frame: av.VideoFrame) -> Orientation:
    """Return how to turn the picture, as a, b, c, d of its display matrix, to a quarter turn.

    Each is -1, 0 or 1. A point (x, y) of the coded picture is shown at (a x + c y, b x + d y): y
    points down, the shift is left out.
    """
    side = cast(SideData | None, frame.side_data.get(Type.DISPLAYMATRIX))  # type: ignore[call-overload]
    if side is None:
        return UPRIGHT
    a, b, _, c, d = np.frombuffer(bytes(side), np.int32)[:5].tolist()
    if not (a or b or c or d):
        return UPRIGHT
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return (_sign(a), 0, 0, _sign(d))
    return (0, _sign(b), _sign(c), 0)


def apply_orientation(image: Array, orientation: Orientation) -> Array:
    """Return the picture turned and mirrored as `orientation` says, contiguous."""
    a, b, c, d = orientation
    if orientation == UPRIGHT:
        return image
    turned = image.swapaxes(0, 1) if b else image
    flip_x, flip_y = (c if b else a) < 0, (b or d) < 0
    return np.ascontiguousarray(turned[:: -1 if flip_y else 1, :: -1 if flip_x else 1])


def swaps_sides(orientation: Orientation) -> bool:
    """Return whether width and height change places."""
    return orientation[1] != 0


def _sign(value: int) -> int:
    return -1 if value < 0 else 1
