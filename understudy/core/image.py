"""Warp, resize, convert and blur pictures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Literal, TypeVar, cast

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from understudy.core import affine
from understudy.types import Array, Bytes, Doubles, Floats

if TYPE_CHECKING:
    from cv2.typing import MatLike

Border = Literal["black", "replicate"]
Filter = Literal["cubic", "linear"]
Kind = TypeVar("Kind", bound=np.generic)

# A Gaussian counts as finished after this many standard deviations.
GAUSSIAN_REACH: Final = 2.5
# A wide blur is done at a size where its radius has this many pixels at least; finer would cost and
# show nothing.
_SMALL_RADIUS: Final = 3.0
# A picture whose brightest pixels stay below this is dark, and to this they are brought.
_DARK: Final = 120
_BRIGHT: Final = 200


def warp(
    picture: NDArray[Kind],
    to_from: ArrayLike,
    size: tuple[int, int],
    border: Border = "black",
    filter: Filter = "cubic",
) -> NDArray[Kind]:
    """Warp the picture by an affine map; resampled once, and low-passed where it shrinks.

    The low-pass grows without a step at scale 1, so that slow zooms do not flicker. Only the part
    of the picture that is seen is touched. The identity returns the picture bit for bit.

    Args:
        picture: (H, W) or (H, W, C), uint8, uint16 or float32.
        to_from: (2, 3), from pixels of the picture to pixels of the result.
        size: (width, height) of the result.
        border: What lies outside the picture.
        filter: "cubic" may overshoot in float pictures; "linear" never does: take it for masks.

    Returns:
        (height, width[, C]) of the same dtype.

    Raises:
        DegeneratePoints: The matrix squeezes the plane flat.
    """
    matrix = np.asarray(to_from, np.float64)
    affine.invert(matrix)
    shrink = 1 / affine.scale_of(matrix)
    # Half a pixel of the result as standard deviation, less what the picture's own pixels have.
    variance = max(0.25 * (shrink**2 - 1), 0.0)
    seen, picture_from_seen = _crop_to_view(
        picture, matrix, size, margin=3 + math.ceil(4 * math.sqrt(variance))
    )
    matrix = affine.compose(matrix, picture_from_seen)
    if variance > 0.01:
        seen, matrix = _low_pass(seen, matrix, shrink, variance, _BORDERS[border])
    flags = _FILTERS[filter] | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(
        seen, affine.invert(matrix), size, flags=flags, borderMode=_BORDERS[border]
    )
    return warped.reshape(size[1], size[0], *picture.shape[2:]).astype(picture.dtype, copy=False)


def resize(picture: NDArray[Kind], size: tuple[int, int]) -> NDArray[Kind]:
    """Resize the whole picture: areas averaged where it shrinks, cubic where it grows.

    Args:
        picture: (H, W) or (H, W, C).
        size: (width, height) of the result.

    Returns:
        (height, width[, C]) of the same dtype; the picture itself when the size is its own.
    """
    height, width = picture.shape[:2]
    if size == (width, height):
        return picture
    smaller = size[0] * size[1] < width * height
    small = cv2.resize(
        cast("MatLike", picture), size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    )
    return small.reshape(size[1], size[0], *picture.shape[2:]).astype(picture.dtype, copy=False)


def brighten(image: Bytes, area: ArrayLike | None = None) -> Bytes:
    """Return a dark picture brighter, by one factor, so that people and networks see more in it.

    Args:
        image: (H, W, 3) uint8.
        area: (4,) x0 y0 x1 y1 that decides whether it is dark; None = all of it.

    Returns:
        (H, W, 3) uint8: the same object where it is bright enough.
    """
    seen = image
    if area is not None:
        x0, y0, x1, y1 = np.rint(area).astype(int)
        seen = image[max(y0, 0) : max(y1 + 1, 0), max(x0, 0) : max(x1 + 1, 0)]
    bright = float(np.percentile(seen, 99)) if seen.size else 255.0
    if bright >= _DARK:
        return image
    return np.asarray(np.clip(image * (_BRIGHT / max(bright, 1)), 0, 255), np.uint8)


def as_float(picture: NDArray[Kind]) -> Floats:
    """Convert the picture to float32.

    Args:
        picture: Any shape, uint8, uint16 or float32.

    Returns:
        float32; integers come out in 0..1 (255 or 65535 become 1), float32 as it is.
    """
    full = {"uint8": 255, "uint16": 65535}.get(picture.dtype.name)
    floats = np.asarray(picture, np.float32)
    return floats if full is None else floats * np.float32(1 / full)


def as_bytes(picture: NDArray[Kind]) -> NDArray[np.uint8]:
    """Convert the picture to uint8, rounded and clipped.

    Args:
        picture: Any shape: float32 in 0..1, uint16 in 0..65535, or uint8.

    Returns:
        uint8; uint8 as it is.
    """
    if picture.dtype == np.uint8:
        return np.asarray(picture, np.uint8)
    return np.asarray(np.clip(np.rint(as_float(picture) * 255), 0, 255), np.uint8)


def as_dtype(pixels: Floats, dtype: np.dtype[np.generic]) -> Array:
    """Convert float32 pixels in 0..1 to another picture's numbers, rounded to the nearest."""
    if dtype.kind == "f":
        return pixels
    full = {1: 255, 2: 65535}[dtype.itemsize]
    return np.asarray(np.clip(np.rint(pixels * np.float32(full)), 0, full), dtype)


