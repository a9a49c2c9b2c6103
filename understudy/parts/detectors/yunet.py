"""YuNet: a face detector of 0.3 MB (Wu, Peng and Yu 2023), run by OpenCV."""

from __future__ import annotations

from threading import Lock

import cv2
import numpy as np

from understudy.io.weights.fetch import weight_path
from understudy.options import option
from understudy.parts.detectors import detectors
from understudy.parts.detectors.search import SearchDetector, ViewDetector, ViewFaces
from understudy.types import Bytes


@detectors.register("yunet")
class YuNet(SearchDetector):
    """Seldom wrong, with 5 key points.

    Finds faces from about a fiftieth of the frame's longer side upwards.
    """

    score: float = option(0.6, "How sure a detection must be", low=0.05, high=1)
    side: int = option(
        640,
        "Longer side at which the frame is looked at; time grows with its square",
        low=128,
        high=4096,
    )

    def view_detector(self) -> ViewDetector:
        """The network. Raises WeightsMissing."""
        path = weight_path("yunet-2023mar", "yunet-n")
        network = cv2.FaceDetectorYN.create(
            str(path), "", (self.side, self.side), self.score, _OVERLAP, _CANDIDATES
        )
        turn = Lock()

        def look(view: Bytes) -> ViewFaces:
            with turn:
                network.setInputSize((view.shape[1], view.shape[0]))
                _, found = network.detect(cv2.cvtColor(view, cv2.COLOR_RGB2BGR))
            # Of each face: x, y, width, height, five points, score.
            rows = np.zeros((0, 15)) if found is None else np.asarray(found, np.float64)
            boxes = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
            return ViewFaces(boxes - 0.5, rows[:, 14], rows[:, 4:14].reshape(-1, 5, 2) - 0.5)

        return ViewDetector(look, self.side, is_square=False, small=10 / self.side, sure=0.9)


_OVERLAP, _CANDIDATES = 0.3, 5000
