"""Whether a learned mask is one yet: how near it is to all or nothing."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from understudy.types import Floats

# Masks below this are none yet. Measured on eight faces of the demo's dst, medians: `tiny` at 96 px
# has 0.59 after 1 iteration, 0.34 after 10, 0.39 after 30, 0.70 after 100, 0.86 after 300, 0.92
# after 1000 and 0.94 at its end; a small `saehd`, whose mean mask comes first, 0.40 after 1,
# 0.87 after 30, 0.81 after 100, 0.93 after 300, 0.95 after 1000. At 0.70 the mask is grey and
# grainy, and a tenth to a fifth of dst shows through. Hulls have 0.96, and a mask
# whose edge fades over a tenth of the square 0.85.
MIN_SOLIDITY: Final = 0.8
# What is noise from pixel to pixel becomes grey by this blur, as a share of the side.
_BLUR: Final = 0.01


def measure_solidity(mask: Floats) -> float:
    """Measure how nearly a mask is all or nothing, whatever its shape.

    It is the weighted Jaccard index (Ružička 1958), sum of minima over sum of maxima, of the mask
    and of itself cut at one half; of the mask after a slight blur, so that noise counts as grey.

    Args:
        mask: (S, S) float32 in 0..1.

    Returns:
        0..1: 1 = all is 0 or 1; 0 where nothing reaches one half.
    """
    soft = np.asarray(cv2.GaussianBlur(mask, (0, 0), _BLUR * mask.shape[0]), np.float32)
    cut = soft > 0.5
    return float(soft[cut].sum() / max(float(np.maximum(soft, cut).sum()), 1e-6))
