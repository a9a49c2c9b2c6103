"""What a face does, whichever way the head turns: eyes, mouth and brows, by its 68 points.

The mean head is laid onto the points that expression moves least, as a far camera would see it.
What the points lie beside it is turned back into the plane of the face, so the same smile measures
the same from the front and from the side, as far as points in a picture allow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from understudy.core.face.landmarks import COUNT, MIRROR
from understudy.core.face.pose import HEAD_MODEL
from understudy.core.row_blocks import iter_row_blocks
from understudy.types import Doubles, Faces, Floats

# The rows of `FaceTraits.expression`; left and right are the picture's.
EXPRESSION: Final = (
    "left eye open",
    "right eye open",
    "left brow up",
    "right brow up",
    "brows apart",
    "mouth open",
    "mouth wide",
    "left corner of the mouth up",
    "right corner of the mouth up",
    "upper lip thick",
    "lower lip thick",
    "mouth to the right",
)
# EXPRESSION[_SWAPPED[i]] is what measure i is called in the mirror image; the last changes its
# sign.
_SWAPPED: Final = (1, 0, 3, 2, 4, 5, 6, 8, 7, 9, 10, 11)


@dataclass(frozen=True, slots=True)
class FaceTraits:
    """What N faces do. NaN where the points fit no head.

    Mirrored points give the same numbers with left and right exchanged (`mirrored`).

    Attributes:
        eyes: (N, 2) float32, how far the eye on the picture's left is open, and the other: 0 =
            shut, 1 = open as when looking ahead, more = wide open.
        eyes_open: (N,) float32, of both together; of a head turned aside, the one that is seen.
        mouth_open: (N,) float32, 0 = lips closed, 1 = as far apart as in a wide open mouth.
        mouth_wide: (N,) float32, 0 = pursed, 1 = a broad smile.
        brow: (N,) float32, 0 = drawn down, 1 = raised.
        expression: (N, 12) float32, the measures that `EXPRESSION` names, each about 0..1, to be
            compared by their distances. What is a person's own (thick lips) is in them: subtract
            the person's median to compare people.
        shape: (N, 68, 2) float32, the points turned to the front, in eye distances (outer corner
            to outer corner) from the middle of the mean head's eyes: x right, y down.
    """

    eyes: Floats
    eyes_open: Floats
    mouth_open: Floats
    mouth_wide: Floats
    brow: Floats
    expression: Floats
    shape: Floats

    @classmethod
    def of(cls, faces: Faces | Floats | Doubles) -> FaceTraits:
        """Measure faces.

        Args:
            faces: N faces, or their points (N, 68, 2), in pixels of any upright or tilted picture.
                Of faces whose lids were measured in the picture, these say how far the eyes are
                open: points follow closing lids only half-way.
        """
        points = faces.landmarks if isinstance(faces, Faces) else faces
        lids = faces.lids if isinstance(faces, Faces) else np.full((len(points), 2), np.nan)
        shape = np.zeros((len(points), COUNT, 2), np.float32)
        left_share = np.zeros(len(points))
        for rows in iter_row_blocks(len(points)):
            shape[rows], left_share[rows] = _turn_to_front(points[rows])
        measures = _measure(shape.astype(np.float64), lids)
        share = np.column_stack([left_share, 1 - left_share])
        eyes, brows = measures[:, :2], measures[:, 2:4]
        return cls(
            eyes=_single(eyes),
            eyes_open=_single((eyes * share).sum(axis=1)),
            mouth_open=_single(measures[:, 5]),
            mouth_wide=_single(measures[:, 6]),
            brow=_single((brows * share).sum(axis=1)),
            expression=_single(measures),
            shape=shape,
        )

    def __len__(self) -> int:
        return len(self.eyes_open)

    def mirrored(self) -> FaceTraits:
        """The traits of the same faces in a mirror."""
        expression = self.expression[:, _SWAPPED] * np.array([1] * 11 + [-1], np.float32)
        shape = self.shape[:, MIRROR] * np.array([-1, 1], np.float32)
        return FaceTraits(
            self.eyes[:, ::-1],
            self.eyes_open,
            self.mouth_open,
            self.mouth_wide,
            self.brow,
            expression,
            shape,
        )


def measure_head_width(landmarks: Floats | Doubles) -> Doubles:
    """Measure how far apart the outer corners of the eyes would be from the front.

    Args:
        landmarks: (N, 68, 2) pixels.

    Returns:
        (N,) float64 pixels, of the mean head laid onto each face.
    """
    return np.asarray(_EYES * _lay_head(landmarks)[1])


def _turn_to_front(landmarks: Floats | Doubles) -> tuple[Doubles, Doubles]:
    """(N, 68, 2) the points as from the front, and (N,) how much the left eye is to be believed."""
    turn, scales = _lay_head(landmarks)
    usable, scale = np.isfinite(scales), np.nan_to_num(scales, nan=1.0)[:, None, None]
    points = np.where(usable[:, None, None], landmarks, _HEAD[:, :2])
    # The part of the camera that sees what moves along the face; a head in profile shows nothing
    # of what moves across, so that is not made up.
    seen_left, seen, seen_right = np.linalg.svd(turn[:, :, :2])
    back = np.einsum(
        "nki,nk,njk->nij", seen_right, seen / np.maximum(seen**2, _LEAST_SEEN**2), seen_left
    )
    moved = points - scale * (_HEAD @ turn.transpose(0, 2, 1))
    moved -= moved[:, _HELD].mean(axis=1, keepdims=True)
    shape = _HEAD[:, :2] + (moved / scale) @ back.transpose(0, 2, 1)
    shape[~usable] = np.nan
    # Where the nose points in the picture, along the face's own horizontal: -1 .. 1, 0 = ahead.
    nose = turn[:, 0, 0] * turn[:, 0, 2] + turn[:, 1, 0] * turn[:, 1, 2]
    across = np.maximum(np.hypot(turn[:, 0, 0], turn[:, 1, 0]), 1e-6)
    share = 0.5 + np.clip(-nose / across / _ASIDE, -1, 1) / 2
    return shape / _EYES, share


def _lay_head(landmarks: Floats | Doubles) -> tuple[Doubles, Doubles]:
    """The mean head laid onto faces: (N, 2, 3) how it is turned, (N,) pixels a unit; NaN = cannot.

    Weak perspective: the best affine camera of the points that hardly move, made a scaled rotation.
    """
    points = np.asarray(landmarks, np.float64)
    usable = np.isfinite(points).all(axis=(1, 2)) & (np.ptp(points, axis=1).min(axis=1) > 0)
    held = np.column_stack([_HEAD[_HELD], np.ones(len(_HELD))])
    within = np.where(usable[:, None, None], points[:, _HELD], _HEAD[_HELD, :2])
    cameras = np.linalg.pinv(held) @ within
    left, stretch, right = np.linalg.svd(cameras[:, :3].transpose(0, 2, 1), full_matrices=False)
    scale = np.maximum(stretch.mean(axis=1), 1e-9)
    return np.asarray(left @ right), np.where(usable, scale, np.nan)


def _measure(shape: Doubles, lids: Floats | Doubles) -> Doubles:
    """(N, 12) the measures of `EXPRESSION`, of points turned to the front.

    lids: (N, 2) as in `Faces`; NaN = the points must do.
    """
    x, y = shape[..., 0], shape[..., 1]

    def gap(upper: list[int], lower: list[int], axis: Doubles = y) -> Doubles:
        return np.asarray((axis[:, lower] - axis[:, upper]).mean(axis=1))

    corners = y[:, [48, 54]]
    lips = gap([61, 62, 63], [67, 66, 65])
    middle = y[:, [51, 57, 62, 66]].mean(axis=1, keepdims=True)
    smile = middle - corners
    measures = np.column_stack(
        [
            gap([37, 38], [41, 40]),
            gap([43, 44], [47, 46]),
            gap([18, 19, 20], [36, 36, 39]),
            gap([23, 24, 25], [42, 45, 45]),
            x[:, 22] - x[:, 21],
            lips,
            x[:, 54] - x[:, 48],
            smile,
            gap([50, 51, 52], [61, 62, 63]),
            gap([65, 66, 67], [56, 57, 58]),
            x[:, [48, 54, 51, 57]].mean(axis=1),
        ]
    )
    measures = (measures - _ZERO) / (_ONE - _ZERO)
    known = np.isfinite(lids) & np.isfinite(measures[:, :2])
    measures[:, :2][known] = ((lids - _SHUT) / (_OPEN - _SHUT))[known]
    return np.asarray(measures)


def _single(values: Doubles) -> Floats:
    return np.asarray(values, np.float32)


def _symmetric_head() -> Doubles:
    """The mean head and its mirror image in one, its eyes' middle at the origin."""
    head = (HEAD_MODEL + HEAD_MODEL[MIRROR] * (-1, 1, 1)) / 2
    return np.asarray(head - (0, head[[36, 39, 42, 45], 1].mean(), 0))


