"""Colour maps that carry a whole distribution of colours over, by its shadows along many axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from understudy.core.color.lab import lab_from_rgb, rgb_from_lab
from understudy.core.color.maps import ColorMap, Pixels, fit_lab_moments
from understudy.core.color.reinhard import GAIN_LIMITS, shift_lab
from understudy.types import Doubles, Floats

# A distribution's shadow is known by so many quantiles, from so many pixels at most.
_LEVELS: Final = (np.arange(256) + 0.5) / 256
_MOST: Final = 2048
# LAB's a and b reach about this far; L is 100 at most.
_CHROMA: Final = np.float32(100)


def fit_idt(face: Pixels, like: Pixels) -> ColorMap:
    """idt: twenty times a twentieth of the way, each time along three axes that are turned anew.

    Pitié et al., Automated colour grading using colour distribution transfer (2007), relaxed.
    """
    return _fit_steps(face, like, [_orthogonal_axes(step) for step in range(20)], 1 / 20)


def fit_sliced_transport(face: Pixels, like: Pixels) -> ColorMap:
    """sot: ten times the mean of what six directions ask for.

    Sliced optimal transport: Rabin et al., Wasserstein barycenter and its application to texture
    mixing (2011).
    """
    return _fit_steps(
        face,
        like,
        [
            np.vstack([_orthogonal_axes(2 * step), _orthogonal_axes(2 * step + 1)])
            for step in range(10)
        ],
        1 / 6,
    )


def fit_mix(face: Pixels, like: Pixels) -> ColorMap:
    """mix: lightness by its mean and spread, chroma by `fit_sliced_transport`, in CIE LAB."""
    light = fit_lab_moments(face, like)
    chroma = fit_sliced_transport(
        *(Pixels(_chroma(lab_from_rgb(each.colors)), each.weight) for each in (face, like))
    )

    def moved(colors: Floats) -> Floats:
        lab = lab_from_rgb(colors)
        lightness = shift_lab(lab, light.parameters)[:, :1]
        new = np.hstack([lightness, chroma(_chroma(lab))[:, 1:] * _CHROMA])
        return colors + (rgb_from_lab(new) - rgb_from_lab(lab))

    return moved


@dataclass(frozen=True, slots=True)
class _TransportStep:
    """One step along directions (K, 3).

    Colours whose shadows fall evenly from low to high (K, 1) move by `aside` (K, 256).
    """

    directions: Doubles
    low: Doubles
    high: Doubles
    aside: Doubles

    @classmethod
    def of(cls, directions: Doubles, shadows: Doubles, aside: Doubles) -> _TransportStep:
        """For colours with these quantiles (K, 256), each to move `aside` (K, 256)."""
        low, high = shadows[:, :1], shadows[:, -1:]
        evenly = np.linspace(low[:, 0], high[:, 0], len(_LEVELS), axis=1)
        # Strictly ascending, for where many colours are the same.
        ascending = shadows + 1e-9 * np.arange(len(_LEVELS))
        return cls(
            directions,
            low,
            high,
            np.stack([np.interp(*each) for each in zip(evenly, ascending, aside, strict=True)]),
        )

    def __call__(self, colors: Doubles) -> Doubles:
        last = len(_LEVELS) - 1
        places = (self.directions @ colors.T - self.low) * (
            last / np.maximum(self.high - self.low, 1e-9)
        )
        np.clip(places, 0, last, out=places)
        below = np.minimum(places.astype(np.intp), last - 1)
        row = np.arange(len(self.directions))[:, None]
        moves, next_moves = self.aside[row, below], self.aside[row, below + 1]
        return np.asarray(
            colors + (moves + (next_moves - moves) * (places - below)).T @ self.directions,
            np.float64,
        )


def _fit_steps(face: Pixels, like: Pixels, steps: list[Doubles], share: float) -> ColorMap:
    """The map that takes a `share` of each step along every direction.

    Each step is fitted to what those before it have left.
    """
    face, like = _subsample(face), _subsample(like)
    start = colors = face.colors.astype(np.float64)
    slides: list[_TransportStep] = []
    for directions in steps:
        shadows = [
            _projected_quantiles(each @ directions.T, pixels.weight)
            for each, pixels in ((colors, face), (like.colors, like))
        ]
        held = _limit_spread(shadows[1], _weighted_std(start @ directions.T, face.weight))
        slides.append(_TransportStep.of(directions, shadows[0], share * (held - shadows[0])))
        colors = slides[-1](colors)

    def moved(wanted: Floats) -> Floats:
        found = wanted.astype(np.float64)
        for slide in slides:
            found = slide(found)
        return found.astype(np.float32)

    return moved


def _projected_quantiles(values: Doubles, weight: Floats) -> Doubles:
    """The quantiles of each column: (N, K) -> (K, 256)."""
    found = []
    for column in values.T:
        order = np.argsort(column)
        counts = weight[order].astype(np.float64)
        found.append(
            np.interp(_LEVELS, (np.cumsum(counts) - counts / 2) / counts.sum(), column[order])
        )
    return np.stack(found)


def _limit_spread(wanted: Doubles, spread: Doubles) -> Doubles:
    """Quantiles (K, 256) drawn together or apart, so that no spread changes beyond `GAIN_LIMITS`.

    spread: (K,), that of the face.
    """
    own = np.maximum(wanted.std(1), 1e-9)
    factor = np.clip(own, *(spread * limit for limit in GAIN_LIMITS)) / own
    middle = wanted.mean(1, keepdims=True)
    return np.asarray(middle + (wanted - middle) * factor[:, None], np.float64)


def _weighted_std(values: Doubles, weight: Floats) -> Doubles:
    """Weighted standard deviation of each column."""
    mean = np.average(values, axis=0, weights=weight)
    return np.asarray(np.sqrt(np.average((values - mean) ** 2, axis=0, weights=weight)), np.float64)


def _subsample(pixels: Pixels) -> Pixels:
    """The pixels, or evenly many of them."""
    count = len(pixels.colors)
    if count <= _MOST:
        return pixels
    kept = np.linspace(0, count - 1, _MOST).astype(int)
    return Pixels(pixels.colors[kept], pixels.weight[kept])


def _chroma(lab: Floats) -> Floats:
    """a and b in the place of the last two colours, and nothing in that of the first."""
    flat: Floats = lab / _CHROMA
    flat[:, 0] = 0
    return flat


def _orthogonal_axes(number: int) -> Doubles:
    """Three directions at right angles to each other, (3, 3), the same ones for a number."""
    return np.linalg.qr(np.random.default_rng(number).standard_normal((3, 3)))[0].T
