"""The blur of a face that moves while the shutter is open."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from understudy.core import affine
from understudy.types import Doubles, Floats

Warp = Callable[[Floats, Doubles, tuple[int, int]], Floats]

# No point of the face moves further than this from one exposure to the next, in frame pixels, as
# long as the most are enough.
_STEP: Final = 0.5
_MOST: Final = 64
# The way is measured along so many points in time.
_MEASURED: Final = 9


def exposure_matrices(
    before: Doubles | None, now: Doubles, after: Doubles | None, shutter: float, size: int
) -> list[Doubles]:
    """Return where the face is while the shutter is open, at even steps in time.

    Every point runs on the parabola through its three places.

    Args:
        before: (2, 3) frame_from_face in the frame before; None = not known.
        now: (2, 3) in this frame.
        after: (2, 3) in the next frame; None = not known. With one side the other tells the
            movement, without both there is none.
        shutter: Degrees; 360 = open for a whole frame, half of that before and half after `now`.
        size: Side of the face square.

    Returns:
        frame_from_face, (2, 3) each; [now] when the face hardly moves.
    """
    half = shutter / 720
    ways = [
        way - now if at > 0 else now - way
        for at, way in ((-1, before), (1, after))
        if way is not None
    ]
    if not ways or half == 0:
        return [now]
    speed = np.asarray(sum(ways) / len(ways), np.float64)
    bend = (
        np.asarray((ways[1] - ways[0]) / 2, np.float64) if len(ways) == 2 else np.zeros_like(speed)
    )
    times = np.linspace(-half, half, _MEASURED)[:, None, None]
    corners = affine.corners((size, size))
    places = np.stack(
        [affine.apply(matrix, corners) for matrix in now + times * speed + times**2 * bend]
    )
    way = float(np.linalg.norm(np.diff(places, axis=0), axis=-1).sum(0).max())
    count = min(max(math.ceil(way / _STEP), 1), _MOST)
    times = ((np.arange(count) + 0.5) / count * 2 - 1) * half
    return [now + time * speed + time**2 * bend for time in times]


def exposure_matrices_dfl(
    before: Doubles | None, now: Doubles, after: Doubles | None, power: float, size: int
) -> list[Doubles]:
    """The same for a power as DeepFaceLab has it; [now] if either neighbour is unknown.

    Direction and length are those in the frame, not those of the frame's numbers taken for the face
    square's.

    Args:
        before: (2, 3) frame_from_face in the frame before.
        now: (2, 3) in this frame.
        after: (2, 3) in the next frame.
        power: 0..100, percent of the way from the frame before to the next.
        size: Side of the face square.

    Returns:
        As `exposure_matrices`.
    """
    if before is None or after is None:
        return [now]
    return exposure_matrices(before, now, after, 7.2 * power, size)


def average_exposures(
    picture: Floats, matrices: Sequence[Doubles], size: tuple[int, int], warp: Warp
) -> Floats:
    """Average the picture seen through each of the matrices.

    Args:
        picture: (S, S) or (S, S, C) float32.
        matrices: (2, 3) each; with one the result is exactly what `warp` gives.
        size: (width, height) of the result.
        warp: (picture, to_from, size) -> the picture seen through it.

    Returns:
        (height, width[, C]) float32.
    """
    if len(matrices) == 1:
        return warp(picture, matrices[0], size)
    total = np.array(warp(picture, matrices[0], size), np.float32)
    for matrix in matrices[1:]:
        total += warp(picture, matrix, size)
    return total * np.float32(1 / len(matrices))
