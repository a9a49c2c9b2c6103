"""The grain of the footage, measured on the plate and given to the new face.

Grain is told apart by octave (the detail between two blurs, each twice as wide as the last), by
luma and by channel. How alike the channels' grains are shows in their mean: what is independent
averages out there.
"""

from __future__ import annotations

import itertools
import zlib
from functools import cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.core import image
from understudy.types import Array, Doubles, Floats

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
# Of a variance that rounding to 8 bits makes half counts as grain; of a larger one, all.
_ROUNDING: Final = (0.5 / 255) ** 2


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
    lacking *= lacking**2 / (lacking**2 + _ROUNDING**2)
    if amount == 0 or not lacking.any():
        return layer
    alike, own = (gain * amount / 100 for gain in _gains(lacking))
    levels = np.arange(256) / 255
    at = np.clip(np.rint(_luma(layer) * 255), 0, 255).astype(np.uint8)
    shift = np.random.default_rng(seed).integers(0, _TILE, (len(_BLURS), 2))
    result = layer.copy()
    for octave, tile in enumerate(_tiles()):
        noise = _cut(tile, shift[octave] + origin[::-1], at.shape)
        for gain, kind in ((alike, noise[..., 3:]), (own, noise[..., :3])):
            if gain[octave].any():
                table = np.stack([np.interp(levels, _LUMAS, each) for each in gain[octave].T], -1)
                result += kind * table.astype(np.float32)[at]
    return np.asarray(np.clip(result, 0, 1), np.float32)


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
    edges = _squares(_slope(grey)).ravel()[counted]
    usual = float(np.average(edges, weights=shown[counted]))
    flat = shown[counted] / (1 + (edges / max(usual, 1e-6)) ** 4)
    near = (
        np.stack(
            [np.interp(_squares(grey).ravel()[counted], _LUMAS, row) for row in np.eye(len(_LUMAS))]
        )
        * flat
    )
    for octave, energy in enumerate(
        _energies(np.asarray(cv2.transform(picture, _WITH_MEAN), np.float32))
    ):
        for channel, each in enumerate(energy[counted].T):
            order = np.argsort(each, kind="stable")
            whole = _quantile(each, flat, order)
            for level, weight in enumerate(near):
                count = float(weight.sum())
                own = _quantile(each, weight, order) if count > 0 else whole
                result[octave, level, channel] = (own * count + whole * _BORROWED) / (
                    count + _BORROWED
                )
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
    """How steep what is coarser than grain is."""
    soft = cv2.GaussianBlur(grey, (0, 0), 2 * _BLURS[-1])
    across, down = (cv2.Sobel(soft, cv2.CV_32F, dx, 1 - dx) for dx in (1, 0))
    return np.asarray(cv2.magnitude(across, down), np.float32)


def _luma(picture: Floats) -> Floats:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.float32)


def _energies(channels: Floats) -> list[Floats]:
    """The mean square of every octave in every square, (N, 4) each. channels: (H, W, 4)."""
    blurred = [
        channels,
        *(np.asarray(cv2.GaussianBlur(channels, (0, 0), sigma), np.float32) for sigma in _BLURS),
    ]
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


def _quantile(values: Floats, weight: Floats, order: NDArray[np.int64]) -> float:
    """The value below which the chosen share of the weight lies. order: that sorts the values."""
    weight = weight[order]
    total = np.cumsum(weight, dtype=np.float64)
    return float(np.interp(_QUANTILE * total[-1], total - weight / 2, values[order]))


def _cut(tile: Floats, at: Array, shape: tuple[int, ...]) -> Floats:
    """A region of the endless plane that the tile repeats in."""
    rows, columns = (
        (np.arange(side) + int(start)) % _TILE for start, side in zip(at, shape, strict=True)
    )
    return np.asarray(tile[rows[:, None], columns], np.float32)


@cache
def _tiles() -> Floats:
    """Noise of each octave, of variance 1 and without a seam, (3, 512, 512, 4)."""
    white = np.random.default_rng(0).standard_normal((len(_BLURS), _TILE, _TILE, 4))
    across = np.fft.fftfreq(_TILE)
    square = across[:, None] ** 2 + np.fft.rfftfreq(_TILE) ** 2
    passed = [
        np.ones_like(square),
        *(np.exp(-2 * (np.pi * sigma) ** 2 * square) for sigma in _BLURS),
    ]
    noise = []
    for octave, (fine, coarse) in enumerate(itertools.pairwise(passed)):
        band = np.fft.irfft2(
            np.fft.rfft2(white[octave], axes=(0, 1)) * (fine - coarse)[..., None],
            s=(_TILE, _TILE),
            axes=(0, 1),
        )
        noise.append(band / band.std())
    return np.stack(noise).astype(np.float32)


@cache
def _unmixing() -> Doubles:
    """From variances as measured to the strength of each octave's noise, (3, 3).

    It also undoes the quantile's bias.
    """
    even = np.ones(_TILE**2 // _SQUARE**2 * 4, np.float32)
    seen = [
        [_quantile(each, even, np.argsort(each)) for each in map(np.ravel, _energies(tile))]
        for tile in _tiles()
    ]
    return np.asarray(np.linalg.inv(np.array(seen).T), np.float64)
