"""Upscalers: networks that draw a face larger, with detail that its pixels only hint at.

An upscaler is a function that makes one on a device: `upscalers["realesrgan"]("cpu")`. It fetches
its weights.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from understudy.registry import Registry
from understudy.types import Floats

# Faces (N, S, S, 3) RGB in 0..1 -> (N, k S, k S, 3) in 0..1, k whole; float32. Made small again
# they are the faces they were.
Upscale = Callable[[Floats], Floats]

upscalers: Registry[Callable[[str], Upscale]] = Registry("upscalers", __name__)


def upscaled(faces: Floats, power: float, upscale: Upscale) -> Floats:
    """The faces (N, S, S, 3) drawn larger: `power` percent of the upscaler's, the rest linear
    between pixels.

    Where power is 0 they are the faces as they came, at their own size: nothing is computed.
    """
    if power <= 0 or not len(faces):
        return faces
    larger, share = upscale(faces), np.float32(min(power, 100) / 100)
    size = larger.shape[2:0:-1]
    plain = np.stack([cv2.resize(face, size, interpolation=cv2.INTER_LINEAR) for face in faces])
    return np.asarray(np.clip(plain + share * (larger - plain), 0, 1), np.float32)
