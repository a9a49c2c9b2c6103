"""Colour maps: from the colours of two faces to a function that gives the one the colours of the other.

A map is a function of colour alone, so it serves the face it was fitted on, any other picture, or a table on a graphics card.
Every fit is deterministic. All colours are RGB. The maps that follow whole distributions stand in `color_transport`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from understudy.core import color
from understudy.types import Doubles, Floats

ColorMap = Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True)
class Pixels:
    """Colours (N, 3) float32 in 0..1, and how much each counts, (N,) float32 above 0."""

    colors: Floats
    weight: Floats

    @classmethod
    def of(cls, picture: Floats, weight: Floats) -> Pixels:
        """Those of a picture (H, W, 3) that count at all; weight: (H, W) in 0..1."""
        counting = weight > 0
        return cls(picture[counting], weight[counting])

    @property
    def are_enough(self) -> bool:
        """Whether their statistics say anything about a face."""
        return bool(self.weight.sum() >= color.LEAST_WEIGHT)


Fit = Callable[[Pixels, Pixels], ColorMap]


def transferred(face: Floats, like: Floats, weight: Floats, fit: Fit, *, everywhere: bool = False, smooth: float = 0) -> Floats:
    """The whole face through the map that `fit` finds from it to `like`; unchanged where the mask leaves too little to go by.

    face, like: (S, S, 3) in 0..1. weight: (S, S) in 0..1, how much each pixel counts; everywhere: all count alike. smooth: how
    far the change is blurred, as a share of S, so that detail stays the face's own.
    """
    counts = np.ones_like(weight) if everywhere else weight
    ours, theirs = Pixels.of(face, counts), Pixels.of(like, counts)
    if not ours.are_enough:
        return face
    moved = fit(ours, theirs)(face.reshape(-1, 3)).reshape(face.shape)
    if smooth:
        moved = face + _blurred(moved - face, counts, smooth * face.shape[0])
    return np.clip(moved, 0, 1)


def table(wanted: ColorMap, size: int) -> Floats:
    """The map at evenly spaced colours, (size, size, size, 3), indexed by blue, green, red: look between them for all others."""
    steps = np.linspace(0, 1, size, dtype=np.float32)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    return wanted(np.stack([red, green, blue], -1).reshape(-1, 3)).reshape(size, size, size, 3)


def moments(face: Pixels, like: Pixels) -> ColorMap:
    """rct: mean and spread of every CIE LAB channel; see `color.reinhard`."""
    ours, theirs = (color.statistics(lab_of(each.colors), each.weight) for each in (face, like))
    return lambda colors: rgb_of(color.moved_lab(lab_of(colors), ours, theirs))


def roots(face: Pixels, like: Pixels) -> ColorMap:
    """lct: mean and covariance, by the roots of both covariances: C_like^1/2 C_face^-1/2."""
    (mean, spread), (mean_wanted, spread_wanted) = covariance(face), covariance(like)
    return _linear(mean, _power(spread_wanted, 0.5) @ _power(spread, -0.5), mean_wanted)


def monge(face: Pixels, like: Pixels) -> ColorMap:
    """mkl: mean and covariance, by the map that moves colours least: F^-1/2 (F^1/2 L F^1/2)^1/2 F^-1/2.

    Pitié and Kokaram, The linear Monge-Kantorovitch linear colour mapping (2007).
    """
    (mean, spread), (mean_wanted, spread_wanted) = covariance(face), covariance(like)
    root, back = _power(spread, 0.5), _power(spread, -0.5)
    return _linear(mean, back @ _power(root @ spread_wanted @ root, 0.5) @ back, mean_wanted)


def covariance(pixels: Pixels) -> tuple[Doubles, Doubles]:
    """Weighted mean (3,) and covariance (3, 3); a flat colour varies by as little as noise, so that it can be inverted."""
    share = pixels.weight.astype(np.float64) / pixels.weight.sum(dtype=np.float64)
    colors = pixels.colors.astype(np.float64)
    mean = share @ colors
    aside = colors - mean
    return mean, (aside * share[:, None]).T @ aside + _NOISE * np.eye(len(mean))


def lab_of(colors: Floats) -> Floats:
    """CIE LAB of colours (N, 3)."""
    return np.asarray(color.lab_from_rgb(colors[None])[0], np.float32)


def rgb_of(colors: Floats) -> Floats:
    """Colours of CIE LAB (N, 3)."""
    return np.asarray(color.rgb_from_lab(colors[None])[0], np.float32)


# Variance below this, a quarter of an 8-bit level's, is noise.
_NOISE: Final = 1e-6


def _linear(mean: Doubles, turn: Doubles, mean_wanted: Doubles) -> ColorMap:
    """The map colours -> turn (colours - mean) + mean_wanted; nowhere does it stretch or squeeze more than a spread may change."""
    left, stretch, right = np.linalg.svd(turn)
    held = ((left * np.clip(stretch, *color.RATIO)) @ right).T.astype(np.float32)
    start, goal = mean.astype(np.float32), mean_wanted.astype(np.float32)
    return lambda colors: (colors - start) @ held + goal


def _power(matrix: Doubles, power: float) -> Doubles:
    """A power of a symmetric matrix with eigenvalues above 0."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.maximum(values, _NOISE**2) ** power) @ vectors.T, np.float64)


def _blurred(change: Floats, weight: Floats, sigma: float) -> Floats:
    """The change, averaged with what counts around it."""
    # Far from all that counts, everything counts a little.
    counts = (weight + np.float32(1e-3))[..., None]
    total = cv2.GaussianBlur(counts, (0, 0), sigma)[..., None]
    return np.asarray(cv2.GaussianBlur(change * counts, (0, 0), sigma) / total, np.float32)
