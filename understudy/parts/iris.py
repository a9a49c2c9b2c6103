"""A network that looks at eyes: outlines of lids and irises (Ablavatski et al. 2020), by LiteRT."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Final

import numpy as np

from understudy.core import affine
from understudy.core.face import eyes
from understudy.core.face.traits import measure_head_width
from understudy.core.image import warp
from understudy.io import tflite
from understudy.io.weights.fetch import weight_path
from understudy.types import Bytes, Doubles, Floats

# From a picture (H, W, 3) uint8 RGB and landmarks (68, 2): the gaze (2, 2) and the lids (2,) as in
# `Faces`, NaN where an eye is shut or not to be seen.
LookAtEyes = Callable[[Bytes, Floats], tuple[Floats, Floats]]


@functools.lru_cache(maxsize=1)
def load_eye_network() -> LookAtEyes:
    """Return the network as a function. Raises WeightsMissing."""
    network = tflite.load(weight_path("iris"))

    def outline(crop: Bytes, mirrored: bool) -> Doubles:
        """(17, 2) the lids from corner to corner, lower and then upper, and the iris's middle."""
        seen = np.multiply(crop[:, ::-1] if mirrored else crop, np.float32(1 / 255))
        lids, iris = network(seen[None].astype(np.float32))
        points = np.concatenate([lids.reshape(-1, 3)[:_LIDS, :2], iris.reshape(-1, 3)[:1, :2]])
        points = points.astype(np.float64) - 0.5
        return points * (-1, 1) + (_SIDE - 1, 0) if mirrored else points

    def look(image: Bytes, landmarks: Floats) -> tuple[Floats, Floats]:
        gaze, lids = np.full((2, 2), np.nan), np.full(2, np.nan)
        if not np.isfinite(landmarks).all():
            return gaze.astype(np.float32), lids.astype(np.float32)
        width = float(measure_head_width(landmarks[None])[0])
        for number, corners in enumerate(eyes.CORNERS):
            # The network knows the eye on the picture's left: the other is shown in a mirror.
            is_mirrored = number == 1
            crop_from_picture = eyes.eye_crop(landmarks, corners, _SIDE, _ROOM)
            crop = np.asarray(warp(image, crop_from_picture, (_SIDE, _SIDE), "replicate"), np.uint8)
            points = affine.apply(affine.invert(crop_from_picture), outline(crop, is_mirrored))
            lids[number] = eyes.measure_lids(points[_UPPER], points[_LOWER], landmarks, width)
            if lids[number] > eyes.SHUT:
                # Between the corners of the landmarks: those of the network follow the iris.
                gaze[number] = eyes.measure_gaze(landmarks, corners, points[-1])
        return gaze.astype(np.float32), lids.astype(np.float32)

    return look


_SIDE: Final = 64
# How many times as wide as the eye the square is that the network was trained with.
_ROOM: Final = 2.3
# The first points of the network's outline of the eye and its brow are those of the lids: the outer
# corner, along the lower lid to the inner corner, then the upper lid from the outer side on.
_LIDS: Final = 16
_LOWER, _UPPER = slice(1, 8), slice(9, 16)
