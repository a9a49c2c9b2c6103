"""dlib's 68 points: an ensemble of regression trees (Kazemi and Sullivan 2014).

It was trained on iBUG 300-W.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from understudy.core import affine
from understudy.core.face.landmarks import INNER
from understudy.core.image import warp
from understudy.io.weights.fetch import weight_path
from understudy.options import option
from understudy.parts.detectors import Detection
from understudy.parts.dlib_extra import import_dlib
from understudy.parts.landmarkers import FaceLandmarks, Landmarker, Locate, landmarkers
from understudy.types import Bytes, Doubles


@landmarkers.register("dlib")
class Dlib68(Landmarker):
    """Needs the extra `dlib`. Follows the true jaw; trembles more than a mesh.

    Not for commercial use, by its training data.
    """

    # The detector dlib has the plain name.
    settings_name = "dlib_68"

    passes: int = option(
        2,
        "How often to look; every pass places its box by the points of the one before",
        low=1,
        high=5,
    )
    boxes: int = option(
        5,
        "How many slightly different boxes the last pass averages, against trembling",
        low=1,
        high=5,
    )

    def build(self) -> Locate:
        """The landmarker as a function. Raises MissingExtra, WeightsMissing."""
        dlib = import_dlib("landmarker dlib")
        predictor = dlib.shape_predictor(str(weight_path("dlib-68")))

        def place(crop: Bytes, middle: Doubles, side: float) -> Doubles:
            left, top = np.rint(middle - side / 2).astype(int).tolist()
            shape: Any = predictor(
                crop, dlib.rectangle(left, top, left + round(side), top + round(side))
            )
            return np.array([(part.x, part.y) for part in shape.parts()], np.float64)

        def locate(image: Bytes, detection: Detection) -> FaceLandmarks | None:
            crop_from_frame = _crop_from_frame(detection)
            crop = np.ascontiguousarray(warp(image, crop_from_frame, (_SIDE, _SIDE)), np.uint8)
            middle, side = np.full(2, _SIDE / 2), float(_FACE)
            for _ in range(self.passes - 1):
                middle, side = _box_of(place(crop, middle, side))
            looks = [
                place(crop, middle + side * np.array(shift), side * scale)
                for *shift, scale in _NUDGES[: self.boxes]
            ]
            points = affine.apply(affine.invert(crop_from_frame), np.mean(looks, axis=0))
            return FaceLandmarks(points.astype(np.float32), detection.score)

        return locate


def _crop_from_frame(detection: Detection) -> Doubles:
    """The upright crop in which dlib's box around the face is `_FACE` pixels wide.

    Its points lie at whole pixels.
    """
    low, high = detection.box[:2].astype(np.float64), detection.box[2:].astype(np.float64)
    side = _BOX * float((high - low).max())
    return affine.square_crop((low + high) / 2, side * _SIDE / _FACE, detection.angle, _SIDE)


def _box_of(points: Doubles) -> tuple[Doubles, float]:
    """Middle and side of the box that dlib's own detector would put around these points."""
    inner = points[INNER]
    middle = inner.mean(axis=0)
    side = float(np.linalg.norm(inner - middle, axis=1).mean()) / _SPREAD
    return middle + side * np.array(_OFF), side


# Sides of the crop and of the face's box in it, pixels.
_SIDE: Final = 640
_FACE: Final = 400
# dlib's box against our detectors' (25 faces of five clips), then against the inner points: their
# mean distance from their middle, and the way from there to the middle of the box.
_BOX: Final = 0.9
_SPREAD: Final = 0.286
_OFF: Final = (-0.01, 0.025)
# Boxes as (right, down, scale), in sides.
_NUDGES: Final = (
    (0.0, 0.0, 1.0),
    (0.02, 0.02, 1.03),
    (-0.02, 0.02, 0.97),
    (0.02, -0.02, 0.97),
    (-0.02, -0.02, 1.03),
)
