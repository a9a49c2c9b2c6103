"""From landmarks to an upright, square face picture; how much of the head it shows is the face type.

The unit square of `TEMPLATE` is the half face. A wider type shows the same centre with a square `side` times as long.
The crop's *area* (from -0.5 to size - 0.5) is what maps to the square in the frame, and nothing is rounded, so a face
that moves by a tenth of a pixel moves its crop by a tenth of a pixel.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from understudy.core import geometry
from understudy.errors import DegeneratePoints
from understudy.types import Doubles, FaceType, Floats

# Padding on each side, in units of the half diagonal.
_PADDING: Final[dict[FaceType, float]] = {"half": 0.0, "mid-full": 0.0675, "full": 0.2109375}
SIDE: Final[dict[FaceType, float]] = {name: 1 + 2 * math.sqrt(2) * padding for name, padding in _PADDING.items()}


def face_from_frame(landmarks: Floats, face_type: FaceType, size: int) -> Doubles:
    """The (2, 3) map from frame pixels to the pixels of a (size, size) face picture.

    landmarks: (68, 2) frame pixels. The similarity that best carries points 17..48 and 54 (brows, nose, eyes, corners of the
    mouth: a talking chin does not move the crop) onto the template. Raises DegeneratePoints.
    """
    if np.shape(landmarks) != (68, 2):
        raise DegeneratePoints(f"A face has 68 points, got {np.shape(landmarks)}. Detect this face again or drop it.")
    unit_from_frame = geometry.similarity(np.asarray(landmarks)[FITTED], TEMPLATE[FITTED - 17])
    return geometry.compose(_face_from_unit(face_type, size), unit_from_frame)


def face_from_face(stored: FaceType, stored_size: int, wanted: FaceType, wanted_size: int) -> Doubles:
    """The (2, 3) map from the pixels of a stored face picture to those of the same face as another type and size."""
    return geometry.compose(_face_from_unit(wanted, wanted_size), geometry.invert(_face_from_unit(stored, stored_size)))


def contains(stored: FaceType, wanted: FaceType) -> bool:
    """Whether a picture of type `stored` shows everything that one of type `wanted` would."""
    return SIDE[stored] >= SIDE[wanted]


def template(face_type: FaceType, size: int) -> Floats:
    """Where points 17..67 of the average face lie in a (size, size) face picture, (51, 2) pixels."""
    return geometry.apply(_face_from_unit(face_type, size), TEMPLATE).astype(np.float32)


def _face_from_unit(face_type: FaceType, size: int) -> Doubles:
    scale = size / SIDE[face_type]
    shift = size / 2 - 0.5 - scale / 2
    return np.array([[scale, 0, shift], [0, scale, shift]])


# The points of the 68 that are fitted.
FITTED: Final = np.array([*range(17, 49), 54])

# The average face, points 17..67, x to the right and y down in the unit square.
TEMPLATE: Final = np.array(
    [
        [0.000213256, 0.106454],
        [0.0752622, 0.038915],
        [0.18113, 0.0187482],
        [0.29077, 0.0344891],
        [0.393397, 0.0773906],
        [0.586856, 0.0773906],
        [0.689483, 0.0344891],
        [0.799124, 0.0187482],
        [0.904991, 0.038915],
        [0.98004, 0.106454],
        [0.490127, 0.203352],
        [0.490127, 0.307009],
        [0.490127, 0.409805],
        [0.490127, 0.515625],
        [0.36688, 0.587326],
        [0.426036, 0.609345],
        [0.490127, 0.628106],
        [0.554217, 0.609345],
        [0.613373, 0.587326],
        [0.121737, 0.216423],
        [0.187122, 0.178758],
        [0.265825, 0.179852],
        [0.334606, 0.231733],
        [0.260918, 0.245099],
        [0.182743, 0.244077],
        [0.645647, 0.231733],
        [0.714428, 0.179852],
        [0.793132, 0.178758],
        [0.858516, 0.216423],
        [0.79751, 0.244077],
        [0.719335, 0.245099],
        [0.254149, 0.780233],
        [0.340985, 0.745405],
        [0.428858, 0.727388],
        [0.490127, 0.742578],
        [0.551395, 0.727388],
        [0.639268, 0.745405],
        [0.726104, 0.780233],
        [0.642159, 0.864805],
        [0.556721, 0.902192],
        [0.490127, 0.909281],
        [0.423532, 0.902192],
        [0.338094, 0.864805],
        [0.290379, 0.784792],
        [0.428096, 0.778746],
        [0.490127, 0.785343],
        [0.552157, 0.778746],
        [0.689874, 0.784792],
        [0.553364, 0.824182],
        [0.490127, 0.831803],
        [0.42689, 0.824182],
    ]
)
TEMPLATE.setflags(write=False)
