"""Degrade a picture to the quality of the footage around it.

Pictures are (H, W, 3) float32 in 0..1 before and after, never rounded to 8 bits.
"""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.core import affine, image
from understudy.types import Doubles, Floats

_MEDIAN: Final = 5
_BLOCK: Final = 8
# What JPEG counts Y, Cr and Cb from; what has no colour must get none.
_MIDDLE: Final = np.array([128 / 255, 0.5, 0.5], np.float32)
# The palette has 2 ** 8 colours.
_SPLITS: Final = 8


def denoise(picture: Floats, power: float) -> Floats:
    """Denoise the picture by passes of a 5 x 5 median.

    Args:
        picture: (H, W, 3) float32 in 0..1.
        power: 0..500. The first pass counts power %, each further one 10 % less, and none more than
            all: 100 = one whole pass and nine weaker ones.

    Returns:
        (H, W, 3) float32.
    """
    while power > 0:
        share = np.float32(min(power / 100, 1))
        picture = (
            picture + (np.asarray(cv2.medianBlur(picture, _MEDIAN), np.float32) - picture) * share
        )
        power -= 10
    return picture


def resample_bicubic(picture: Floats, power: float, origin: tuple[int, int] = (0, 0)) -> Floats:
    """Scale the picture down to 1 - power / 101 of its size, and back.

    The small pixels lie where they would if the whole frame was scaled down, so that they do not
    wander with the picture's border.

    Args:
        picture: (H, W, 3) float32 in 0..1.
        power: 0..100.
        origin: (x, y) in the frame where the picture begins.

    Returns:
        (H, W, 3) float32 in 0..1.
    """
    if power <= 0:
        return picture
    scale = 1 - power / 101
    height, width = picture.shape[:2]
    small_from_frame = np.array([[scale, 0, 0.5 * scale - 0.5], [0, scale, 0.5 * scale - 0.5]])
    small_from_picture = small_from_frame.copy()
    small_from_picture[:, 2] += scale * np.array(origin)
    # Two pixels more on every side, for the cubic on the way back.
    first = np.floor(small_from_picture[:, 2]) - 2
    small_from_picture[:, 2] -= first
    size = (math.ceil(scale * width) + 5, math.ceil(scale * height) + 5)
    small = image.warp(picture, small_from_picture, size, "replicate")
    picture_from_small = affine.invert(small_from_picture)
    return np.asarray(
        np.clip(image.warp(small, picture_from_small, (width, height), "replicate"), 0, 1),
        np.float32,
    )


def compress_jpeg(picture: Floats, power: float, origin: tuple[int, int] = (0, 0)) -> Floats:
    """Compress the picture as JPEG does, without subsampled chroma.

    Blocks of 8 x 8 are rounded in the cosine transform, but in fractions. The tables are those of
    ITU-T T.81, annex K, scaled as libjpeg does.

    Args:
        picture: (H, W, 3) float32 in 0..1.
        power: 0..100; the quality is 100 - power, at least 1.
        origin: (x, y) in the frame where the picture begins; the blocks lie as in the whole frame.

    Returns:
        (H, W, 3) float32 in 0..1.
    """
    if power <= 0:
        return picture
    quality = max(100 - power, 1)
    scale = 50 / quality if quality < 50 else 2 - quality / 50
    before = [origin[1] % _BLOCK, origin[0] % _BLOCK]
    height, width = picture.shape[:2]
    after = [-(height + before[0]) % _BLOCK, -(width + before[1]) % _BLOCK]
    colors = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb), np.float32) - _MIDDLE
    whole = np.pad(colors, ((before[0], after[0]), (before[1], after[1]), (0, 0)), "edge")
    # No step is wider than JPEG's 8 bits can tell.
    luma, chroma = (np.minimum(table * scale, 255) / 255 for table in (_LUMA, _CHROMA))
    rounded = np.stack(
        [
            _quantize_blocks(whole[..., at], steps)
            for at, steps in enumerate((luma, chroma, chroma))
        ],
        -1,
    )
    kept = rounded[before[0] : before[0] + height, before[1] : before[1] + width] + _MIDDLE
    return np.asarray(np.clip(cv2.cvtColor(kept, cv2.COLOR_YCrCb2RGB), 0, 1), np.float32)


