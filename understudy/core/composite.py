"""Lays new faces into a frame: pure functions on one picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from understudy.core import blend, color, geometry, image, matte
from understudy.types import Array, Doubles, Floats, Layers

Transfer = Callable[[Floats, Floats, Floats], Floats]
Blend = Callable[[Floats, Floats, Floats], Floats]
Box = tuple[int, int, int, int]

# A matte below this would not move an 8-bit level, so it counts as nothing and the plate stays bit for bit.
_NOTHING: Final = 1e-3
# Pixels of plate kept around the matte, for blends that look at the border.
_MARGIN: Final = 2


@dataclass(frozen=True, slots=True)
class Swap:
    """One face to lay in, all in the pixels of the same face square.

    face_from_frame: (2, 3). face: (S, S, 3) float32 in 0..1, the new face. dst: (S, S, 3) float32 in 0..1, the face that it
    replaces. mask: (S, S) float32 in 0..1, where the new face shows.
    """

    face_from_frame: Doubles
    face: Floats
    dst: Floats
    mask: Floats


@dataclass(frozen=True, slots=True)
class Look:
    """How faces are laid in. All sizes in percent of the face square's side.

    blend: (plate, face, matte) -> face layer, see `core.blend`. transfer: (face, dst, weight) -> face, see `core.color`.
    erode: moves the outline inwards. blur: width of the feather. scale: enlarges the face. sharpen: strength, 100 = strong.
    """

    blend: Blend = blend.overlay
    transfer: Transfer = color.unchanged
    erode: float = 0.0
    blur: float = 0.0
    scale: float = 0.0
    sharpen: float = 0.0


def composite(plate: Array, swaps: Sequence[Swap], look: Look) -> Layers:
    """The plate with the faces laid in, small ones first, so that the nearer face lies on top.

    plate: (H, W, 3) uint8, uint16 or float32. Works only inside the faces' boxes, in float32; each pixel is resampled once.
    Pixels whose matte is 0 are the plate's, bit for bit. Raises ValueError when a face or mask holds numbers that are not finite.
    """
    height, width = plate.shape[:2]
    image_, matte_ = plate.copy(), np.zeros((height, width), np.float32)
    face_ = np.zeros((height, width, 3), np.float32)
    layers = Layers(image_, matte_, face_)
    for swap in sorted(swaps, key=lambda each: -geometry.scale_of(each.face_from_frame)):
        _lay(layers, swap, look)
    return layers


def _lay(layers: Layers, swap: Swap, look: Look) -> None:
    """Lay one face over the layers, in place."""
    if not (np.isfinite(swap.face).all() and np.isfinite(swap.mask).all()):
        raise ValueError("the model predicted numbers that are not finite. Go back to an earlier state of the model")
    frame_from_face = _enlarged(geometry.invert(swap.face_from_frame), swap.face.shape[0], look.scale)
    found = _warped_matte(swap.mask, frame_from_face, layers.matte.shape, look)
    if found is None:
        return
    soft, (x0, y0, x1, y1) = found
    region = np.s_[y0:y1, x0:x1]
    roi_from_face = frame_from_face - np.array([[0, 0, x0], [0, 0, y0]])
    face = look.transfer(_sharpened(swap.face, look.sharpen), swap.dst, swap.mask)
    warped = np.clip(image.warp(face, roi_from_face, (x1 - x0, y1 - y0), border="replicate"), 0, 1)
    below = image.as_float(layers.image[region])
    layer = look.blend(below, warped, soft)
    mixed = below + (layer - below) * soft[..., None]
    touched = soft > 0
    layers.image[region][touched] = _stored(mixed[touched], layers.image.dtype)
    _over(layers, region, layer, soft)


def _warped_matte(mask: Floats, frame_from_face: Doubles, shape: tuple[int, ...], look: Look) -> tuple[Floats, Box] | None:
    """The matte in the frame and the box it fills, or None when nothing of it is in the frame."""
    side = mask.shape[0]
    soft = matte.shaped(mask, look.erode, look.blur)
    frame_from_matte = geometry.compose(frame_from_face, geometry.scaling(side / soft.shape[0]))
    corners = geometry.apply(frame_from_face, geometry.corners((side, side)))
    x0, y0 = np.maximum(np.floor(corners.min(0)) - _MARGIN, 0).astype(int)
    x1, y1 = np.minimum(np.ceil(corners.max(0)) + 1 + _MARGIN, (shape[1], shape[0])).astype(int)
    if x0 >= x1 or y0 >= y1:
        return None
    roi_from_matte = frame_from_matte - np.array([[0, 0, x0], [0, 0, y0]])
    warped = image.warp(soft, roi_from_matte, (int(x1 - x0), int(y1 - y0)), filter="linear")
    warped[warped < _NOTHING] = 0
    columns, rows = np.flatnonzero(warped.any(0)), np.flatnonzero(warped.any(1))
    if not len(columns):
        return None
    # The square's corners are mostly empty: go on with the box that the matte really fills.
    left, right = max(columns[0] - _MARGIN, 0), min(columns[-1] + 1 + _MARGIN, warped.shape[1])
    top, bottom = max(rows[0] - _MARGIN, 0), min(rows[-1] + 1 + _MARGIN, warped.shape[0])
    box = (int(x0 + left), int(y0 + top), int(x0 + right), int(y0 + bottom))
    return np.clip(warped[top:bottom, left:right], 0, 1), box


def _enlarged(frame_from_face: Doubles, side: int, percent: float) -> Doubles:
    """The map with the face grown by `percent` about the middle of its square."""
    factor, middle = 1 + percent / 100, side / 2 - 0.5
    grown = np.array([[factor, 0, middle * (1 - factor)], [0, factor, middle * (1 - factor)]])
    return geometry.compose(frame_from_face, grown)


def _sharpened(face: Floats, percent: float) -> Floats:
    """Unsharp masking with a radius of 1 % of the face."""
    if percent == 0:
        return face
    soft = cv2.GaussianBlur(face, (0, 0), max(0.01 * face.shape[0], 0.5))
    return np.clip(face + (face - soft) * np.float32(percent / 100), 0, 1)


def _stored(pixels: Floats, dtype: np.dtype[np.generic]) -> Array:
    """float32 pixels in the plate's own numbers, rounded to the nearest."""
    if dtype.kind == "f":
        return pixels
    full = {1: 255, 2: 65535}[dtype.itemsize]
    return np.asarray(np.clip(np.rint(pixels * np.float32(full)), 0, full), dtype)


def _over(layers: Layers, region: tuple[slice, slice], layer: Floats, soft: Floats) -> None:
    """Put the face layer over the faces laid before: straight colour, joint matte."""
    before = layers.matte[region] * (1 - soft)
    joint = before + soft
    share = np.divide(soft, joint, out=np.zeros_like(soft), where=joint > 0)[..., None]
    layers.face[region] += (layer - layers.face[region]) * share
    layers.matte[region] = joint
