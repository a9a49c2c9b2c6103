"""dlib's face detectors, both by Davis King: HOG, or a small convolutional network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from understudy.io.weights.fetch import weight_path
from understudy.options import option
from understudy.parts.detectors import detectors
from understudy.parts.detectors.search import SearchDetector, ViewDetector, ViewFaces
from understudy.parts.dlib_extra import import_dlib
from understudy.types import Bytes, Doubles


@detectors.register("dlib")
class DlibBoxes(SearchDetector):
    """Needs the extra `dlib`; upright faces only, without key points.

    Finds faces from about 80 pixels of `side` upwards, with `cnn` from 40.
    """

    side: int = option(
        960,
        "Longer side at which the frame is looked at; time grows with its square",
        low=128,
        high=4096,
    )
    cnn: bool = option(
        False,
        "Look with a network instead of HOG: finds turned heads; takes about 60 times as long on"
        " a CPU",
    )

    def view_detector(self) -> ViewDetector:
        """The detector. Raises MissingExtra, WeightsMissing."""
        boxes_and_scores = _network() if self.cnn else _hog()

        def look(view: Bytes) -> ViewFaces:
            boxes, scores = boxes_and_scores(np.ascontiguousarray(view))
            sure = scores >= self.score
            return ViewFaces(boxes[sure], scores[sure], np.zeros((int(sure.sum()), 0, 2)))

        small, sure = (50, 0.9) if self.cnn else (90, 0.6)
        return ViewDetector(look, self.side, is_square=False, small=small / self.side, sure=sure)


def _hog() -> Callable[[Bytes], tuple[Doubles, Doubles]]:
    detector = import_dlib("detector dlib", with_weights=False).get_frontal_face_detector()

    def find(view: Bytes) -> tuple[Doubles, Doubles]:
        found, margins, _ = detector.run(view, 0, _LEAST_MARGIN)
        # The distance from the classifiers' border, as 0..1 with the border at 0.5.
        return _boxes(found), 1 / (1 + np.exp(-2 * np.array(margins, np.float64)))

    return find


def _network() -> Callable[[Bytes], tuple[Doubles, Doubles]]:
    dlib = import_dlib("detector dlib")
    network = dlib.cnn_face_detection_model_v1(str(weight_path("dlib-mmod")))

    def find(view: Bytes) -> tuple[Doubles, Doubles]:
        found = list(network(view, 0))
        # Plain faces score a little above 1.
        return _boxes([each.rect for each in found]), np.clip(
            [each.confidence for each in found], 0.0, 1.0
        )

    return find


def _boxes(rectangles: Any) -> Doubles:
    # A rectangle of dlib includes its last row and column.
    edges = [
        (each.left() - 0.5, each.top() - 0.5, each.right() + 0.5, each.bottom() + 0.5)
        for each in rectangles
    ]
    return np.array(edges, np.float64).reshape(-1, 4)


# The least margin that `score` can ask for.
_LEAST_MARGIN = -1.0
