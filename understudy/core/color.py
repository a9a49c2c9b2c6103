"""Colour: the new face takes the light of the face it replaces. Pictures are RGB float32 in 0..1, sRGB-like."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from understudy.types import Floats

# A spread may at most double or halve: a flat prediction must not blow up into noise.
RATIO: Final = (0.5, 2.0)
# Below this many pixels' worth of weight, statistics say nothing about the face.
LEAST_WEIGHT: Final = 16.0

Moments = tuple[Floats, Floats]


def unchanged(face: Floats, like: Floats, weight: Floats) -> Floats:
    """The face as the model made it."""
    return face


def reinhard(face: Floats, like: Floats, weight: Floats) -> Floats:
    """The face with mean and spread of its CIE LAB channels moved to those of `like`.

    face, like: (S, S, 3) in 0..1. weight: (S, S) in 0..1, how much each pixel counts in both statistics; the result is
    the whole face. Ratios of spreads are held within 0.5..2. Reinhard et al., Color Transfer between Images (2001), with
    weighted statistics.
    """
    if weight.sum() < LEAST_WEIGHT:
        return face
    lab, wanted = lab_from_rgb(face), lab_from_rgb(like)
    return np.clip(rgb_from_lab(moved_lab(lab, statistics(lab, weight), statistics(wanted, weight))), 0, 1)


def moved_lab(lab: Floats, moments: Moments, wanted: Moments) -> Floats:
    """CIE LAB colours (..., 3) with the one mean and spread moved to the other; see `statistics`."""
    (mean, spread), (mean_wanted, spread_wanted) = moments, wanted
    ratio = np.asarray(np.clip(spread_wanted / np.maximum(spread, 1e-3), *RATIO), np.float32)
    moved: Floats = (lab - mean) * ratio + mean_wanted
    moved[..., 0] = np.clip(moved[..., 0], 0, 100)
    return moved


def statistics(picture: Floats, weight: Floats) -> Moments:
    """Weighted mean and standard deviation of each channel: two (3,) float32. picture: (..., 3); weight: (...), sum > 0."""
    share = (weight / weight.sum(dtype=np.float64)).astype(np.float64).ravel()
    pixels = picture.reshape(-1, picture.shape[-1]).astype(np.float64)
    mean = share @ pixels
    spread = np.sqrt(np.maximum(share @ (pixels - mean) ** 2, 0))
    return mean.astype(np.float32), spread.astype(np.float32)


def lab_from_rgb(picture: Floats) -> Floats:
    """CIE LAB (D65; L 0..100, a and b about -127..127) of sRGB in 0..1."""
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(picture, np.float32), cv2.COLOR_RGB2Lab), np.float32)


def rgb_from_lab(picture: Floats) -> Floats:
    """sRGB of CIE LAB; colours beyond what sRGB can show come out at its border."""
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(picture, np.float32), cv2.COLOR_Lab2RGB), np.float32)
