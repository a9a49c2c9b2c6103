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


def fit(plate: Floats, layer: Floats, matte: Floats) -> Floats:
    """Measure how much grain the plate has and how much the layer.

    Args:
        plate: (H, W, 3) float32 in 0..1.
        layer: (H, W, 3) float32 in 0..1 of the same region.
        matte: (H, W); only what it shows is looked at.

    Returns:
        (2, 3, 5, 4) float32 variances: plate and layer, octaves, lumas, R G B and their mean. All 0
        where less than a square of 8 x 8 is shown. Averages over frames are variances, too.
    """
    return np.stack([_variances(plate, matte), _variances(layer, matte)])


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
    if amount == 0 or not lacking.any():
        return layer
    alike, own = (gain * amount / 100 for gain in _gains(lacking))
    levels = np.arange(256) / 255
    at = np.clip(np.rint(_luma(layer) * 255), 0, 255).astype(np.uint8)
    shift = np.random.default_rng(seed).integers(0, _TILE, (len(_BLURS), 2))
    result = layer.copy()
    for octave, tile in enumerate(_tiles()):
        noise = _cut(tile, shift[octave] + origin[::-1], at.shape)
        for channel in range(3):
            common, single = (
                np.interp(levels, _LUMAS, gain[octave, :, channel]).astype(np.float32)
                for gain in (alike, own)
            )
            result[..., channel] += noise[..., 3] * common[at] + noise[..., channel] * single[at]
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
        _energies(np.concatenate([picture, picture.mean(-1, keepdims=True)], -1))
    ):
        for channel, each in enumerate(energy[counted].T):
            whole = _quantile(each, flat)
            for level, weight in enumerate(near):
                count = float(weight.sum())
                own = _quantile(each, weight) if count > 0 else whole
                result[octave, level, channel] = (own * count + whole * _BORROWED) / (
                    count + _BORROWED
                )
    return result


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
    whole = picture[: down * _SQUARE, : across * _SQUARE]
    return np.asarray(
        whole.reshape(down, _SQUARE, across, _SQUARE, *picture.shape[2:]).mean((1, 3)), np.float32
    )


def _quantile(values: Floats, weight: Floats) -> float:
    """The value below which the chosen share of the weight lies."""
    order = np.argsort(values, kind="stable")
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
    seen = [[_quantile(energy.ravel(), even) for energy in _energies(tile)] for tile in _tiles()]
    return np.asarray(np.linalg.inv(np.array(seen).T), np.float64)
