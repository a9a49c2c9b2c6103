"""The plate's fine texture: pores, stubble and grain that the model's resolution cannot hold."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from understudy.types import Floats

# Detail of this strength passes by half: skin lies below, the edges of lids, lips and nostrils far
# above.
CORE: Final = 4 / 255
# How far around a pixel its detail's strength is judged, in pixels of the model and of the frame,
# as standard deviation.
_AROUND: Final = 0.5
_LEAST_AROUND: Final = 1.0


def extract_texture(
    plate: Floats, dst_warped: Floats, amount: float, pitch: float, core: float = CORE
) -> Floats:
    """Extract what to add to the new face so that it has the plate's texture.

    Strong detail belongs to features, which the new face has elsewhere, and would be their ghost.

    Args:
        plate: (H, W, 3) float32 in 0..1.
        dst_warped: (H, W, 3), dst's face at the model's resolution, warped back to where it was.
        amount: Percent.
        pitch: Frame pixels to a pixel of the model.
        core: Detail of this strength passes by half, weaker all, stronger none. math.inf = all, so
            that with amount 100 a face that is dst's own becomes the plate.

    Returns:
        (H, W, 3) float32.
    """
    detail = plate - dst_warped
    around = max(_AROUND * pitch, _LEAST_AROUND)
    strength = np.sqrt(cv2.GaussianBlur((detail * detail).mean(-1), (0, 0), around))
    share = np.float32(amount / 100) / (1 + (strength / np.float32(core)) ** 4)
    return np.asarray(detail * share[..., None], np.float32)
