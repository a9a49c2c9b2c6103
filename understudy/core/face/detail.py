"""How much detail a face picture really shows, whatever its size in pixels."""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np

from understudy.core import affine
from understudy.types import AlignedFace, Bytes, Doubles, Floats

# The picture is softened by this much before it is judged, so that noise does not pass for detail;
# in pixels.
_SOFTENED: Final = 1.0
# The second softening, as a share of the face: wide enough to tell strong blurs apart.
_PROBE: Final = 1 / 48
_LEAST_PROBE: Final = 1.5
# What the pixels themselves blur: the standard deviation of a perfectly sharp picture.
_PIXEL: Final = 0.5


def measure_detail(image: Bytes, landmarks: Floats, scale: float = 1.0) -> float:
    """Measure how many pixels wide a perfectly sharp picture with as much detail would be.

    Neither enlarging nor a soft 4K lens adds detail; noise hardly does.

    Args:
        image: (H, W, 3) uint8.
        landmarks: (68, 2) pixels of the image.
        scale: Image pixels per frame pixel. A picture that was enlarged is judged at the size it
            had in the frame.

    Returns:
        Pixels from brows to chin. At most the face's own width, in frame pixels or in image pixels,
        whichever is less. 0 where no face is to be seen.
    """
    face = _face(image, landmarks, scale)
    if min(face.shape) < 4:
        return 0.0
    width = float(max(face.shape))
    return width / (2 * math.hypot(_blur(face, max(_LEAST_PROBE, width * _PROBE)), _PIXEL))


def measure_face_detail(face: AlignedFace) -> float:
    """`measure_detail` of a face picture, judged at the size that the face has in its frame."""
    return measure_detail(face.image, face.landmarks, affine.scale_of(face.face_from_frame))


def _blur(face: Floats, probe: float) -> float:
    """Standard deviation, in pixels, of the blur in the direction that is blurred most.

    So motion counts as much as focus. An edge blurred by s has gradient energy 1 / s. Blurring it
    again by p leaves the share R = s / sqrt(s^2 + p^2), so s^2 = p^2 R^2 / (1 - R^2). R is the
    largest share over all directions, an eigenvalue of both gradient tensors.
    """
    soft = np.asarray(cv2.GaussianBlur(face, (0, 0), _SOFTENED), np.float32)
    before, after = (
        _gradient_tensor(soft),
        _gradient_tensor(np.asarray(cv2.GaussianBlur(soft, (0, 0), probe), np.float32)),
    )
    # A flat picture has no edges in some direction; a trace of every direction keeps the ratio
    # defined.
    trace = np.eye(2) * max(1e-6 * float(np.trace(before)), 1e-9)
    share = float(np.linalg.eigvals(np.linalg.solve(before + trace, after + trace)).real.max())
    share = min(share, 0.999)
    return math.sqrt(max(probe**2 * share**2 / (1 - share**2) - _SOFTENED**2, 0.0))


def _face(image: Bytes, landmarks: Floats, scale: float) -> Floats:
    """The part from brows to chin, grey, at the size it had in the frame."""
    height, width = image.shape[:2]
    x0, y0 = np.clip(np.floor(landmarks[17:].min(axis=0)), 0, (width, height)).astype(int)
    x1, y1 = np.clip(np.ceil(landmarks[17:].max(axis=0)) + 1, 0, (width, height)).astype(int)
    if x1 <= x0 or y1 <= y0:
        return np.zeros((0, 0), np.float32)
    grey = cv2.cvtColor(np.ascontiguousarray(image[y0:y1, x0:x1]), cv2.COLOR_RGB2GRAY)
    if scale > 1:
        native = (max(round((x1 - x0) / scale), 1), max(round((y1 - y0) / scale), 1))
        grey = cv2.resize(grey, native, interpolation=cv2.INTER_AREA)
    return np.asarray(grey, np.float32)


def _gradient_tensor(picture: Floats) -> Doubles:
    across, down = (
        np.asarray(cv2.Sobel(picture, cv2.CV_32F, dx, 1 - dx, ksize=1), np.float64) for dx in (1, 0)
    )
    mixed = float((across * down).sum())
    return np.array([[float((across**2).sum()), mixed], [mixed, float((down**2).sum())]])
