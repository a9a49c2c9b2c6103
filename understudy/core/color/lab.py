"""Colour: CIE LAB, and how a picture's colours spread. Pictures are RGB float32 in 0..1,
sRGB-like.
"""

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

# A spread below this is noise.
_FLAT: Final = 1e-3


def shift_between(moments: Moments, wanted: Moments) -> Floats:
    """Gain and shift of each channel, (2, 3), that move the one mean and spread to the other; the
    gain is held within 0.5..2.
    """
    (mean, spread), (mean_wanted, spread_wanted) = moments, wanted
    gain = np.clip(np.maximum(spread_wanted, _FLAT) / np.maximum(spread, _FLAT), *RATIO)
    return np.stack([gain, mean_wanted - gain * mean]).astype(np.float32)


def moved_lab(lab: Floats, shift: Floats) -> Floats:
    """CIE LAB colours, each channel times its gain plus its shift (2, 3), held within L 0..100 and
    a, b -127..127.
    """
    moved = transformed(lab, np.column_stack([np.diag(shift[0]), shift[1]]))
    np.clip(moved[..., :1], 0, 100, out=moved[..., :1])
    np.clip(moved[..., 1:], -127, 127, out=moved[..., 1:])
    return moved


def transformed(colors: Floats, matrix: Floats) -> Floats:
    """Colours (H, W, 3) or (N, 3), turned, stretched and shifted by a matrix (3, 4)."""
    return np.asarray(cv2.transform(_picture(colors), matrix), np.float32).reshape(colors.shape)


def statistics(picture: Floats, weight: Floats) -> Moments:
    """Weighted mean and standard deviation of each channel: two (3,) float32. picture: (..., 3);
    weight: (...), sum > 0.
    """
    planes, counts = np.ascontiguousarray(picture.reshape(-1, picture.shape[-1]).T), weight.ravel()
    total = counts.sum(dtype=np.float64)
    mean = (planes * counts).sum(1, dtype=np.float64) / total
    aside = planes - mean.astype(np.float32)[:, None]
    spread = np.sqrt((aside * aside * counts).sum(1, dtype=np.float64) / total)
    return mean.astype(np.float32), spread.astype(np.float32)


def lab_from_rgb(colors: Floats) -> Floats:
    """CIE LAB (D65; L 0..100, a and b about -127..127) of sRGB in 0..1, (H, W, 3) or (N, 3)."""
    return _converted(colors, cv2.COLOR_RGB2Lab)


def rgb_from_lab(colors: Floats) -> Floats:
    """sRGB of CIE LAB; colours beyond what sRGB can show come out at its border."""
    return _converted(colors, cv2.COLOR_Lab2RGB)


def _converted(colors: Floats, code: int) -> Floats:
    return np.asarray(cv2.cvtColor(_picture(colors), code), np.float32).reshape(colors.shape)


def _picture(colors: Floats) -> Floats:
    """Colours in the shape that OpenCV wants."""
    return np.ascontiguousarray(colors, np.float32).reshape(-1, colors.shape[-2], 3)
