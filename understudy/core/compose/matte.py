"""The matte of a face, made from its mask: eroded, feathered, and 0 at the edge of the square."""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np

from understudy.core import image
from understudy.types import Bytes, Floats

# Masks are shaped at this side at least, so that percentages mean the same for every model.
_LEAST_SIDE: Final = 256
# DeepFaceLab shapes a mask at so many times the model's side, and counts in those pixels.
_DFL_PIXELS: Final = 4
# In percent of the side: so much erosion does not count at dst's brows, and how softly they end.
_BROW_EROSION: Final = 2.0
_BROW_SOFT: Final = 1.2
# Wide discs are made of steps of this radius: as round to the eye, and far cheaper.
_STEP: Final = 5


def shape_matte(
    mask: Floats, erode: float, blur: float, feather: float = 0.0, edge_fade: float = 1.5
) -> Floats:
    """Make the matte of a face from its mask. Widths are in percent of the square's side.

    Args:
        mask: (S, S) float32 in 0..1.
        erode: How far its outline moves inwards; negative = outwards.
        blur: Width of an edge blurred to both sides, after erosion and feather; negative = what a
            blur of that width takes from it is added, so that a soft edge becomes harder.
        feather: Width of a fade from the outline inwards; what lies outside goes.
        edge_fade: Width of the fade to 0 at the square's own edge.

    Returns:
        (M, M) float32 in 0..1 over the same square, M >= S; its outermost pixels are 0.
    """
    matte = _enlarge(mask)
    percent = len(matte) / 100
    matte = _erode(matte, erode * percent)
    matte = _feather(matte, feather * percent)
    # 95 % of a step blurred by a Gaussian lie within four standard deviations.
    sigma = abs(blur) * percent / 4
    if blur < 0:
        matte = np.clip(2 * matte - image.blur(matte, sigma, cv2.BORDER_REPLICATE), 0, 1)
    else:
        matte = _blur(matte, sigma, math.ceil(image.GAUSSIAN_REACH * sigma))
    return np.asarray(
        np.clip(matte * _edge_fade(len(matte), edge_fade * percent), 0, 1), np.float32
    )


def cover_brows(
    matte: Floats,
    mask: Floats,
    brows: Floats,
    erode: float,
    blur: float,
    feather: float = 0.0,
    edge_fade: float = 1.5,
) -> Floats:
    """Make the matte wider and its edge narrower where dst's brows are.

    They lie so near the edge of a face's mask that the erosion and half the blur would show them
    through the new face.

    Args:
        matte: (M, M) from `shape_matte` with the same widths.
        mask: (S, S) float32 in 0..1; outside of it the plate stays, brows or not.
        brows: (S, S) float32 in 0..1, where dst's brows are.
        erode: As for `shape_matte`, and so are the following.
        blur: Width of its blurred edge.
        feather: Width of its fade inwards.
        edge_fade: Width of its fade at the square's edge.

    Returns:
        (M, M) float32 in 0..1.
    """
    less = erode - min(max(erode, 0), _BROW_EROSION)
    tight = shape_matte(mask, less, blur / 2, feather / 2, edge_fade)
    size = (len(matte), len(matte))
    there = np.clip(image.blur(image.resize(brows, size), _BROW_SOFT * len(matte) / 100), 0, 1)
    return np.asarray(matte + there * np.maximum(tight - matte, 0), np.float32)


