"""Histogram match: each channel of the new face takes over the distribution of dst's values."""

from __future__ import annotations

from functools import partial
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.core.color import lab
from understudy.core.color.reinhard import GAIN_LIMITS
from understudy.core.color.transfer import Transfer, pixelwise_transfer
from understudy.types import Doubles, Floats

# A curve is known at so many levels of the channel, and straight between them.
_LEVELS: Final = np.linspace(0, 1, 256)


def histogram_match(masked: bool, threshold: int = 255) -> Transfer:
    """Match each channel by the curve that gives it dst's quantiles: parameters (3, 256).

    They are the curve at 256 even levels. A channel's spread is at most doubled. Beyond the face's
    own values the last one's move holds.

    masked: pixels count as the weight says; else all count alike. threshold: 0..255, so much of
    dst's 255 is matched, from its dark end; less cuts highlights off.
    """
    return Transfer(partial(_fit_curves, masked=masked, threshold=threshold), _apply_curves)


def histogram_match_dfl(masked: bool, threshold: int = 255) -> Transfer:
    """The same by DeepFaceLab's formula, on every single value: see `transfer.pixelwise_transfer`.

    masked: what lies outside of the area, where the weight is 0, is white in both faces, so the
    brightest part is made of it.
    """
    return pixelwise_transfer(partial(_changes, masked=masked, threshold=threshold))


def to_grey(face: Floats) -> Floats:
    """Return the face without its colours.

    Args:
        face: (S, S, 3) float32.

    Returns:
        (S, S, 3) float32, three equal channels.
    """
    return np.repeat(
        np.asarray(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), np.float32)[..., None], 3, axis=2
    )


def _fit_curves(face: Floats, like: Floats, weight: Floats, masked: bool, threshold: int) -> Floats:
    counts = (weight if masked else np.ones_like(weight)).ravel()
    if counts.sum() < lab.MIN_WEIGHT:
        return np.tile(_LEVELS, (3, 1)).astype(np.float32)
    pairs = (
        (_distribution(face[..., channel], counts), _distribution(like[..., channel], counts))
        for channel in range(3)
    )
    return np.stack([_match_curve(ours, theirs, threshold / 255) for ours, theirs in pairs]).astype(
        np.float32
    )


def _apply_curves(face: Floats, parameters: Floats, weight: Floats) -> Floats:
    moved = np.empty_like(face)
    # As moves: a curve that changes nothing changes not even the last bit.
    for channel, moves in enumerate(parameters - _LEVELS.astype(np.float32)):
        values = face[..., channel].ravel()
        below, part = _level_positions(values)
        low = moves.take(below)
        moved[..., channel] = (values + low + (moves.take(below + 1) - low) * part).reshape(
            face.shape[:2]
        )
    return np.clip(moved, 0, 1, out=moved)


def _changes(face: Floats, like: Floats, weight: Floats, masked: bool, threshold: int) -> Floats:
    inside = (weight > 0)[..., None] | (not masked)
    ours, theirs = np.where(inside, face, np.float32(1)), np.where(inside, like, np.float32(1))
    changes = np.empty_like(face)
    for channel in range(3):
        _, place, count = np.unique(ours[..., channel], return_inverse=True, return_counts=True)
        wanted, count_wanted = np.unique(theirs[..., channel], return_counts=True)
        ranks, ranks_wanted = (
            threshold * np.cumsum(count) / weight.size,
            255 * np.cumsum(count_wanted) / weight.size,
        )
        changes[..., channel] = (
            np.interp(ranks, ranks_wanted, wanted)[place].reshape(weight.shape) - ours[..., channel]
        )
    return changes


def _distribution(values: Floats, counts: Floats) -> Doubles:
    """How much of the weight lies at each of the levels, (256,), sum 1.

    A value counts for both levels that it lies between.
    """
    below, part = _level_positions(values.ravel())
    upper = part * counts
    found = np.bincount(below, counts - upper, len(_LEVELS)) + np.bincount(
        below + 1, upper, len(_LEVELS)
    )
    return np.asarray(found / found.sum(), np.float64)


def _match_curve(ours: Doubles, theirs: Doubles, share: float) -> Doubles:
    """The level that each level moves to, (256,).

    By it one distribution (256,) becomes a share of the other.
    """
    seen = ours > 0
    # A level's weight lies evenly between the middles to the next levels: half of it below the
    # level itself.
    rank = np.cumsum(ours) - ours / 2
    middles = np.arange(-0.5, len(_LEVELS)) / (len(_LEVELS) - 1)
    values = np.clip(_limit_spread(middles, theirs, ours), 0, 1)
    found = np.interp(share * rank[seen], np.append(0, np.cumsum(theirs)), values)
    return np.asarray(
        _LEVELS + np.interp(_LEVELS, _LEVELS[seen], found - _LEVELS[seen]), np.float64
    )


def _limit_spread(values: Doubles, theirs: Doubles, ours: Doubles) -> Doubles:
    """Values of theirs, drawn together until no spread grows beyond `GAIN_LIMITS`."""
    (middle, spread), (_, own) = _mean_std(theirs), _mean_std(ours)
    factor = min(1, GAIN_LIMITS[1] * own / max(spread, 1e-9))
    return np.asarray(middle + (values - middle) * factor, np.float64)


def _mean_std(shares: Doubles) -> tuple[float, float]:
    mean = float(shares @ _LEVELS)
    return mean, float(np.sqrt(shares @ (_LEVELS - mean) ** 2))


def _level_positions(values: Floats) -> tuple[NDArray[np.intp], Floats]:
    """For values (N,) the level below each, and how far it lies on the way to the next, 0..1."""
    places = np.clip(values, 0, 1) * np.float32(len(_LEVELS) - 1)
    below = np.minimum(places.astype(np.intp), len(_LEVELS) - 2)
    return below, places - below.astype(np.float32)
