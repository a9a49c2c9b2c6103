"""The data that every layer passes along, and the conventions behind it.

Convention: pictures are RGB, (height, width, channels). Points are (x, y) in pixels whose centres
lie at whole numbers, so the picture's area runs from -0.5 to width - 0.5. Angles are radians.
Matrices are named `to_from`: `face_from_frame` is a (2, 3) affine that carries frame pixels to face
pixels. Arrays are treated as read-only by everyone who did not make them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from enum import IntEnum
from fractions import Fraction
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Bytes = NDArray[np.uint8]


class FloatRows(Protocol):
    """The rows of an array (N, ...), which may lie on disk: read some at a time."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: NDArray[np.int64], /) -> Floats:
        """Those rows, in that order, in memory."""


Side = Literal["src", "dst"]
FieldOrder = Literal["top", "bottom"]
FaceType = Literal["half", "mid-full", "full", "whole", "head", "no-align", "mark-only"]


@dataclass(frozen=True, slots=True)
class Color:
    """How a picture's numbers become light, as code points of ITU-T H.273, which FFmpeg uses too.

    primaries, transfer, matrix: 2 = not stated. range: 1 = limited ("tv"), 2 = full ("pc"), 0 = not
    stated.
    """

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    range: int = 0


# How finely colour is kept: in half of the columns and lines, half of the columns, or all.
Chroma = Literal["420", "422", "444"]


