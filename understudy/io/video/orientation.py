"""The rotation and mirroring that a video stream asks players for."""

from __future__ import annotations

from typing import cast

import av
import numpy as np
from av.sidedata.sidedata import SideData, Type

from understudy.types import Array

Orientation = tuple[int, int, int, int]
UPRIGHT: Orientation = (1, 0, 0, 1)
_QUARTER_TURNS: tuple[Orientation, ...] = (UPRIGHT, (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0))


def read_orientation(frame: av.VideoFrame) -> Orientation:
    """Return how to turn the picture, as a, b, c, d of its display matrix, to a quarter turn.

    Each is -1, 0 or 1. A point (x, y) of the coded picture is shown at (a x + c y, b x + d y): y
    points down, the shift is left out.
    """
    try:
        side = cast(SideData | None, frame.side_data.get(Type.DISPLAYMATRIX))  # type: ignore[call-overload]
    except ValueError:
        # One of the frame's notes is of a kind that PyAV knows no name for (stereo HEVC has one),
        # and then it gives none of them; the angle it gives nevertheless, mirroring it does not.
        return orientation_of_angle(frame.rotation)
    if side is None:
        return UPRIGHT
    a, b, _, c, d = np.frombuffer(bytes(side), np.int32)[:5].tolist()
    if not (a or b or c or d):
        return UPRIGHT
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return (_sign(a), 0, 0, _sign(d))
    return (0, _sign(b), _sign(c), 0)


def orientation_of_angle(degrees: int) -> Orientation:
    """Return the orientation of pictures to be turned so far counter-clockwise, unmirrored."""
    return _QUARTER_TURNS[round(-degrees / 90) % 4]


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
