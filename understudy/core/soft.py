"""Wide blurs of float pictures, at a cost that does not grow with their width."""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np

from understudy.types import Floats

# A Gaussian counts as finished after this many standard deviations.
REACH: Final = 2.5
# A wide blur is done at a size where its radius has this many pixels at least; finer would cost and show nothing.
_RADIUS: Final = 3.0


def blurred(picture: Floats, radius: float, border: int = cv2.BORDER_REPLICATE) -> Floats:
    """A Gaussian of that standard deviation in pixels, (H, W[, C]) float32. border: OpenCV's name of what lies beyond the edge."""
    step = max(1, int(radius / _RADIUS))
    height, width = picture.shape[:2]
    small = (max(1, round(width / step)), max(1, round(height / step)))
    if step > 1:
        picture = np.asarray(cv2.resize(picture, small, interpolation=cv2.INTER_AREA), np.float32)
    # Blocks, and lines between them on the way back, have blurred a little already.
    left = math.sqrt(radius**2 - (step**2 - 1) / 4) / step
    side = 2 * math.ceil(REACH * left) + 1
    soft = cv2.GaussianBlur(picture, (side, side), left, borderType=border)
    if step > 1:
        soft = cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(soft, np.float32)
