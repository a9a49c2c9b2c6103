"""Plates whose pixels are not square, or that hold two fields: seen as one picture, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.core import affine, image
from understudy.types import Array, Doubles, FieldOrder, Floats

if TYPE_CHECKING:
    from cv2.typing import MatLike

# A line between two others of its field, from the four nearest: cubic convolution, halfway.
_HALFWAY: Final = np.array([-1, 9, 9, -1], np.float32)[:, None] / 16


# Pixels whose sides differ by no more are taken as square: nobody sees it, and nothing is
# resampled.
_SQUARE: Final = Fraction(1, 100)


def square_size(size: tuple[int, int], pixel_aspect: Fraction) -> tuple[int, int]:
    """Return the size of a plate in square pixels: it grows in width or in height.

    Args:
        size: (width, height) of the plate.
        pixel_aspect: Width over height of one of its pixels.
    """
    width, height = size
    if abs(pixel_aspect - 1) <= _SQUARE:
        return size
    if pixel_aspect > 1:
        return round(width * pixel_aspect), height
    return width, round(height / pixel_aspect)


def as_seen(plate: Array, size: tuple[int, int], fields: FieldOrder | None) -> Array:
    """Return what the plate shows at one moment, in square pixels.

    Args:
        plate: (h, w, 3) uint8 or uint16.
        size: (width, height) in square pixels.
        fields: The field that came first, where the plate holds two: it alone is shown.

    Returns:
        (H, W, 3) of the same dtype; the plate itself where nothing is to be done.
    """
    return image.resize(plate if fields is None else whole_field(plate, fields), size)


def whole_field(plate: Array, field: FieldOrder) -> Array:
    """Return one of the plate's two fields, at full height.

    Its lines stay where they are, and those between are interpolated.

    Args:
        plate: (h, w, 3) uint8 or uint16, h even.
        field: Which one; the top field has lines 0, 2, ….
    """
    at = 0 if field == "top" else 1
    own, whole = plate[at::2], np.empty_like(plate)
    whole[at::2] = own
    whole[1 - at :: 2] = cv2.filter2D(
        cast("MatLike", own), -1, _HALFWAY, anchor=(0, 1 + at), borderType=cv2.BORDER_REPLICATE
    )
    return whole


def other_field(field: FieldOrder) -> FieldOrder:
    """Return the field that is not this one."""
    return "bottom" if field == "top" else "top"


@dataclass(frozen=True, slots=True)
class Move:
    """How one face of a picture moves until the second field of its plate.

    box: x0 y0 x1 y1, where its matte is. matte: (y1 - y0, x1 - x0). later_from_now: (2, 3), pixels
    of the picture.
    """

    box: tuple[int, int, int, int]
    matte: Floats
    later_from_now: Doubles


def lay_into(
    plate: Array,
    before: Array,
    after: Array,
    matte: Floats,
    fields: FieldOrder | None = None,
    moves: Sequence[Move] = (),
) -> Array:
    """Bring what was composited into the picture of a plate back to the plate.

    Where the matte and all change end, the samples are the plate's, bit for bit; where the matte is
    1, nothing of the plate is left.

    Args:
        plate: (h, w, 3) uint8, uint16 or float32.
        before: (H, W, 3), what the plate shows, see `as_seen`.
        after: (H, W, 3), the same with the new faces.
        matte: (H, W) float32 in 0..1, by which they were mixed in.
        fields: The plate's field that came first, where it holds two.
        moves: Of the faces, by which they are moved in the second field; in footage whose two
            fields were taken at the same moment they lie where they are.

    Returns:
        (h, w, 3) of the plate's dtype; the plate itself where nothing has changed.
    """
    changed = _any_channel(after != before)
    if not changed.any():
        return plate
    moves = _true_moves(plate, before, fields, moves) if fields and moves else []
    touched = changed | (matte > 0)
    for move in moves:
        touched[_around(move, touched.shape)] = True
    # The new faces alone, as strong as they were mixed in.
    rows, columns = _span(touched, 1), _span(touched, 0)
    cover = matte[rows, columns]
    faces = image.as_float(after[rows, columns]) - image.as_float(before[rows, columns]) * (
        1 - cover[..., None]
    )
    layer = np.dstack([faces, cover])
    laid = _lay(plate, layer, (rows, columns), touched.shape)
    if fields and moves:
        second = 1 if fields == "top" else 0
        moved = _moved(layer, (rows, columns), moves, touched.shape)
        laid[second::2] = _lay(plate, moved, (rows, columns), touched.shape)[second::2]
    return laid


def _lay(plate: Array, layer: Floats, place: tuple[slice, slice], shape: tuple[int, ...]) -> Array:
    """The plate with a layer of faces and their matte, which covers a place of the picture."""
    laid = plate.copy()
    height, width = plate.shape[:2]
    # A side that is resampled is so as a whole: a part of it would lie between the plate's pixels.
    if (height, width) != shape[:2]:
        there = (
            place[0] if height == shape[0] else slice(0, shape[0]),
            place[1] if width == shape[1] else slice(0, shape[1]),
        )
        wide = np.zeros(
            (there[0].stop - there[0].start, there[1].stop - there[1].start, 4), np.float32
        )
        wide[_within(place[0], there[0]), _within(place[1], there[1])] = layer
        place = (
            place[0] if height == shape[0] else slice(0, height),
            place[1] if width == shape[1] else slice(0, width),
        )
        size = (place[1].stop - place[1].start, place[0].stop - place[0].start)
        layer = image.resize(wide, size)
    faces, cover = layer[..., :3], layer[..., 3]
    written = (cover > 0) | _any_channel(faces != 0)
    below = image.as_float(laid[place][written])
    mixed = below * (1 - cover[written][:, None]) + faces[written]
    laid[place][written] = image.as_dtype(mixed, plate.dtype)
    return laid


def _true_moves(
    plate: Array, before: Array, fields: FieldOrder, moves: Sequence[Move]
) -> list[Move]:
    """The moves that the second field shows: there is none where it was taken with the first."""
    height, width = before.shape[:2]
    later = as_seen(plate, (width, height), other_field(fields))
    found = []
    for move in moves:
        x0, y0, x1, y1 = move.box
        now, seen = image.as_float(before[y0:y1, x0:x1]), image.as_float(later[y0:y1, x0:x1])
        moved = image.warp(now, _shifted(move, x0, y0), (x1 - x0, y1 - y0), "replicate")
        still, moving = (
            float((np.abs(each - seen).sum(2) * move.matte).sum()) for each in (now, moved)
        )
        if moving < still:
            found.append(move)
    return found


def _moved(
    layer: Floats, place: tuple[slice, slice], moves: Sequence[Move], shape: tuple[int, ...]
) -> Floats:
    """The layer at the time of the second field."""
    later = layer.copy()
    for move in moves:
        rows, columns = _around(move, shape)
        part = _within(rows, place[0]), _within(columns, place[1])
        x0, y0, x1, y1 = move.box
        own = np.zeros(layer[part].shape[:2], np.float32)
        own[_within(slice(y0, y1), rows), _within(slice(x0, x1), columns)] = move.matte
        # Where faces overlap each has its share.
        share = np.clip(own / np.maximum(layer[part][..., 3], 1e-6), 0, 1)[..., None]
        alone = layer[part] * share
        to_later = _shifted(move, columns.start, rows.start)
        size = alone.shape[1], alone.shape[0]
        later[part] += image.warp(alone, to_later, size, "replicate") - alone
    later[..., 3] = np.clip(later[..., 3], 0, 1)
    return later


def _around(move: Move, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of a picture of that shape between which the face stays as it moves."""
    x0, y0, x1, y1 = move.box
    edges = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float64)
    way = np.abs(affine.apply(move.later_from_now, edges) - edges).max(0)
    right, down = (math.ceil(each) + 2 for each in way)
    return (
        slice(max(0, y0 - down), min(shape[0], y1 + down)),
        slice(max(0, x0 - right), min(shape[1], x1 + right)),
    )


def _shifted(move: Move, x: int, y: int) -> Doubles:
    """The move in a part of the picture that begins at (x, y)."""
    there, moved = np.array([x, y]), move.later_from_now.copy()
    moved[:, 2] += moved[:, :2] @ there - there
    return moved


def _within(part: slice, whole: slice) -> slice:
    """The part, counted from where the whole begins."""
    return slice(part.start - whole.start, part.stop - whole.start)


def _any_channel(there: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where any of the three channels is true; eight times as fast as numpy's `any`."""
    return there[..., 0] | there[..., 1] | there[..., 2]


def _span(there: NDArray[np.bool_], axis: int) -> slice:
    """From the first to the last row (axis 1) or column (0) where there is something."""
    places = np.flatnonzero(there.any(axis))
    return slice(int(places[0]), int(places[-1]) + 1)