def shape_matte_dfl(mask: Floats, erode: float, blur: float) -> Floats:
    """Make the matte as DeepFaceLab does. Without blur it has no fade.

    Half a blur's width at the square's edge is made black beforehand.

    Args:
        mask: (S, S) float32 in 0..1.
        erode: Width of an elliptic erosion in quarter pixels of the mask; negative = dilation.
        blur: Width of a Gaussian kernel in quarter pixels of the mask; negative = none, as there.

    Returns:
        (M, M) float32 in 0..1 over the same square, M >= S.
    """
    matte = _enlarge(mask)
    pixel = len(matte) / (_DFL_PIXELS * len(mask))
    matte = _erode(matte, math.copysign(max(abs(erode) - 1, 0) / 2, erode) * pixel)
    if blur > 0:
        kernel = blur + 1 - blur % 2
        sigma = 0.3 * ((kernel - 1) / 2 - 1) + 0.8
        matte = _blur(matte, sigma * pixel, round(blur // 2 * pixel))
    return np.asarray(np.clip(matte, 0, 1), np.float32)


def _enlarge(mask: Floats) -> Floats:
    """The mask at the side at which it is shaped."""
    side = max(_LEAST_SIDE, mask.shape[0])
    return np.asarray(
        np.clip(image.resize(np.asarray(mask, np.float32), (side, side)), 0, 1), np.float32
    )


def _erode(matte: Floats, radius: float) -> Floats:
    """Grey-scale erosion by a disc of `radius` pixels, fractions included; negative = dilation."""
    if radius == 0:
        return matte
    steps, rest = divmod(abs(radius), _STEP)
    matte = _erode_by_disc(matte, _STEP, int(steps), outwards=radius < 0)
    near, far = (_erode_by_disc(matte, int(rest) + more, 1, outwards=radius < 0) for more in (0, 1))
    return np.asarray(near + (far - near) * np.float32(rest % 1), np.float32)


def _erode_by_disc(matte: Floats, radius: int, times: int, *, outwards: bool) -> Floats:
    if radius == 0 or times == 0:
        return matte
    move = cv2.dilate if outwards else cv2.erode
    return np.asarray(
        move(matte, _disc(radius), iterations=times, borderType=cv2.BORDER_CONSTANT, borderValue=0),
        np.float32,
    )


def _disc(radius: int) -> Bytes:
    across = np.arange(-radius, radius + 1)
    return (across[:, None] ** 2 + across**2 <= (radius + 0.3) ** 2).astype(np.uint8)


def _feather(matte: Floats, width: float) -> Floats:
    """The matte faded in from its outline over so many pixels.

    A fade of less than a pixel counts in part.
    """
    if width == 0:
        return matte
    ramp = np.clip(_depth(matte) / max(width, 1), 0, 1)
    return np.asarray(matte * (1 + (ramp - 1) * np.float32(min(width, 1))), np.float32)


def _depth(matte: Floats) -> Floats:
    """How far each pixel lies within the outline, to fractions of a pixel; 0 outside.

    The outline is where the matte falls through a half.
    """
    inside = (matte >= 0.5).astype(np.uint8)
    if inside.all():
        return np.full(matte.shape, np.inf, np.float32)
    far = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    _, label = cv2.distanceTransformWithLabels(
        inside, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    # From the nearest pixel outside to the outline is as far as its value lacks of a half, by the
    # slope from there inwards.
    framed = np.pad(matte, 1, mode="edge")
    across = np.maximum(framed[1:-1, 2:], framed[1:-1, :-2]) - matte
    down = np.maximum(framed[2:, 1:-1], framed[:-2, 1:-1]) - matte
    outside = inside == 0
    slope = np.hypot(np.maximum(across[outside], 0), np.maximum(down[outside], 0))
    lacks = np.zeros(int(label.max()) + 1, np.float32)
    lacks[label[outside]] = np.clip((0.5 - matte[outside]) / np.maximum(slope, 0.05), 0, 1.5)
    # Where the nearest pixel changes from one to the next the depth would jump by a fraction of a
    # pixel.
    return np.asarray(
        cv2.GaussianBlur(np.maximum(far - lacks[label], 0), (0, 0), 1) * inside, np.float32
    )


def _blur(matte: Floats, sigma: float, black: int) -> Floats:
    """The matte blurred.

    Its outer `black` pixels are set to 0 beforehand, so that the blur ends at 0 at the edge.
    """
    if sigma <= 0.1:
        return matte
    side = len(matte)
    kept = slice(min(black, side // 2), side - min(black, side // 2))
    framed = np.zeros_like(matte)
    framed[kept, kept] = matte[kept, kept]
    return image.blur(framed, sigma, cv2.BORDER_CONSTANT)


def _edge_fade(side: int, width: float) -> Floats:
    distance = np.minimum(np.arange(side), np.arange(side)[::-1]).astype(np.float32)
    ramp = np.clip(distance / max(width, 1), 0, 1)
    return np.asarray(np.minimum(ramp[:, None], ramp), np.float32)
