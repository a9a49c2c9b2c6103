"""From landmarks to a square face picture; how much of the head it shows is the face type.

The unit square of `TEMPLATE` is the half face. A wider type shows a square that is
`FACE_TYPE_SCALE` times as long: around the same centre, a little higher (whole), or higher and
towards the back of the head (head). The types half to head stand upright with the face and lie
within one another. no-align is as large as full but upright in the frame; mark-only is the whole
frame. The crop's *area* (from -0.5 to size - 0.5) is what maps to the square in the frame. Nothing
is rounded, so a face that moves by a tenth of a pixel moves its crop by a tenth of a pixel.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from understudy.core import affine
from understudy.core.face import mask
from understudy.errors import DegeneratePoints
from understudy.types import AlignedFace, Doubles, FaceType, Floats

# Padding on each side, in units of the half diagonal; narrow types first.
_PADDING: Final[dict[FaceType, float]] = {
    "half": 0.0,
    "mid-full": 0.0675,
    "full": 0.2109375,
    "whole": 0.4,
    "head": 0.7,
}
FACE_TYPE_SCALE: Final[dict[FaceType, float]] = {
    name: 1 + 2 * math.sqrt(2) * padding for name, padding in _PADDING.items()
}
_NESTED: Final = tuple(FACE_TYPE_SCALE)

# How far the centre lies above the half face's, in its sides. The field's head has 0.5: that would
# cut 0.3 % off whole's chin.
_LIFT: Final[dict[FaceType, float]] = {"whole": 0.07, "head": 0.494}
# A head's centre moves towards its back by at most this: whole stays within, and a skull in profile
# has room to spare.
_MOST_BACK: Final = (FACE_TYPE_SCALE["head"] - FACE_TYPE_SCALE["whole"]) / 2


def face_from_frame(
    landmarks: Floats, face_type: FaceType, size: int, frame_size: tuple[int, int] | None = None
) -> Doubles:
    """Return the map from frame pixels to the pixels of a (size, size) face picture.

    It is the similarity that best carries points 17..48 and 54 onto the template: brows, nose,
    eyes, corners of the mouth. A talking chin does not move the crop.

    Args:
        landmarks: (68, 2) frame pixels.
        face_type: How much of the head the picture shows.
        size: Side of the picture in pixels.
        frame_size: (width, height). mark-only alone needs it: there the frame is fitted into the
            square, landmarks or not.

    Returns:
        (2, 3) float64.

    Raises:
        DegeneratePoints: No similarity fits the landmarks.
    """
    if face_type == "mark-only":
        assert frame_size is not None
        return affine.square_crop((np.array(frame_size) - 1) / 2, max(frame_size), 0, size)
    if np.shape(landmarks) != (68, 2):
        raise DegeneratePoints(
            f"A face has 68 points, got {np.shape(landmarks)}. Detect this face again or drop it."
        )
    unit_from_frame = affine.fit_similarity(
        np.asarray(landmarks)[FITTED_POINTS], TEMPLATE[FITTED_POINTS - 17]
    )
    if face_type == "no-align":
        middle = affine.apply(affine.invert(unit_from_frame), (0.5, 0.5))
        return affine.square_crop(
            middle, FACE_TYPE_SCALE["full"] / affine.scale_of(unit_from_frame), 0, size
        )
    back = _back(affine.apply(unit_from_frame, landmarks)) if face_type == "head" else 0.0
    return affine.compose(_face_from_unit(face_type, size, back), unit_from_frame)


def make_room(
    landmarks: Floats | Doubles, face_type: FaceType, size: int, shift: float, scale: float
) -> Doubles:
    """Return how a face moves so that its square holds all of it.

    The square that `face_from_frame` makes does not follow the chin: a mouth that opens wide takes
    it out at the bottom, and a turned head an ear at the side. Then the face moves up or aside and
    becomes smaller, by as little as is needed, and by no more than the model has seen in training:
    what it has not seen it paints where the face usually is, so that it would slide over the plate.

    Args:
        landmarks: (68, 2) pixels of the face picture.
        face_type: What the picture shows; half and mid-full cut every chin off, and stay so.
        size: Side of the picture in pixels.
        shift: How far training moves faces, in sides of the picture.
        scale: 0.05 = it makes them up to 5 % smaller.

    Returns:
        (2, 3) moved_from_face, between pixels; the identity where all of it is inside.
    """
    if face_type not in _WHOLE_FACES:
        return affine.scaling(1)
    spread = (mask.raise_brows(np.asarray(landmarks, np.float32)) + 0.5) / size - 0.5
    low, high = spread.min(0), spread.max(0)
    room = 0.5 - _ROOM
    # The share of both that is needed to bring each side in, and to bring in two at once.
    # Never 0: what may not move at all moves by nothing.
    smaller = max(scale / (1 + scale), 1e-9)
    far = np.maximum(high, -low)
    alone = (far - room) / (shift + smaller * far)
    both = (1 - 2 * room / (high - low)) / smaller
    share = float(np.clip(max(alone.max(), both.max()), 0, 1))
    size_left, reach = 1 - smaller * share, shift * share
    moved = np.clip(np.clip(0, size_left * high - room, size_left * low + room), -reach, reach)
    middle = size / 2 - 0.5
    return np.column_stack([np.eye(2) * size_left, middle * (1 - size_left) - moved * size])


def face_from_face(stored: AlignedFace, wanted: FaceType, size: int) -> Doubles:
    """Return the map from a stored face picture to one of the same face as another type and size.

    Args:
        stored: The picture; its type must contain the wanted one (`contains`).
        wanted: Type of the new picture.
        size: Side of the new picture in pixels.

    Returns:
        (2, 3) float64, between pixels of both pictures.

    Raises:
        DegeneratePoints: No similarity fits the landmarks.
    """
    if wanted == "mark-only":
        # The frame's size is not known here, but it is the same frame.
        assert stored.face_type == "mark-only"
        return affine.scaling(size / stored.size)
    return affine.compose(
        face_from_frame(stored.face.landmarks, wanted, size), affine.invert(stored.face_from_frame)
    )


def contains(stored: FaceType, wanted: FaceType) -> bool:
    """Whether a picture of type `stored` shows all that one of type `wanted` would, at any pose.

    mark-only shows the frame, so it contains every type. no-align, whose square may stand at any
    angle to the face, contains only half.
    """
    if stored == wanted or stored == "mark-only":
        return True
    if stored == "no-align":
        return wanted == "half"
    return stored in _NESTED and wanted in _NESTED and _NESTED.index(stored) > _NESTED.index(wanted)


def template_points(face_type: FaceType, size: int) -> Floats:
    """Return where points 17..67 of the average face, looking ahead, lie in a face picture.

    Args:
        face_type: Any but mark-only, which has no such places.
        size: Side of the picture in pixels.

    Returns:
        (51, 2) float32 pixels.
    """
    aligned: FaceType = "full" if face_type == "no-align" else face_type
    return affine.apply(_face_from_unit(aligned, size, 0), TEMPLATE).astype(np.float32)


def _face_from_unit(face_type: FaceType, size: int, back: float) -> Doubles:
    """From template units; back: how far the centre lies to the right of the half face's."""
    return affine.square_crop(
        (0.5 + back, 0.5 - _LIFT.get(face_type, 0)), FACE_TYPE_SCALE[face_type], 0, size
    )


def _back(points: Doubles) -> float:
    """How far right the back of a turned head lies, in template units, by jaw and nose."""
    x = points[:, 0]
    turn = float(np.mean(x[[16, 15, 14]] + x[[0, 1, 2]] - 2 * x[[27, 28, 29]]))
    # Damped: near the front, where the sign is noise, a head does not sway.
    return float(np.clip(turn * abs(math.tanh(2 * turn)) / 2, -_MOST_BACK, _MOST_BACK))


# The types whose square holds the whole face, and how much of the side stays free around it: a soft
# edge of the mask needs that.
_WHOLE_FACES: Final = ("full", "whole", "head")
_ROOM: Final = 0.05

# The points of the 68 that are fitted.
FITTED_POINTS: Final = np.array([*range(17, 49), 54])

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
