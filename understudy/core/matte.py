"""A face's mask becomes the matte it is laid in with: choked, feathered, and zero at the edge of the face square."""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np

from understudy.core import image
from understudy.types import Bytes, Floats

# Masks are shaped at this side at least, so that percentages mean the same for every model.
_LEAST_SIDE: Final = 256
# Even a hard mask that fills the square fades out over this share of its side.
_FADE: Final = 0.015
# A Gaussian counts as finished after this many standard deviations.
_REACH: Final = 2.5
# Wide discs are made of steps of this radius: as round to the eye, and far cheaper.
_STEP: Final = 3


def shaped(mask: Floats, erode: float, blur: float) -> Floats:
    """The matte, (M, M) float32 in 0..1 with M >= S, over the same square; its outermost pixels are 0.

    mask: (S, S) in 0..1. erode: how far its outline moves inwards, in percent of the square's side; negative = outwards.
    blur: width of the feathered edge, in percent of the side.
    """
    side = max(_LEAST_SIDE, mask.shape[0])
    matte = np.clip(image.resized(np.asarray(mask, np.float32), (side, side)), 0, 1)
    if erode:
        matte = _eroded(matte, erode / 100 * side)
    # 95 % of a step blurred by a Gaussian lie within four standard deviations.
    sigma = blur / 100 * side / 4
    if sigma > 0.1:
        reach = math.ceil(_REACH * sigma)
        matte = _framed(matte, reach)
        kernel = (2 * reach + 1, 2 * reach + 1)
        matte = np.asarray(cv2.GaussianBlur(matte, kernel, sigma, borderType=cv2.BORDER_CONSTANT), np.float32)
    return np.asarray(np.clip(matte * _edge_fade(side), 0, 1), np.float32)


def _eroded(matte: Floats, radius: float) -> Floats:
    """Grey-scale erosion by a disc of `radius` pixels (dilation when negative), fractions included."""
    steps, rest = divmod(abs(radius), _STEP)
    matte = _moved(matte, _STEP, int(steps), outwards=radius < 0)
    near, far = (_moved(matte, int(rest) + more, 1, outwards=radius < 0) for more in (0, 1))
    return np.asarray(near + (far - near) * np.float32(rest % 1), np.float32)


def _moved(matte: Floats, radius: int, times: int, *, outwards: bool) -> Floats:
    if radius == 0 or times == 0:
        return matte
    move = cv2.dilate if outwards else cv2.erode
    return np.asarray(move(matte, _disc(radius), iterations=times, borderType=cv2.BORDER_CONSTANT, borderValue=0), np.float32)


def _disc(radius: int) -> Bytes:
    across = np.arange(-radius, radius + 1)
    return (across[:, None] ** 2 + across**2 <= (radius + 0.3) ** 2).astype(np.uint8)


def _framed(matte: Floats, width: int) -> Floats:
    """The matte with a black frame of `width` pixels, so that a blur of that reach ends at 0."""
    framed = np.zeros_like(matte)
    width = min(width, matte.shape[0] // 2)
    framed[width : matte.shape[0] - width, width : matte.shape[1] - width] = matte[
        width : matte.shape[0] - width, width : matte.shape[1] - width
    ]
    return framed


def _edge_fade(side: int) -> Floats:
    distance = np.minimum(np.arange(side), np.arange(side)[::-1]).astype(np.float32)
    ramp = np.clip(distance / (_FADE * side), 0, 1)
    return np.asarray(np.minimum(ramp[:, None], ramp), np.float32)
