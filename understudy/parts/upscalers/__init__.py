"""Upscalers: networks that draw a face larger, with detail that its pixels only hint at.

An upscaler is a class of options whose `build(device)` gives a function: faces -> larger faces.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from understudy.registry import Part, Registry
from understudy.types import Floats

# Faces (N, S, S, 3) RGB in 0..1 -> (N, k S, k S, 3) in 0..1, k whole; float32. Made small again
# they are the faces they were.
Upscale = Callable[[Floats], Floats]


class Upscaler(Part):
    """The options of one upscaler; `build` makes it ready."""

    def build(self, device: str) -> Upscale:
        """The upscaler as a function. Raises WeightsMissing, BadOption."""
        raise NotImplementedError


upscalers: Registry[Upscaler] = Registry("upscalers", __name__, "upscaler")


def upscale_by(faces: Floats, power: float, upscale: Upscale) -> Floats:
    """Draw faces larger: so much of the upscaler's, the rest linear between pixels.

    Args:
        faces: (N, S, S, 3) float32 RGB in 0..1.
        power: Share of the upscaler's faces in percent. At 0 nothing is computed.
        upscale: The upscaler.

    Returns:
        (N, k S, k S, 3) float32 in 0..1; at power 0 `faces` as they are.
    """
    if power <= 0 or not len(faces):
        return faces
    larger, share = upscale(faces), np.float32(min(power, 100) / 100)
    size = larger.shape[2:0:-1]
    plain = np.stack([cv2.resize(face, size, interpolation=cv2.INTER_LINEAR) for face in faces])
    return np.asarray(np.clip(plain + share * (larger - plain), 0, 1), np.float32)
