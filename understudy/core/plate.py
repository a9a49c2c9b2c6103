"""Plates whose pixels are not square, or that hold two fields: seen as one picture, and back."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final, cast

import cv2
import numpy as np

from understudy.core import image
from understudy.types import Array, FieldOrder, Floats

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


def lay_into(plate: Array, before: Array, after: Array, matte: Floats) -> Array:
    """Bring what was composited into the picture of a plate back to the plate.

    Where the matte and all change end, the samples are the plate's, bit for bit; where the matte is
    1, nothing of the plate is left.

    Args:
        plate: (h, w, 3) uint8, uint16 or float32.
        before: (H, W, 3), what the plate shows, see `as_seen`.
        after: (H, W, 3), the same with the new faces.
        matte: (H, W) float32 in 0..1, by which they were mixed in.

    Returns:
        (h, w, 3) of the plate's dtype; the plate itself where nothing has changed.
    """
    changed = (after != before).any(2)
    if not changed.any():
        return plate
    touched = changed | (matte > 0)
    (height, width), (seen_height, seen_width) = plate.shape[:2], touched.shape
    # One side of the two is the same: along it only what is touched needs to be looked at.
    rows = _span(touched.any(1)) if height == seen_height else slice(0, seen_height)
    columns = _span(touched.any(0)) if width == seen_width else slice(0, seen_width)
    size = (
        columns.stop - columns.start if width == seen_width else width,
        rows.stop - rows.start if height == seen_height else height,
    )
    place = (
        rows if height == seen_height else slice(0, height),
        columns if width == seen_width else slice(0, width),
    )
    cover = matte[rows, columns]
    # The new faces alone, as strong as they were mixed in, and the plate as strong as it was left.
    faces = image.as_float(after[rows, columns]) - image.as_float(before[rows, columns]) * (
        1 - cover[..., None]
    )
    faces, cover = image.resize(faces, size), image.resize(cover, size)
    laid = plate.copy()
    mixed = image.as_float(plate[place]) * (1 - cover[..., None]) + faces
    written = (cover > 0) | (faces != 0).any(2)
    laid[place][written] = image.as_dtype(mixed[written], plate.dtype)
    return laid


def _span(there: Array) -> slice:
    """From the first to the last place where there is something."""
    places = np.flatnonzero(there)
    return slice(int(places[0]), int(places[-1]) + 1)
