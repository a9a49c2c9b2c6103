"""What the pixels of face pictures show, measured once: blur, light, colour, a small picture."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Final

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from understudy.core import affine
from understudy.core.face import align
from understudy.core.face.detail import measure_blur
from understudy.core.face.mask import raise_brows
from understudy.core.image import resize, warp
from understudy.types import Bytes, Doubles, Floats

BINS: Final = 32
THUMBNAIL: Final = 16

_SMALL: Final = 128
# The face is looked at upright, as a full face of this side.
_SIDE: Final = 64
# Blacker than this, of 255, is what no camera saw; JPG lets it ripple.
_BLACK: Final = 6.0
# The picture is laid upright in the frame at this size, to find how far the frame reaches.
_UPRIGHT: Final = 64
# Points along each side of a picture, of which those beyond the frame are counted.
_GRID: Final = 32
_BLOCK: Final = 1024
# The mean saturation below which no hue is seen: less than one grey level of 255.
_GREY: Final = 1 / 255


@dataclass(frozen=True, slots=True)
class PixelMeasures:
    """Of N face pictures, all within the face's own region (the hull of its landmarks).

    A picture that cannot be decoded has NaN, zero histograms and a black thumbnail, and a reason.

    Attributes:
        detail: (N,) float32, `detail.measure_face_detail`: pixels in the frame.
        sharpness: (N,) float32, 0..1, the same at any size of the face.
        motion_blur: (N,) float32, 0..1: how much more it is blurred along one line than across it.
        brightness: (N,) float32, 0..1, mean of HSV's V.
        hue: (N,) float32, 0..1, circular mean weighted by saturation; NaN where all is grey.
        black: (N,) float32, 0..1, share of the picture outside the screen: beyond the frame's edge.
        light: (N, 2) float32, -1..1: how much brighter right is than left, and below than above.
        histogram: (N, 4, 32) float32, each sums to 1: R, G, B, grey.
        thumbnail: (N, 16, 16) uint8, grey, of the aligned face.
        reasons: By row, why a picture could not be read.
    """

    detail: Floats
    sharpness: Floats
    motion_blur: Floats
    brightness: Floats
    hue: Floats
    black: Floats
    light: Floats
    histogram: Floats
    thumbnail: Bytes
    reasons: dict[int, str]

    def __len__(self) -> int:
        return len(self.detail)

    @property
    def is_known(self) -> NDArray[np.bool_]:
        """(N,) bool: the picture could be read, and shows something of the face."""
        shown: NDArray[np.bool_] = self.histogram.sum(axis=(1, 2)) > 0
        return np.isfinite(self.sharpness) & shown

    def select(self, rows: NDArray[np.bool_]) -> PixelMeasures:
        """Of the same pictures only those where `rows` (N,) is true."""
        columns = {
            each.name: getattr(self, each.name)[rows]
            for each in fields(self)
            if each.name != "reasons"
        }
        kept = np.flatnonzero(rows).tolist()
        reasons = {at: self.reasons[row] for at, row in enumerate(kept) if row in self.reasons}
        return PixelMeasures(**columns, reasons=reasons)


def empty_columns(count: int) -> dict[str, NDArray[np.generic]]:
    """The columns of so many pictures of which nothing is known.

    They are those of `PixelMeasures`, but `screen` in place of `black`: (N, 4) float64, the left,
    top, right and bottom of what is not black to the picture's edge, in frame pixels.
    """
    unknown = {
        name: np.full(count, np.nan, np.float32)
        for name in ("detail", "sharpness", "motion_blur", "brightness", "hue")
    }
    return {
        **unknown,
        "light": np.full((count, 2), np.nan, np.float32),
        "histogram": np.zeros((count, 4, BINS), np.float32),
        "thumbnail": np.zeros((count, THUMBNAIL, THUMBNAIL), np.uint8),
        "screen": np.full((count, 4), np.nan, np.float64),
    }


def measure_picture(
    image: Bytes, landmarks: Floats, face_from_frame: Doubles
) -> dict[str, ArrayLike]:
    """Measure one face picture: a row of each of `empty_columns`.

    Args:
        image: (S, S, 3) uint8.
        landmarks: (68, 2) frame pixels.
        face_from_frame: (2, 3) from frame pixels to those of the image.

    Raises:
        DegeneratePoints: The landmarks are no face.
    """
    size = image.shape[0]
    in_picture = affine.apply(face_from_frame, landmarks).astype(np.float32)
    scale = affine.scale_of(face_from_frame)
    # Blur needs every pixel; for the rest a small picture does.
    side = min(size, _SMALL)
    small, small_from_picture = resize(image, (side, side)), affine.scaling(side / size)
    screen = _screen(small, affine.compose(small_from_picture, face_from_frame))
    visible = affine.apply(face_from_frame, _corners(screen))
    blur = measure_blur(image, in_picture, scale, visible)
    upright_from_picture = align.face_from_frame(in_picture, "full", _SIDE)
    upright_from_small = affine.compose(upright_from_picture, affine.scaling(size / side))
    upright = warp(small, upright_from_small, (_SIDE, _SIDE), "replicate")
    seen = np.ones((_SIDE, _SIDE), np.uint8)
    for part in (raise_brows(in_picture), affine.corners((size, size)), visible):
        points = np.rint(affine.apply(upright_from_picture, part)).astype(np.int32)
        shown = np.zeros_like(seen)
        cv2.fillConvexPoly(shown, cv2.convexHull(points), 1)
        seen &= shown
    return {
        "detail": blur.detail,
        "sharpness": blur.sharpness,
        "motion_blur": blur.motion,
        "screen": screen,
        "thumbnail": cv2.resize(
            cv2.cvtColor(upright, cv2.COLOR_RGB2GRAY),
            (THUMBNAIL, THUMBNAIL),
            interpolation=cv2.INTER_AREA,
        ),
        **_light_and_colour(upright, seen > 0),
    }


def share_outside(
    screen: Doubles,
    face_from_frame: Doubles,
    sides: NDArray[np.int64],
    footage: NDArray[np.int64],
    frame_sizes: Doubles | None = None,
) -> Floats:
    """How much of each picture lies beyond the edge of its frame, 0..1.

    Where a frame ends at the right and below, no picture says. But what one face of a footage shows
    there belongs to the frame for all of them, however dark it is in their own pictures. Pictures
    that repeat the frame's last line beyond it only tell by the frame's size.

    Args:
        screen: (N, 4) as `empty_columns` has it.
        face_from_frame: (N, 2, 3) from frame pixels to those of each picture.
        sides: (N,) of the pictures in pixels.
        footage: (N,) of which each face is, -1 = nobody knows.
        frame_sizes: (N, 2) width and height of their frames; NaN, None = not known.

    Returns:
        (N,) float32, NaN where the screen is.
    """
    reach = screen.copy()
    known = np.flatnonzero(footage >= 0)
    if len(known):
        shown = np.tile([np.inf, np.inf, -np.inf, -np.inf], (int(footage.max()) + 1, 1))
        # fmin and fmax leave NaN out.
        np.fmin.at(shown[:, :2], footage[known], screen[known, :2])
        np.fmax.at(shown[:, 2:], footage[known], screen[known, 2:])
        reach[known] = shown[footage[known]]
    if frame_sizes is not None:
        sized = np.isfinite(frame_sizes)
        reach[:, :2][sized] = -0.5
        reach[:, 2:][sized] = frame_sizes[sized] - 0.5
    steps = (np.arange(_GRID) + 0.5) / _GRID
    grid = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)
    result = np.empty(len(screen), np.float32)
    for start in range(0, len(screen), _BLOCK):
        rows = slice(start, start + _BLOCK)
        turn, shift = face_from_frame[rows, :, :2], face_from_frame[rows, :, 2]
        points = grid * sides[rows, None, None] - 0.5 - shift[:, None]
        points = points @ np.linalg.inv(turn).transpose(0, 2, 1)
        low, high = reach[rows, None, :2], reach[rows, None, 2:]
        inside = ((points >= low) & (points <= high)).all(axis=-1)
        result[rows] = 1 - inside.mean(axis=1)
    result[np.isnan(screen).any(axis=1)] = np.nan
    return result


def _light_and_colour(upright: Bytes, seen: NDArray[np.bool_]) -> dict[str, ArrayLike]:
    """Brightness, hue, light and histograms of the part (S, S) that is seen."""
    if not seen.any():
        unknown = np.nan
        return {"brightness": unknown, "hue": unknown, "light": (unknown, unknown)}
    grey = np.asarray(cv2.cvtColor(upright, cv2.COLOR_RGB2GRAY), np.uint8)
    pixels = upright[seen].astype(np.float32)
    value, chroma = pixels.max(axis=1), np.ptp(pixels, axis=1)
    # Hue as the angle of the colour in the plane across grey: circular, and black has no weight.
    red, green, blue = pixels.T
    x, y = 2 * red - green - blue, math.sqrt(3) * (green - blue)
    saturation = chroma / (np.maximum(value, 1) * np.maximum(np.hypot(x, y), 1))
    across, along = float(saturation @ y), float(saturation @ x)
    is_grey = math.hypot(across, along) < _GREY * len(pixels)
    channels = (*cv2.split(upright), grey)
    mask = seen.astype(np.uint8)
    histogram = np.stack(
        [cv2.calcHist([channel], [0], mask, [BINS], [0, 256]).ravel() for channel in channels]
    )
    return {
        "brightness": value.mean() / 255,
        "hue": math.nan if is_grey else math.atan2(across, along) / (2 * math.pi) % 1,
        "light": _light(grey, seen),
        "histogram": histogram / seen.sum(),
    }


def _light(grey: Bytes, seen: NDArray[np.bool_]) -> tuple[float, float]:
    """How much brighter the face is at the right and below: (difference / sum) of both halves."""
    rows, columns = np.nonzero(seen)
    values = grey[seen].astype(np.float64)
    told = []
    for place in (columns, rows):
        second = place >= np.median(place)
        halves = [float(values[half].mean()) if half.any() else 0.0 for half in (~second, second)]
        told.append((halves[1] - halves[0]) / max(sum(halves), 1.0))
    return told[0], told[1]


def _screen(image: Bytes, face_from_frame: Doubles) -> Doubles:
    """The left, top, right and bottom, in frame pixels, of what is not black to the edge.

    Left and top the frame itself ends at its first pixel.
    """
    size = image.shape[0]
    frame_from_face = affine.invert(face_from_frame)
    outline = affine.apply(frame_from_face, affine.corners((size, size)))
    low, high = outline.min(axis=0), outline.max(axis=0)
    side = float((high - low).max())
    upright_from_frame = affine.square_crop((low + high) / 2, side, 0, _UPRIGHT)
    upright_from_face = affine.compose(upright_from_frame, frame_from_face)
    # Beyond the picture it is as black as beyond the frame.
    upright = cv2.warpAffine(
        np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)),
        upright_from_face,
        (_UPRIGHT, _UPRIGHT),
        flags=cv2.INTER_LINEAR,
    )
    lit = upright > _BLACK
    columns, rows = np.flatnonzero(lit.any(axis=0)), np.flatnonzero(lit.any(axis=1))
    if not len(columns):
        return np.array([0.0, 0.0, 0.0, 0.0])
    found = np.array([[columns[0] - 0.5, rows[0] - 0.5], [columns[-1] + 0.5, rows[-1] + 0.5]])
    seen = affine.apply(affine.invert(upright_from_frame), found)
    # What is lit up to the picture's own edge says nothing of where the frame ends.
    pixel = side / _UPRIGHT
    first = np.where(seen[0] <= low + 1.5 * pixel, low, seen[0])
    last = np.where(seen[1] >= high - 1.5 * pixel, high, seen[1])
    return np.concatenate([np.maximum(first, -0.5), last])


def _corners(screen: Doubles) -> Doubles:
    left, top, right, bottom = screen
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
