"""Whether one person's face is wider or longer than another's, and how much larger it would fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from understudy.core import affine
from understudy.core.face.align import FITTED_POINTS, TEMPLATE
from understudy.core.face.traits import FaceTraits
from understudy.types import Doubles, Faces

# Faces that look ahead tell the shape; of fewer than this nothing is said.
_AHEAD: Final = np.radians([20, 15])
_LEAST_FACES: Final = 5
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
            0.05 = 5 % larger. An outline that is too wide and too short stays so.
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
    around = np.full(2, 0.5)
    scale = ((ours - around) * (theirs - around)).sum() / ((ours - around) ** 2).sum()
    return ShapeFit(
        _width(ours) / _width(theirs),
        _length(ours) / _length(theirs),
        float(scale) - 1,
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


def _width(shape: Doubles) -> float:
    return float(np.mean(shape[_RIGHT, 0] - shape[_LEFT, 0]))


def _length(shape: Doubles) -> float:
    return float(shape[[7, 8, 9], 1].mean() - shape[17:27, 1].mean())


# Points of the jaw line over the cheeks, in pairs.
_LEFT: Final[NDArray[np.int64]] = np.arange(1, 6)
_RIGHT: Final[NDArray[np.int64]] = 16 - _LEFT
