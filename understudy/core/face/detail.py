"""How much detail a face picture really shows, whatever its size in pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from understudy.core import affine
from understudy.types import AlignedFace, Bytes, Doubles, Floats

# How fast a picture changes across and down, (H, W) each.
Gradients = tuple[Floats, Floats]

# The picture is softened by this much before it is judged, so that noise does not pass for detail;
# in pixels.
_SOFTENED: Final = 1.0
# The second softening, as a share of the face: wide enough to tell strong blurs apart.
_PROBE: Final = 1 / 48
_LEAST_PROBE: Final = 1.5
# What the pixels themselves blur: the standard deviation of a perfectly sharp picture.
_PIXEL: Final = 0.5
# The same for sharpness and motion, as shares of the face: of all that were tried on real faces,
# blurred and smeared step by step, these tell the steps apart best, at any size and with noise.
_SHARE_SOFTENED: Final = 1 / 160
_FINE_PROBE: Final = 1 / 96
# Nor do the pixels make a small picture of a face more blurred: each averages pixels that average,
# a box upon a box, whose variance is taken off; in pixels squared.
_RESAMPLED: Final = 1 / 6
# Less softens nothing.
_LEAST_SOFTENED: Final = 0.3
# A face that is not blurred has a sharpness of 1/2, and one blurred by this share of its width 1/3.
_BLURRED: Final = 0.01
# Gradients that are none.
_FLAT: Final = 1e-6
# Differences between both directions below this, as a share of the width, are no motion.
_STILL: Final = 0.01


@dataclass(frozen=True, slots=True)
class Blur:
    """How a face is blurred.

    sharpness: 0..1, by the blur as a share of the face, so the same at any size of its picture; see
    `_BLURRED`. motion: 0..1, how much more it is blurred along one line than across it. detail:
    `measure_detail`.
    """

    sharpness: float
    motion: float
    detail: float


def measure_blur(
    image: Bytes, landmarks: Floats, scale: float = 1.0, visible: Doubles | None = None
) -> Blur:
    """Measure how a face is blurred, and how much detail is left of it.

    Args:
        image: (H, W, 3) uint8.
        landmarks: (68, 2) pixels of the image.
        scale: Image pixels per frame pixel. A picture that was enlarged is judged at the size it
            had in the frame.
        visible: (N, 2) corners of the convex part of the image that shows the frame, in pixels of
            the image; None = all of it. What lies beyond the frame's edge is no face.

    Returns:
        The blur within the hull of the points from brows to chin. NaN, and no detail, where less
        than 4 pixels of the face are to be seen.
    """
    face, to_face = _face(image, landmarks, scale)
    if min(face.shape) < 4:
        return Blur(math.nan, math.nan, 0.0)
    width = float(max(face.shape))
    weight = _inside(affine.apply(to_face, landmarks[17:]), face.shape)
    if visible is not None:
        weight = np.minimum(weight, _inside(affine.apply(to_face, visible), face.shape))
    probe = max(_LEAST_PROBE, width * _PROBE)
    detail = _detail(_edges(face, _SOFTENED, probe), probe, width)
    if not weight.any():
        return Blur(math.nan, math.nan, detail)
    # Softened by a share of the face, not by a pixel, all sizes are softened alike.
    softened, fine = width * _SHARE_SOFTENED, width * _FINE_PROBE
    edges = _edges(face, softened, fine)
    before, after = (_tensor(*each, weight) for each in edges)
    # What is flat keeps all of nothing: it is as blurred as can be.
    share = float(np.trace(after) + _FLAT) / float(np.trace(before) + _FLAT)
    variance = _blur_by(share, softened, fine) - _RESAMPLED
    spread = math.copysign(math.sqrt(abs(variance)), variance) / width
    along, across = (max(_blur_by(share, softened, fine), 0.0) for share in _shares(edges, weight))
    motion = (along - across) / (along + across + (_STILL * width) ** 2)
    return Blur(1 / (1 + 2 ** (spread / _BLURRED)), motion, detail)


def measure_detail(image: Bytes, landmarks: Floats, scale: float = 1.0) -> float:
    """Measure how many pixels wide a perfectly sharp picture with as much detail would be.

    Neither enlarging nor a soft 4K lens adds detail; noise hardly does. Arguments as
    `measure_blur`.

    Returns:
        Pixels from brows to chin. At most the face's own width, in frame pixels or in image pixels,
        whichever is less. 0 where no face is to be seen.
    """
    face, _ = _face(image, landmarks, scale)
    if min(face.shape) < 4:
        return 0.0
    width = float(max(face.shape))
    probe = max(_LEAST_PROBE, width * _PROBE)
    return _detail(_edges(face, _SOFTENED, probe), probe, width)


def measure_face_detail(face: AlignedFace) -> float:
    """`measure_detail` of a face picture, judged at the size that the face has in its frame."""
    return measure_detail(face.image, face.landmarks, affine.scale_of(face.face_from_frame))


def _detail(edges: tuple[Gradients, Gradients], probe: float, width: float) -> float:
    """By the direction that is blurred most, so motion counts as much as focus."""
    blur = max(_blur_by(_shares(edges)[0], _SOFTENED, probe), 0.0)
    return width / (2 * math.sqrt(blur + _PIXEL**2))


def _edges(face: Floats, softened: float, probe: float) -> tuple[Gradients, Gradients]:
    """Gradients of the picture, and of the same blurred by `probe`; both softened."""
    soft = face
    if softened >= _LEAST_SOFTENED:
        soft = np.asarray(cv2.GaussianBlur(face, (0, 0), softened), np.float32)
    softer = np.asarray(cv2.GaussianBlur(soft, (0, 0), probe), np.float32)
    return _gradients(soft), _gradients(softer)


def _shares(edges: tuple[Gradients, Gradients], weight: Bytes | None = None) -> tuple[float, float]:
    """The share of its gradients that a picture keeps where it keeps most, and across that.

    They are the eigenvalues of both gradient tensors.
    """
    first, second = (_tensor(*each, weight) for each in edges)
    # A flat picture has no edges in some direction; a trace of every direction keeps the ratio
    # defined.
    trace = np.eye(2) * max(1e-6 * float(np.trace(first)), 1e-9)
    least, most = np.sort(np.linalg.eigvals(np.linalg.solve(first + trace, second + trace)).real)
    return float(most), float(least)


def _blur_by(share: float, softened: float, probe: float) -> float:
    """The variance of the blur, in pixels, of a picture that keeps this share of its gradients.

    An edge blurred by s has gradient energy 1 / s. Blurring it again by p leaves the share R = s /
    sqrt(s^2 + p^2), so s^2 = p^2 R^2 / (1 - R^2). Below 0 where there is more fine detail than
    sharp edges have.
    """
    if softened < _LEAST_SOFTENED:
        softened = 0.0
    share = min(max(share, 0.0), 0.999)
    return probe**2 * share**2 / (1 - share**2) - softened**2


def _face(image: Bytes, landmarks: Floats, scale: float) -> tuple[Floats, Doubles]:
    """The part from brows to chin, grey, at the size it had in the frame; and the way there."""
    height, width = image.shape[:2]
    x0, y0 = np.clip(np.floor(landmarks[17:].min(axis=0)), 0, (width, height)).astype(int)
    x1, y1 = np.clip(np.ceil(landmarks[17:].max(axis=0)) + 1, 0, (width, height)).astype(int)
    if x1 <= x0 or y1 <= y0:
        return np.zeros((0, 0), np.float32), affine.scaling(1)
    grey = cv2.cvtColor(np.ascontiguousarray(image[y0:y1, x0:x1]), cv2.COLOR_RGB2GRAY)
    if scale > 1:
        native = (max(round((x1 - x0) / scale), 1), max(round((y1 - y0) / scale), 1))
        grey = cv2.resize(grey, native, interpolation=cv2.INTER_AREA)
    rows, columns = grey.shape
    to_face = affine.compose(
        affine.scaling(columns / (x1 - x0), rows / (y1 - y0)),
        np.array([[1.0, 0, -x0], [0, 1, -y0]]),
    )
    return np.asarray(grey, np.float32), to_face


def _inside(points: Doubles, shape: tuple[int, ...]) -> Bytes:
    """1 within the convex hull of points, else 0."""
    weight = np.zeros(shape, np.uint8)
    cv2.fillConvexPoly(weight, cv2.convexHull(np.rint(points).astype(np.int32)), 1)
    return weight


def _gradients(picture: Floats) -> Gradients:
    across, down = (
        np.asarray(cv2.Sobel(picture, cv2.CV_32F, dx, 1 - dx, ksize=1), np.float32) for dx in (1, 0)
    )
    return across, down


def _tensor(across: Floats, down: Floats, weight: Bytes | None) -> Doubles:
    """The sums of squares and products, (2, 2), where the weight is not 0."""
    straight, upright, both = (
        cv2.norm(each, cv2.NORM_L2SQR, mask=weight) for each in (across, down, across + down)
    )
    mixed = (both - straight - upright) / 2
    return np.array([[straight, mixed], [mixed, upright]])
