"""BlazeFace, full range: a face detector of 0.7 MB (Bazarevsky et al. 2019), run by LiteRT."""

from __future__ import annotations

from typing import Final

import numpy as np

from understudy.io import tflite
from understudy.io.weights.fetch import weight_path
from understudy.options import option
from understudy.parts.detectors import detectors
from understudy.parts.detectors.search import (
    SearchDetector,
    ViewDetector,
    ViewFaces,
    merge_overlapping,
)
from understudy.types import Bytes


@detectors.register("blazeface")
class BlazeFace(SearchDetector):
    """Fast, in any rotation, with 6 key points.

    Finds faces from about a twentieth of the frame's longer side upwards.
    """

    when_nothing_found = "Lower blazeface.score, set blazeface.tiles for small faces"

    score: float = option(0.4, "How sure a detection must be", low=0.05, high=1)
    threads: int = option(1, "CPU threads", low=1, high=64, affects="nothing")

    def view_detector(self) -> ViewDetector:
        """The network. Raises WeightsMissing."""
        network = tflite.load(weight_path("blazeface-full"), self.threads)

        def look(view: Bytes) -> ViewFaces:
            raw, logits = network((view.astype(np.float32) / 127.5 - 1)[None])
            scores = 1 / (1 + np.exp(-np.clip(logits[0, :, 0].astype(np.float64), -100, 100)))
            sure = scores >= self.score
            # Eight points: centre and size of the box, then eyes, nose, mouth, ears; all but the
            # size are relative to the anchor.
            points = raw[0, sure].reshape(-1, 8, 2).astype(np.float64)
            size = points[:, 1].copy()
            points += _ANCHORS[sure][:, None] - 0.5
            boxes = np.concatenate([points[:, 0] - size / 2, points[:, 0] + size / 2], axis=1)
            return merge_overlapping(boxes, scores[sure], points[:, 2:])

        # On our clips 95 % of upright heads score above 0.75, and 2 % of those that lie or stand on
        # their head.
        return ViewDetector(look, _SIDE, is_square=True, small=0.1, sure=0.75)


# Side of the network's input in pixels; the sparse full-range model has one anchor in every fourth
# pixel.
_SIDE: Final = 192
_CELLS: Final = 48
_ANCHORS: Final = np.stack(
    np.meshgrid(*[(np.arange(_CELLS) + 0.5) * (_SIDE / _CELLS)] * 2), -1
).reshape(-1, 2)