@dataclass(frozen=True, slots=True)
class LightLevels:
    """How HDR pictures were mastered, as SMPTE ST 2086 and CTA-861.3 count it.

    mastering: x and y of red, green, blue and white in units of 0.00002, then the most and the
    least light in units of 0.0001 cd/m2. content: the brightest pixel and the brightest mean of a
    frame, in cd/m2. None = not told.
    """

    mastering: tuple[tuple[int, int], ...] | None = None
    content: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a footage.

    Attributes:
        index: Position in the footage, from 0.
        image: (H, W, 3) uint8, uint16 (full scale 65535) or float32, RGB: what is looked at and
            worked on, upright, in square pixels, at one moment.
        pts: Presentation time in units of time_base, or None for a still.
        time_base: Seconds.
        color: How it was coded in the file.
        plate: (h, w, 3) of the same dtype, the file's own samples, upright, where `image` is not
            the same: pixels that are not square, or two fields. None = image.
        fields: The field of the plate that comes first, whose lines `image` has kept; None = it is
            one whole picture.
    """

    index: int
    image: Array
    pts: int | None = None
    time_base: Fraction | None = None
    color: Color = field(default_factory=Color)
    plate: Array | None = None
    fields: FieldOrder | None = None


class Marking(IntEnum):
    """How the points of a face came from a mark made by hand.

    NONE: nobody marked it. POINTS: all 68 were marked. REFINED: the landmarker saw the face where
    the mark lies. LAID: it did not; a head was laid onto the mark.
    """

    NONE = 0
    POINTS = 1
    REFINED = 2
    LAID = 3

    @property
    def text(self) -> str:
        """In words; "" for none."""
        return _MARKINGS[self]

    @classmethod
    def of_text(cls, text: str) -> Marking:
        """The one that has this text. Raises ValueError."""
        return cls(_MARKINGS.index(text))


_MARKINGS = ("", "points", "refined", "laid in")
_NO_GAZE, _NO_LIDS = np.full((2, 2), np.nan, np.float32), np.full(2, np.nan, np.float32)


@dataclass(frozen=True, slots=True)
class Face:
    """One face in one frame; the fields are those of `Faces` without the leading N.

    raw: None = the same as landmarks. gaze, lids: None = not measured.
    """

    frame: int
    box: Floats
    landmarks: Floats
    score: float
    track: int
    pose: Floats
    identity: Floats | None = None
    person: int = -1
    filled: bool = False
    raw: Floats | None = None
    footage: int = 0
    marked: Marking = Marking.NONE
    gaze: Floats | None = None
    lids: Floats | None = None


@dataclass(frozen=True, slots=True)
class Faces:
    """Faces as a table: index it with a mask, a slice or an array; iterate it face by face.

    Attributes:
        frame: (N,) int64 frame index.
        box: (N, 4) float32 x0 y0 x1 y1 in frame pixels.
        landmarks: (N, 68, 2) float32 in frame pixels, iBUG order, smoothed over time.
        score: (N,) float32 in 0..1.
        track: (N,) int64, -1 = none.
        pose: (N, 3) float32 pitch, yaw, roll in radians.
        identity: (N, D) float32, NaN where it is not known; None when it is of no face.
        person: (N,) int64, 0 = who is seen most, -1 = unknown.
        filled: (N,) bool: no detector saw the face, its points come from the frames around.
        raw: (N, 68, 2) float32, the landmarks before smoothing.
        footage: (N,) int64 of which footage the face is, among those of the table; -1 = not known.
            Frame, track and person are numbers within it. Where none is given, all are of one.
        marked: (N,) int64 the `Marking` of each; not given = none is marked.
        gaze: (N, 2, 2) float32, where each iris is between the corners of its eye, of the eye on
            the picture's left and of the other: x along the line from the left corner to the
            right, y down across it, from the middle between them, in eye widths (corner to
            corner). NaN = not measured, or hidden behind a lid; not given = none is.
        lids: (N, 2) float32, how far the lids of each of the two are apart, in widths that the eye
            has from the front: about 0.05 shut, 0.25 open. NaN = not measured; not given = none is.
    """

    frame: NDArray[np.int64]
    box: Floats
    landmarks: Floats
    score: Floats
    track: NDArray[np.int64]
    pose: Floats
    identity: Floats | None
    person: NDArray[np.int64]
    filled: NDArray[np.bool_]
    raw: Floats
    footage: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    marked: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    gaze: Floats = field(default_factory=lambda: np.zeros((0, 2, 2), np.float32))
    lids: Floats = field(default_factory=lambda: np.zeros((0, 2), np.float32))

    def __post_init__(self) -> None:
        count = len(self.frame)
        for name in ("footage", "marked"):
            if not len(getattr(self, name)):
                object.__setattr__(self, name, np.zeros(count, np.int64))
        for name, each in (("gaze", _NO_GAZE), ("lids", _NO_LIDS)):
            if not len(getattr(self, name)):
                object.__setattr__(self, name, np.repeat(each[None], count, axis=0))
        points = (count, 68, 2)
        shapes = {
            "box": (count, 4),
            "landmarks": points,
            "score": (count,),
            "track": (count,),
            "pose": (count, 3),
        }
        for name, shape in {
            **shapes,
            "person": (count,),
            "filled": (count,),
            "raw": points,
            "footage": (count,),
            "marked": (count,),
            "gaze": (count, 2, 2),
            "lids": (count, 2),
        }.items():
            found = getattr(self, name).shape
            if found != shape:
                raise ValueError(f"Faces.{name} has shape {found}, expected {shape}.")

    @classmethod
    def empty(cls) -> Faces:
        """A table without rows."""
        none, real = np.zeros(0, np.int64), np.zeros(0, np.float32)
        points = np.zeros((0, 68, 2), np.float32)
        return cls(
            frame=none,
            box=real.reshape(0, 4),
            landmarks=points,
            score=real,
            track=none,
            pose=real.reshape(0, 3),
            identity=None,
            person=none,
            filled=np.zeros(0, bool),
            raw=points,
        )

    @classmethod
    def of(cls, faces: list[Face]) -> Faces:
        """The table with these faces as rows."""
        if not faces:
            return cls.empty()
        known = {row: face.identity for row, face in enumerate(faces) if face.identity is not None}
        identity = None
        if known:
            vectors = np.stack(list(known.values())).astype(np.float32)
            identity = np.full((len(faces), vectors.shape[1]), np.nan, np.float32)
            identity[list(known)] = vectors
        return cls(
            frame=np.array([face.frame for face in faces], np.int64),
            box=np.stack([face.box for face in faces]).astype(np.float32),
            landmarks=np.stack([face.landmarks for face in faces]).astype(np.float32),
            score=np.array([face.score for face in faces], np.float32),
            track=np.array([face.track for face in faces], np.int64),
            pose=np.stack([face.pose for face in faces]).astype(np.float32),
            identity=identity,
            person=np.array([face.person for face in faces], np.int64),
            filled=np.array([face.filled for face in faces], bool),
            raw=np.stack(
                [face.landmarks if face.raw is None else face.raw for face in faces]
            ).astype(np.float32),
            footage=np.array([face.footage for face in faces], np.int64),
            marked=np.array([face.marked for face in faces], np.int64),
            gaze=np.stack([_NO_GAZE if face.gaze is None else face.gaze for face in faces]).astype(
                np.float32
            ),
            lids=np.stack([_NO_LIDS if face.lids is None else face.lids for face in faces]).astype(
                np.float32
            ),
        )

    def __len__(self) -> int:
        return len(self.frame)

    def __iter__(self) -> Iterator[Face]:
        return (self.face(row) for row in range(len(self)))

    def __getitem__(self, rows: slice | Array | list[int]) -> Faces:
        columns = {column.name: getattr(self, column.name) for column in fields(self)}
        kept: dict[str, Any] = {
            name: None if values is None else values[rows] for name, values in columns.items()
        }
        return Faces(**kept)

    def face(self, row: int) -> Face:
        """Row `row` as a `Face`."""
        identity = None if self.identity is None else self.identity[row]
        if identity is not None and np.isnan(identity).any():
            identity = None
        return Face(
            int(self.frame[row]),
            self.box[row],
            self.landmarks[row],
            float(self.score[row]),
            int(self.track[row]),
            self.pose[row],
            identity,
            int(self.person[row]),
            bool(self.filled[row]),
            self.raw[row],
            int(self.footage[row]),
            Marking(self.marked[row]),
            None if np.isnan(self.gaze[row]).any() else self.gaze[row],
            None if np.isnan(self.lids[row]).any() else self.lids[row],
        )

    @property
    def moments(self) -> NDArray[np.int64]:
        """(N,) equal where two faces are of one frame of one footage; -1 = nobody knows of which.

        Faces of other footage may have the same `frame`.
        """
        return number_by_footage(self.footage, self.frame)

    @property
    def footage_tracks(self) -> NDArray[np.int64]:
        """(N,) equal where two faces are on one track of one footage; -1 = on none."""
        return number_by_footage(self.footage, self.track)

    def with_track(self, track: int) -> Faces:
        """The same faces, all on one track."""
        return replace(self, track=np.full(len(self), track, np.int64))


def number_by_footage(footage: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number pairs of a footage and a number within it, from 0 in their order.

    Args:
        footage: (N,) as in `Faces`.
        values: (N,) numbers within it.

    Returns:
        (N,) int64, -1 where either is below 0.
    """
    result = np.full(len(values), -1, np.int64)
    known = np.flatnonzero((footage >= 0) & (values >= 0))
    place = np.unique(values[known], return_inverse=True)[1].astype(np.int64)
    both = footage[known] * np.int64(place.max(initial=0) + 1) + place
    result[known] = np.unique(both, return_inverse=True)[1]
    return result


