"""Draws faces by yaw, in radians, above 0 to the picture's left, as `estimate_pose` has it."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from understudy.core.row_blocks import Rows
from understudy.types import Floats

# Drawing evenly, and following another side: so many bins over plus and minus so much; the outer
# ones take all beyond.
_EVENLY: Final = (128, 1.2)
_FOLLOWING: Final = (64, 1.0)


def sample_uniform(rng: np.random.Generator, yaw: Floats, count: int) -> Rows:
    """Draw rows such that every yaw that is there comes as often as any other.

    Args:
        rng: Where the random numbers come from.
        yaw: (N,) radians.
        count: Rows to draw.

    Returns:
        (count,) rows: for each a bin with faces, then one of them.
    """
    bins = _bins(yaw, *_EVENLY)
    return _one_of_each(rng, bins, rng.choice(np.unique(bins), count))


def sample_matching(
    rng: np.random.Generator, yaw: Floats, wanted: Floats, flips: bool
) -> tuple[Rows, NDArray[np.bool_]]:
    """Draw for each wanted yaw a row near it: one of the nearest bin.

    Args:
        rng: Where the random numbers come from.
        yaw: (N,) radians.
        wanted: (M,) radians.
        flips: A face that turns to the other side serves too, mirrored.

    Returns:
        (M,) rows, and (M,) whether to mirror that face.
    """
    bins, goals = _bins(yaw, *_FOLLOWING), _bins(wanted, *_FOLLOWING)
    last = _FOLLOWING[0] - 1
    filled = np.unique(bins)
    # Of equally near bins first the lower, then its mirror image, then the higher, then its.
    orders = [_order(filled, goals[:, None], 0)]
    if flips:
        orders.append(_order(filled, last - goals[:, None], 1))
    chosen = filled[np.min(orders, axis=0).argmin(1)]
    mirrored = (chosen > last // 2) != (goals > last // 2)
    return _one_of_each(rng, bins, chosen), mirrored & flips


def _bins(yaw: Floats, count: int, reach: float) -> Rows:
    return np.clip(np.floor((yaw / reach + 1) / 2 * count), 0, count - 1).astype(np.int64)


def _order(filled: Rows, goals: Rows, place: int) -> Rows:
    """When the search comes to each bin: by distance, then by `place`, above the goal later."""
    return np.asarray(np.abs(filled - goals) * 4 + place + 2 * (filled > goals), np.int64)


def _one_of_each(rng: np.random.Generator, bins: Rows, chosen: Rows) -> Rows:
    return np.array([rng.choice(np.flatnonzero(bins == each)) for each in chosen], np.int64)