_HEAD: Final = _symmetric_head()
_EYES: Final = float(_HEAD[45, 0] - _HEAD[36, 0])
# What neither speech nor brows nor lids move: upper jaw line, nose, corners of the eyes.
_HELD: Final[NDArray[np.int64]] = np.array(
    [0, 1, 2, 3, 13, 14, 15, 16, *range(27, 36), 36, 39, 42, 45]
)
# A direction of the face that is seen shorter than this is not stretched to its full length.
_LEAST_SEEN: Final = 0.3
# From this far aside (the sine of a turn) the far eye says nothing.
_ASIDE: Final = 0.6
# Lids this far apart are shut, and open as when looking ahead: of three people on real clips shut
# eyes had 0.03 to 0.12, open ones 0.19 to 0.30.
_SHUT: Final = 0.08
_OPEN: Final = 0.22
# What measures 0 and 1 of each of `EXPRESSION`, in eye distances.
_ZERO: Final = np.array([0.02, 0.02, 0.12, 0.12, 0.1, 0.0, 0.4, -0.12, -0.12, 0.0, 0.0, 0.0])
_ONE: Final = np.array([0.1, 0.1, 0.32, 0.32, 0.4, 0.35, 0.8, 0.12, 0.12, 0.15, 0.2, 0.2])
