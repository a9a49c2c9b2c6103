"""Colour maps: functions of colour that give one face the colours of another.

A map is a function of colour alone, so it serves the face it was fitted on, any other picture, or a
table on a graphics card. Every fit is deterministic. All colours are RGB, (N, 3) or (H, W, 3). The
maps that follow whole distributions stand in `sliced_transport`. Three kinds of maps are known by a
few parameters, which may be averaged: `LabMap`, `LinearMap` and `TableMap`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from understudy.core.color.lab import (
    MIN_WEIGHT,
    apply_matrix,
    lab_from_rgb,
    rgb_from_lab,
    weighted_mean_std,
)
from understudy.core.color.reinhard import GAIN_LIMITS, fit_lab_shift, shift_lab
from understudy.types import Doubles, Floats

ColorMap = Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True)
class Pixels:
    """Colours (N, 3) float32 in 0..1, and how much each counts, (N,) float32 above 0."""

    colors: Floats
    weight: Floats

    @classmethod
    def of(cls, picture: Floats, weight: Floats) -> Pixels:
        """Take those pixels of a picture that count at all.

        Args:
            picture: (H, W, 3) float32.
            weight: (H, W) in 0..1.
        """
        counting = weight > 0
        if counting.all():
            return cls(picture.reshape(-1, picture.shape[-1]), weight.ravel())
        return cls(picture[counting], weight[counting])

    @property
    def are_enough(self) -> bool:
        """Whether their statistics say anything about a face."""
        return bool(self.weight.sum() >= MIN_WEIGHT)


ColorFit = Callable[[Pixels, Pixels], ColorMap]


@dataclass(frozen=True, slots=True)
class LabMap:
    """Moves every channel of CIE LAB on its own.

    parameters: (2, 3), gain and shift of L, a and b.
    """

    parameters: Floats

    def __call__(self, colors: Floats) -> Floats:
        lab = lab_from_rgb(colors)
        # As a change: the way to LAB and back is not exact.
        return colors + (rgb_from_lab(shift_lab(lab, self.parameters)) - rgb_from_lab(lab))

    @classmethod
    def none(cls) -> LabMap:
        """Moves nothing."""
        return cls(np.array([[1, 1, 1], [0, 0, 0]], np.float32))


@dataclass(frozen=True, slots=True)
class LinearMap:
    """Turns and stretches RGB. parameters: (3, 4), a matrix and a shift."""

    parameters: Floats

    def __call__(self, colors: Floats) -> Floats:
        return apply_matrix(colors, self.parameters)

    @classmethod
    def none(cls) -> LinearMap:
        """Moves nothing."""
        return cls(np.eye(3, 4, dtype=np.float32))


@dataclass(frozen=True, slots=True)
class TableMap:
    """Looks up how far a colour moves.

    parameters: (T, T, T, 3), the moves of evenly spaced colours, see `tabulate`.
    """

    parameters: Floats

    def __call__(self, colors: Floats) -> Floats:
        return colors + _interpolate(self.parameters, colors.reshape(-1, 3)).reshape(colors.shape)

    @classmethod
    def of(cls, wanted: ColorMap, size: int) -> TableMap:
        """The map, known at `size` values of each channel."""
        return cls(tabulate(wanted, size) - tabulate(lambda colors: colors, size))

    @classmethod
    def none(cls, size: int) -> TableMap:
        """Moves nothing."""
        return cls(np.zeros((size, size, size, 3), np.float32))


def tabulate(wanted: ColorMap, size: int) -> Floats:
    """Evaluate the map at evenly spaced colours; look between them for all others.

    Args:
        wanted: The map.
        size: Values of each channel.

    Returns:
        (size, size, size, 3) float32, indexed by blue, green, red.
    """
    steps = np.linspace(0, 1, size, dtype=np.float32)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    return wanted(np.stack([red, green, blue], -1).reshape(-1, 3)).reshape(size, size, size, 3)


def fit_lab_moments(face: Pixels, like: Pixels) -> LabMap:
    """rct: move mean and spread of every CIE LAB channel to those of `like`.

    Ratios of spreads are held within 0.5..2. Reinhard et al., Color Transfer between Images (2001),
    with weighted statistics.
    """
    ours, theirs = (
        weighted_mean_std(lab_from_rgb(each.colors), each.weight) for each in (face, like)
    )
    return LabMap(fit_lab_shift(ours, theirs))


def fit_covariance_roots(face: Pixels, like: Pixels) -> LinearMap:
    """lct: mean and covariance, by the roots of both covariances: C_like^1/2 C_face^-1/2."""
    (mean, spread), (mean_wanted, spread_wanted) = (
        weighted_covariance(face),
        weighted_covariance(like),
    )
    return _limit_stretch(
        mean, matrix_power(spread_wanted, 0.5) @ matrix_power(spread, -0.5), mean_wanted
    )


def fit_monge_kantorovich(face: Pixels, like: Pixels) -> LinearMap:
    """mkl: mean and covariance, by the map that moves colours least.

    F^-1/2 (F^1/2 L F^1/2)^1/2 F^-1/2: Pitié and Kokaram, The linear Monge-Kantorovitch linear
    colour mapping (2007).
    """
    (mean, spread), (mean_wanted, spread_wanted) = (
        weighted_covariance(face),
        weighted_covariance(like),
    )
    root, back = matrix_power(spread, 0.5), matrix_power(spread, -0.5)
    return _limit_stretch(
        mean, back @ matrix_power(root @ spread_wanted @ root, 0.5) @ back, mean_wanted
    )


def weighted_covariance(pixels: Pixels) -> tuple[Doubles, Doubles]:
    """Return the weighted mean (3,) and covariance (3, 3) of the pixels.

    A flat colour varies by as little as noise, so that the covariance can be inverted.
    """
    planes = np.ascontiguousarray(pixels.colors.T)
    total = pixels.weight.sum(dtype=np.float64)
    mean = (planes * pixels.weight).sum(1, dtype=np.float64) / total
    aside = planes - mean.astype(np.float32)[:, None]
    weighted = aside * pixels.weight
    spread = np.stack([(weighted * each).sum(1, dtype=np.float64) for each in aside]) / total
    return mean, spread + _NOISE * np.eye(len(mean))


def linear_about_mean(mean: Doubles, turn: Doubles, mean_wanted: Doubles) -> LinearMap:
    """Return the map colours -> turn (colours - mean) + mean_wanted.

    Args:
        mean: (3,).
        turn: (3, 3).
        mean_wanted: (3,).
    """
    return LinearMap(np.column_stack([turn, mean_wanted - turn @ mean]).astype(np.float32))


def matrix_power(matrix: Doubles, exponent: float, least: float = 1e-12) -> Doubles:
    """Raise a symmetric matrix to a power.

    Args:
        matrix: (N, N).
        exponent: The power.
        least: Eigenvalues count as no smaller than this.

    Returns:
        (N, N) float64.
    """
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.maximum(values, least) ** exponent) @ vectors.T, np.float64)


# Variance below this, a quarter of an 8-bit level's, is noise.
_NOISE: Final = 1e-6


def _limit_stretch(mean: Doubles, turn: Doubles, mean_wanted: Doubles) -> LinearMap:
    """As `linear_about_mean`, but no axis is stretched or squeezed beyond `GAIN_LIMITS`."""
    left, stretch, right = np.linalg.svd(turn)
    return linear_about_mean(mean, (left * np.clip(stretch, *GAIN_LIMITS)) @ right, mean_wanted)


def _interpolate(moves: Floats, colors: Floats) -> Floats:
    """A table's moves (T, T, T, 3) of colours (N, 3), linear between its own.

    Beyond 0..1 they are as at the border.
    """
    size = len(moves)
    places = np.clip(np.ascontiguousarray(colors.T), 0, 1) * np.float32(size - 1)
    below = np.minimum(places.astype(np.intp), size - 2)
    # Whole numbers less floats would be doubles.
    red, green, blue = places - below.astype(np.float32)
    first = below[0] + size * (below[1] + size * below[2])
    corners = [first + step for step in (0, 1, size, size + 1)]
    corners += [each + size * size for each in corners]
    found = np.empty_like(colors)
    for channel in range(3):
        plane = np.ascontiguousarray(moves[..., channel]).ravel()
        at = [plane.take(each) for each in corners]
        for part in (red, green, blue):
            at = [low + (high - low) * part for low, high in zip(at[::2], at[1::2], strict=True)]
        found[:, channel] = at[0]
    return found
