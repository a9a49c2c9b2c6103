"""Whether one person's face is wider or longer than another's, and how much larger it would fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.core import affine
from understudy.core.face.align import FITTED_POINTS, TEMPLATE
from understudy.core.face.mask import raise_brows
from understudy.core.face.traits import FaceTraits
from understudy.types import Doubles, Faces

# Faces that look ahead tell the shape; of fewer than this nothing is said.
_AHEAD: Final = np.radians([20, 15])
_LEAST_FACES: Final = 5
# As far as train's src_scale goes, and in what steps it is looked for.
MOST_SCALE: Final = 0.3
_SCALE_STEP: Final = 0.005
_GRID: Final = 401
# A mouth that is open makes a face longer.
_CLOSED: Final = 0.1
_STILL_CLOSED: Final = 0.1


@dataclass(frozen=True, slots=True)
class ShapeFit:
    """How src's face lies over dst's, both aligned as face pictures are.

    Attributes:
        width, length: How many times as wide (over the cheeks) and as long (brows to chin) src's
            is as dst's.
        scale: What makes src's face cover dst's best, enlarged around the middle of the square:
            0.05 = 5 % larger. It is the one with the largest share of both faces that is in both,
            each the hull of its points as masks have it; within `MOST_SCALE`. An outline that is
            too wide and too short stays so.
        src, dst: (68, 2) the points of both in the square of the half face.
    """

    width: float
    length: float
    scale: float
    src: Doubles
    dst: Doubles


def fit_shapes(
    src: Faces, src_traits: FaceTraits, dst: Faces, dst_traits: FaceTraits
) -> ShapeFit | None:
    """Compare the faces of two people; None where too few look ahead with their mouth closed."""
    ours, theirs = usual_shape(src, src_traits), usual_shape(dst, dst_traits)
    if ours is None or theirs is None:
        return None
    return ShapeFit(
        _width(ours) / _width(theirs),
        _length(ours) / _length(theirs),
        _best_scale(ours, theirs),
        ours,
        theirs,
    )


def usual_shape(faces: Faces, traits: FaceTraits) -> Doubles | None:
    """(68, 2) the median points of the faces that look ahead, in the square of the half face.

    None where there are too few.
    """
    ahead = (np.abs(faces.pose[:, [1, 0]]) < _AHEAD).all(1) & ~faces.filled
    ahead &= np.isfinite(traits.shape).all((1, 2))
    if ahead.any():
        # As near to closed as this person has it.
        ahead &= traits.mouth_open < np.quantile(traits.mouth_open[ahead], _CLOSED) + _STILL_CLOSED
    if ahead.sum() < _LEAST_FACES:
        return None
    shape = np.median(traits.shape[ahead].astype(np.float64), axis=0)
    return affine.apply(
        affine.fit_similarity(shape[FITTED_POINTS], TEMPLATE[FITTED_POINTS - 17]), shape
    )


def _best_scale(src: Doubles, dst: Doubles) -> float:
    """By what src's face covers dst's best; of scales that do so alike the one nearest to 0."""
    ours, theirs = _reach(src), _reach(dst) <= 1
    steps = round(MOST_SCALE / _SCALE_STEP)
    scales = np.array(sorted(range(-steps, steps + 1), key=abs)) * _SCALE_STEP
    shared = [
        (theirs & (ours <= size)).sum() / (theirs | (ours <= size)).sum()
        for size in (1 + scales).tolist()
    ]
    return float(scales[int(np.argmax(shared))])


def _reach(points: Doubles) -> Doubles:
    """How large the face must be, around the middle, to reach each place of a grid; 1 = as it is.

    points: (68, 2) in the square of the half face.
    """
    face = np.asarray(raise_brows(points.astype(np.float32)) - 0.5, np.float32)
    hull = cv2.convexHull(face)[:, 0].astype(np.float64)
    along = np.roll(hull, -1, axis=0) - hull
    out = np.column_stack([along[:, 1], -along[:, 0]])
    steps = np.linspace(-1, 1, _GRID)
    places = np.stack(np.meshgrid(steps, steps), -1)
    return np.asarray((places @ (out / (out * hull).sum(axis=1, keepdims=True)).T).max(axis=-1))


def _width(shape: Doubles) -> float:
    return float(np.mean(shape[_RIGHT, 0] - shape[_LEFT, 0]))


def _length(shape: Doubles) -> float:
    return float(shape[[7, 8, 9], 1].mean() - shape[17:27, 1].mean())


# Points of the jaw line over the cheeks, in pairs.
_LEFT: Final[NDArray[np.int64]] = np.arange(1, 6)
_RIGHT: Final[NDArray[np.int64]] = 16 - _LEFT
