"""The grain of the footage, measured on the plate and given to the new face.

Grain is told apart by octave (the detail between two blurs, each twice as wide as the last), by
luma and by channel. How alike the channels' grains are shows in their mean: what is independent
averages out there.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Iterator
from functools import cache
from typing import Final

import cv2
import numpy as np

from understudy.core import image
from understudy.types import Array, Doubles, Floats

Place = tuple[slice, slice]

# Standard deviations, in pixels, of the blurs between the octaves.
_BLURS: Final = (0.7, 1.4, 2.8)
# The lumas at which grain is told; in between it runs evenly.
_LUMAS: Final = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
# Grain is measured in squares of so many pixels, and judged by this quantile of them: the busier
# ones hold features.
_SQUARE: Final = 8
_QUANTILE: Final = 0.3
# So many squares of the whole face speak for a luma beside its own.
_BORROWED: Final = 20.0
_TILE: Final = 512
# From R G B to these and their mean.
_WITH_MEAN: Final = np.vstack([np.eye(3), np.full((1, 3), 1 / 3)]).astype(np.float32)
# Grain is measured in so many patches each way, of so many pixels a side: more would cost much and
# tell little.
_PATCH: Final = 64
_FACE_PATCHES, _FRAME_PATCHES = 4, 6
# Of grain of three quarters of a level of 255, as rounding and codecs make it, half the variance
# counts; of much stronger grain, all.
_FAINT: Final = (0.75 / 255) ** 2
# Of a variance below this a tenth of a level would be given, which nobody sees.
_UNSEEN: Final = (0.4 / 255) ** 2


def fit(plate: Floats, layer: Floats, matte: Floats, frame: Floats | None = None) -> Floats:
    """Measure how much grain the plate has and how much the layer.

    Args:
        plate: (H, W, 3) float32 in 0..1.
        layer: (H, W, 3) float32 in 0..1 of the same region.
        matte: (H, W); only what it shows is looked at.
        frame: From `frame_level`: skin, stubble and hair may have fine detail of their own, and
            grain is no more than the frame has elsewhere. None = the region alone tells.

    Returns:
        (2, 3, 5, 4) float32 variances: plate and layer, octaves, lumas, R G B and their mean. All 0
        where less than a square of 8 x 8 is shown. Averages over frames are variances, too.
    """
    found, ours = (
        _variances(image.as_float(patches), weight)
        for patches, weight in (_patches(each, matte, _FACE_PATCHES) for each in (plate, layer))
    )
    return np.stack([found if frame is None else np.minimum(found, frame), ours])


def frame_level(plate: Array) -> Floats:
    """Measure the grain of a whole frame, in patches spread over it.

    Args:
        plate: (H, W, 3) uint8, uint16 or float32.

    Returns:
        (3, 5, 4) float32 variances, as in `fit`.
    """
    shown = np.ones(plate.shape[:2], np.float32)
    patches, weight = _patches(plate, shown, _FRAME_PATCHES)
    return _variances(image.as_float(patches), weight)


def apply(
    layer: Floats, params: Floats, amount: float, seed: int, origin: tuple[int, int] = (0, 0)
) -> Floats:
    """Give the layer grain like the plate's, as far as it lacks any.

    Args:
        layer: (H, W, 3) float32 in 0..1.
        params: From `fit`.
        amount: Percent of what is lacking.
        seed: Which grain, see `frame_seed`.
        origin: (x, y) in the frame where the layer begins. Grain sticks to the frame, so it does
            not wander with the region's border.

    Returns:
        (H, W, 3) float32 in 0..1.
    """
    lacking = np.maximum(np.asarray(params[0], np.float64) - params[1], 0)
    at_luma = lacking[..., :3].sum(0).mean(-1)
    if amount == 0 or at_luma.max() < _UNSEEN:
        return layer
    lacking *= (at_luma**2 / (at_luma**2 + _FAINT**2))[:, None]
    alike, own = (gain * amount / 100 for gain in _gains(lacking))
    levels = np.arange(256) / 255
    at = np.asarray(cv2.convertScaleAbs(_luma(layer), alpha=255), np.uint8)
    shift = np.random.default_rng(seed).integers(0, _TILE, (len(_BLURS), 2))
    result = layer.copy()
    for octave, tile in enumerate(_tiles()):
        tables = [
            np.stack([np.interp(levels, _LUMAS, each) for each in gain[octave].T], -1)
            for gain in (alike, own)
        ]
        shared, single = (table.astype(np.float32) for table in tables)
        for place, part in _repeats(shift[octave] + origin[::-1], at.shape):
            noise = tile[part]
            if single.any():
                result[place] += noise[..., :3] * np.take(single, at[place], 0)
            if shared.any():
                result[place] += noise[..., 3:] * np.take(shared, at[place], 0)
    return np.asarray(np.clip(result, 0, 1, out=result), np.float32)


def frame_seed(plate: Array) -> int:
    """Return a number made of the frame's own pixels, so that a still plate has still grain.

    Args:
        plate: (H, W, 3) of any dtype; every eighth row counts.
    """
    return zlib.crc32(np.ascontiguousarray(plate[::8]).tobytes())


def _gains(variances: Doubles) -> tuple[Doubles, Doubles]:
    """Deviations of the noise that the channels share, and of that which each has for itself.

    variances: (3, 5, 4). Both results (3, 5, 3).
    """
    # An octave's noise is seen in its neighbours, too: so much of each makes what was measured.
    made = np.maximum(np.tensordot(_unmixing(), variances, 1), 0)
    single, mean = np.sqrt(made[..., :3]), made[..., 3]
    squares, crossed = (single**2).sum(-1), single.sum(-1) ** 2
    # Of channels with a correlation r the mean has the variance (squares + r * (crossed - squares))
    # / 9.
    alike = np.clip((9 * mean - squares) / np.maximum(crossed - squares, 1e-12), 0, 1)[..., None]
    return single * np.sqrt(alike), single * np.sqrt(1 - alike)


def _variances(picture: Floats, matte: Floats) -> Floats:
    """The variance of the grain at every octave and luma, (3, 5, 4)."""
    grey = _luma(picture)
    shown = _squares(matte).ravel()
    counted = shown > 0.5
    result = np.zeros((len(_BLURS), len(_LUMAS), 4), np.float32)
    if not counted.any():
        return result
    # Where even the blurred picture has edges there are features, and what is fine there belongs to
    # them.
    edges = _slope(grey).ravel()[counted]
    usual = float(np.average(edges, weights=shown[counted]))
    flat = shown[counted] / (1 + (edges / max(usual, 1e-6)) ** 4)
    lumas = _squares(grey).ravel()[counted]
    near = flat * np.stack([np.interp(lumas, _LUMAS, row) for row in np.eye(len(_LUMAS))])
    count = near.sum(1)[:, None]
    channels = np.asarray(cv2.transform(picture, _WITH_MEAN), np.float32)
    for octave, energy in enumerate(_energies(channels)):
        *own, whole = _quantiles(energy[counted], np.vstack([near, flat]))
        result[octave] = (own * count + whole * _BORROWED) / (count + _BORROWED)
    return result


def _patches(picture: Array, weight: Floats, count: int) -> tuple[Array, Floats]:
    """At most count x count patches of a picture, one below the other, and what counts of each.

    A picture that is hardly larger than they are comes as it is.
    """
    height, width = weight.shape
    down, across = (min(side // _PATCH, count) for side in (height, width))
    if down * across * _PATCH**2 > 0.6 * height * width or not down * across:
        return picture, weight
    tops, lefts = (
        np.linspace(0, side - _PATCH, many).astype(int)
        for side, many in ((height, down), (width, across))
    )
    places = [np.s_[y : y + _PATCH, x : x + _PATCH] for y in tops for x in lefts]
    # What a blur reaches beyond a patch is another one.
    inner = np.zeros((_PATCH, _PATCH), np.float32)
    inner[_SQUARE:-_SQUARE, _SQUARE:-_SQUARE] = 1
    return (
        np.concatenate([picture[place] for place in places]),
        np.concatenate([weight[place] * inner for place in places]),
    )


def _slope(grey: Floats) -> Floats:
    """How steep what is coarser than grain is, in every square, up to a factor."""
    half = _SQUARE // 2
    down, across = (side // _SQUARE for side in grey.shape)
    whole = grey[: down * _SQUARE, : across * _SQUARE]
    small = cv2.resize(whole, (2 * across, 2 * down), interpolation=cv2.INTER_AREA)
    soft = image.blur(np.asarray(small, np.float32), 2 * _BLURS[-1] / half)
    steep = cv2.magnitude(*(cv2.Sobel(soft, cv2.CV_32F, dx, 1 - dx) for dx in (1, 0)))
    return np.asarray(cv2.resize(steep, (across, down), interpolation=cv2.INTER_AREA), np.float32)


def _luma(picture: Floats) -> Floats:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.float32)


def _energies(channels: Floats) -> list[Floats]:
    """The mean square of every octave in every square, (N, 4) each. channels: (H, W, 4)."""
    blurred = [channels, *(image.blur(channels, sigma) for sigma in _BLURS)]
    return [
        _squares((fine - coarse) ** 2).reshape(-1, 4)
        for fine, coarse in itertools.pairwise(blurred)
    ]


def _squares(picture: Floats) -> Floats:
    """The means of whole squares of 8 x 8 pixels, (H // 8, W // 8[, C])."""
    down, across = (side // _SQUARE for side in picture.shape[:2])
    if not down * across:
        return np.zeros((down, across, *picture.shape[2:]), np.float32)
    whole = picture[: down * _SQUARE, : across * _SQUARE]
    return np.asarray(cv2.resize(whole, (across, down), interpolation=cv2.INTER_AREA), np.float32)


def _quantiles(values: Floats, weights: Floats) -> Doubles:
    """The values below which the chosen share of each weight lies.

    values: (N, C), N at least 1. weights: (W, N). (W, C) comes out.
    """
    order = np.argsort(values, axis=0, kind="stable")
    ranked = np.take_along_axis(values, order, 0)
    weight = weights[:, order].astype(np.float64)
    total = np.cumsum(weight, axis=1)
    # A value stands in the middle of its own weight.
    middle, goal = total - weight / 2, _QUANTILE * total[:, -1:]
    above = np.minimum((middle < goal).sum(1), len(values) - 1)
    below = np.maximum(above - 1, 0)
    start, end = (np.take_along_axis(middle, each[:, None], 1)[:, 0] for each in (below, above))
    share = np.clip((goal[:, 0] - start) / np.maximum(end - start, 1e-12), 0, 1)
    low, high = (np.take_along_axis(ranked, each, 0) for each in (below, above))
    return np.asarray(low + share * (high - low), np.float64)


def _repeats(at: Array, shape: tuple[int, ...]) -> Iterator[tuple[Place, Place]]:
    """The parts of a region of the endless plane that the tile repeats in.

    at: (y, x) where the region begins. Each part comes as its place in the region and in the tile.
    """
    for y, row, height in _pieces(int(at[0]), shape[0]):
        for x, column, width in _pieces(int(at[1]), shape[1]):
            yield (
                np.s_[y : y + height, x : x + width],
                np.s_[row : row + height, column : column + width],
            )


def _pieces(start: int, length: int) -> Iterator[tuple[int, int, int]]:
    """A stretch, cut where tiles end: where each piece begins, there and in the tile; length."""
    done = 0
    while done < length:
        inside = (start + done) % _TILE
        piece = min(_TILE - inside, length - done)
        yield done, inside, piece
        done += piece


@cache
def _tiles() -> Floats:
    """Noise of each octave, of variance 1 and without a seam, (3, 512, 512, 4)."""
    rng, noise = np.random.default_rng(0), []
    for fine, coarse in itertools.pairwise((0.0, *_BLURS)):
        white = rng.standard_normal((_TILE, _TILE, 4), np.float32)
        reach = math.ceil(image.GAUSSIAN_REACH * coarse)
        wide = np.pad(white, ((reach, reach), (reach, reach), (0, 0)), "wrap")
        band = (image.blur(wide, fine) if fine else wide) - image.blur(wide, coarse)
        band = band[reach : reach + _TILE, reach : reach + _TILE]
        noise.append(band / band.std())
    return np.stack(noise)


@cache
def _unmixing() -> Doubles:
    """From variances as measured to the strength of each octave's noise, (3, 3).

    It also undoes the quantile's bias.
    """
    even = np.ones((1, _TILE**2 // _SQUARE**2), np.float32)
    seen = [[float(_quantiles(each, even).mean()) for each in _energies(tile)] for tile in _tiles()]
    return np.asarray(np.linalg.inv(np.array(seen).T), np.float64)