def quantize_palette(picture: Floats, power: float) -> Floats:
    """Mix the picture with itself in a palette of 256 colours.

    The colours are split in two at their mean, along the axis on which they spread most, eight
    times over: so the palette follows the picture smoothly and does not jump from frame to frame.

    Args:
        picture: (H, W, 3) float32 in 0..1.
        power: 0..100, 100 = nothing but the palette.

    Returns:
        (H, W, 3) float32.
    """
    if power <= 0:
        return picture
    colors = picture.reshape(-1, 3).astype(np.float64)
    entry = np.zeros(len(colors), np.int64)
    for level in range(_SPLITS):
        means, axes = _principal_axes(colors, entry, 2**level)
        entry = 2 * entry + (((colors - means[entry]) * axes[entry]).sum(-1) > 0)
    palette, _ = _principal_axes(colors, entry, 2**_SPLITS)
    share = np.float32(power / 100)
    return np.asarray(
        picture + (palette[entry].reshape(picture.shape).astype(np.float32) - picture) * share,
        np.float32,
    )


def _principal_axes(
    colors: Doubles, entry: NDArray[np.int64], count: int
) -> tuple[Doubles, Doubles]:
    """The mean colour of each of `count` entries and the axis on which its colours spread most.

    Both (count, 3).
    """
    members = np.maximum(np.bincount(entry, minlength=count), 1)

    def mean(values: Doubles) -> Doubles:
        return np.asarray(np.bincount(entry, values, count) / members, np.float64)

    means = np.stack([mean(channel) for channel in colors.T], -1)
    moments = np.stack([[mean(one * other) for one in colors.T] for other in colors.T]).transpose(
        2, 0, 1
    )
    return means, np.linalg.eigh(moments - means[:, :, None] * means[:, None])[1][..., -1]


def _quantize_blocks(channel: Floats, steps: Doubles) -> Floats:
    """The channel with each 8 x 8 block's cosine coefficients at whole multiples of the steps.

    channel: (8 m, 8 n). steps: (8, 8).
    """
    down, across = channel.shape[0] // _BLOCK, channel.shape[1] // _BLOCK
    blocks = channel.reshape(down, _BLOCK, across, _BLOCK).transpose(0, 2, 1, 3)
    step = steps.astype(np.float32)
    waves = _COSINES @ blocks @ _COSINES.T
    kept = _COSINES.T @ (np.rint(waves / step) * step) @ _COSINES
    return np.asarray(kept.transpose(0, 2, 1, 3).reshape(channel.shape), np.float32)


def _cosines() -> Floats:
    """The orthonormal cosine transform of 8 values, (8, 8)."""
    waves = np.cos(
        np.pi * np.arange(_BLOCK)[:, None] * (2 * np.arange(_BLOCK) + 1) / (2 * _BLOCK)
    ) * np.sqrt(2 / _BLOCK)
    waves[0] /= np.sqrt(2)
    return np.asarray(waves, np.float32)


def _table(rows: str) -> Doubles:
    return np.array(rows.split(), np.float64).reshape(_BLOCK, _BLOCK)


_COSINES: Final = _cosines()
_LUMA: Final = _table(
    "16 11 10 16 24 40 51 61  12 12 14 19 26 58 60 55  14 13 16 24 40 57 69 56  14 17 22 29 51 87"
    " 80 62 18 22 37 56 68 109 103 77  24 35 55 64 81 104 113 92  49 64 78 87 103 121 120 101  72"
    " 92 95 98 112 100 103 99"
)
_CHROMA: Final = _table(
    "17 18 24 47 99 99 99 99  18 21 26 66 99 99 99 99  24 26 56 99 99 99 99 99  47 66 99 99 99 99"
    " 99 99 " + "99 " * 32
)