@dataclass(frozen=True, slots=True)
class Polygon:
    """An outline that somebody drew.

    points: (N, 2) float32 pixels, N >= 3. includes: what is in it is face; else it is not.
    """

    points: Floats
    includes: bool = True


@dataclass(frozen=True, slots=True)
class AlignedFace:
    """A face, upright and cropped to a square.

    Attributes:
        face: The face in its frame.
        image: (S, S, 3) uint8 RGB.
        face_from_frame: (2, 3) float64.
        face_type: How much of the head it shows.
        mask: (S, S) float32 in 0..1, or None: then the hull of the landmarks serves.
        source: Name of the footage file.
        pts: Presentation time in seconds within it, None for stills.
        polygons: Drawn by hand, in face pixels.
        footage: What the footage is known again by, whatever its name; "" = not known.
    """

    face: Face
    image: Bytes
    face_from_frame: Doubles
    face_type: FaceType
    mask: Floats | None = None
    source: str = ""
    pts: float | None = None
    polygons: tuple[Polygon, ...] = ()
    footage: str = ""

    @property
    def size(self) -> int:
        """Side of the square, in pixels."""
        return int(self.image.shape[0])

    @property
    def landmarks(self) -> Floats:
        """The 68 points in face pixels, (68, 2)."""
        points = self.face.landmarks @ self.face_from_frame[:, :2].T + self.face_from_frame[:, 2]
        return np.asarray(points, np.float32)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model makes of N dst faces, float32 in 0..1.

    Attributes:
        image: (N, S, S, 3) src's face acting dst's part.
        mask: (N, S, S) where that face is.
        dst_mask: (N, S, S) where dst's is.
    """

    image: Floats
    mask: Floats
    dst_mask: Floats


@dataclass(frozen=True, slots=True)
class Layers:
    """What compositing makes of one frame.

    Attributes:
        image: The finished frame, dtype and shape of the plate.
        matte: (H, W) float32 in 0..1.
        face: (H, W, 3) float32 in 0..1, the new face alone, defined where the matte is above 0.
    """

    image: Array
    matte: Floats
    face: Floats