def blur(picture: Floats, radius: float, border: int = cv2.BORDER_REPLICATE) -> Floats:
    """Blur the picture by a Gaussian.

    Args:
        picture: (H, W) or (H, W, C) float32.
        radius: Standard deviation in pixels.
        border: OpenCV's constant for what lies beyond the edge.

    Returns:
        A float32 picture of the same shape.
    """
    step = max(1, int(radius / _SMALL_RADIUS))
    height, width = picture.shape[:2]
    small = (max(1, round(width / step)), max(1, round(height / step)))
    if step > 1:
        picture = np.asarray(cv2.resize(picture, small, interpolation=cv2.INTER_AREA), np.float32)
    # Blocks, and lines between them on the way back, have blurred a little already.
    left = math.sqrt(radius**2 - (step**2 - 1) / 4) / step
    side = 2 * math.ceil(GAUSSIAN_REACH * left) + 1
    soft = cv2.GaussianBlur(picture, (side, side), left, borderType=border)
    if step > 1:
        soft = cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(soft, np.float32)


def _crop_to_view(
    picture: NDArray[Kind], to_from: Doubles, size: tuple[int, int], margin: int
) -> tuple[MatLike, Doubles]:
    """The part of the picture that the result sees, never empty, and picture_from_part."""
    height, width = picture.shape[:2]
    reach = affine.apply(affine.invert(to_from), affine.corners(size))
    # Where only border is seen, the nearest row or column of the picture is all that is needed.
    x0, y0 = np.clip(np.floor(reach.min(0)) - margin, 0, (width - 1, height - 1)).astype(int)
    x1, y1 = np.clip(np.ceil(reach.max(0)) + margin + 1, 1, (width, height)).astype(int)
    return cast("MatLike", picture[y0:y1, x0:x1]), np.array([[1.0, 0, x0], [0, 1, y0]])


def _low_pass(
    seen: MatLike, to_from: Doubles, shrink: float, variance: float, border: int
) -> tuple[MatLike, Doubles]:
    """The picture low-passed for a map that shrinks it, and the map from there."""
    step = max(1, int(shrink / 2))
    if step > 1:
        # Whole blocks first: a wide Gaussian at full size would cost more and give the same.
        seen = _block_means(seen, step, border)
        to_from = affine.compose(to_from, affine.scaling(step))
        variance = (variance - (step**2 - 1) / 12) / step**2
    return cv2.GaussianBlur(seen, (0, 0), math.sqrt(variance), borderType=border), to_from


def _block_means(seen: MatLike, step: int, border: int) -> MatLike:
    """The means of blocks of step x step pixels.

    The border fills up the blocks at the right and the bottom.
    """
    height, width = seen.shape[:2]
    right, below = width % step, height % step
    if right and width > step:
        # Only the last blocks are filled up: a copy of the whole picture would cost more than the
        # means.
        sides = seen[:, : width - right], seen[:, width - right :]
        return np.concatenate([_block_means(side, step, border) for side in sides], axis=1)
    if below and height > step:
        sides = seen[: height - below], seen[height - below :]
        return np.concatenate([_block_means(side, step, border) for side in sides], axis=0)
    if right or below:
        seen = cv2.copyMakeBorder(seen, 0, -height % step, 0, -width % step, border)
    return cv2.resize(
        seen, (seen.shape[1] // step, seen.shape[0] // step), interpolation=cv2.INTER_AREA
    )


_BORDERS: Final = {"black": cv2.BORDER_CONSTANT, "replicate": cv2.BORDER_REPLICATE}
_FILTERS: Final = {"cubic": cv2.INTER_CUBIC, "linear": cv2.INTER_LINEAR}
