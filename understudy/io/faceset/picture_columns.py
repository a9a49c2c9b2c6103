"""What the pictures of a faceset say, as columns: in memory, and as a table on disk.

A picture's metadata takes some 20 kB as Python objects and 1.4 kB in columns (3.4 kB with an
identity), so only some pictures' metadata is held as objects at a time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, Self, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from understudy.core import affine
from understudy.errors import BadData
from understudy.io import data_files, tables
from understudy.io.faceset import face_image
from understudy.types import Array, FaceType, Floats, Marking, Polygon

FACE_TYPES: Final[tuple[FaceType, ...]] = get_args(FaceType)
# Of what a table on disk holds; another number = it is made anew.
_VERSION: Final = 2
_IDENTITY: Final = "identity_"
# What each column holds, and the shape of a row.
_COLUMNS: Final[dict[str, tuple[type, tuple[int, ...]]]] = {
    "frame": (np.int64, ()),
    "box": (np.float32, (4,)),
    "landmarks": (np.float32, (68, 2)),
    "score": (np.float32, ()),
    "track": (np.int64, ()),
    "pose": (np.float32, (3,)),
    "person": (np.int64, ()),
    "filled": (np.bool_, ()),
    "raw": (np.float32, (68, 2)),
    "marked": (np.int64, ()),
    "gaze": (np.float32, (2, 2)),
    "lids": (np.float32, (2,)),
    "seconds": (np.float64, ()),
    "face_type": (np.uint8, ()),
    "side": (np.int64, ()),
    "face_from_frame": (np.float64, (2, 3)),
    "footage": (np.int64, ()),
}
# Those in which NaN says that nothing is known.
_MAY_LACK: Final = ("gaze", "lids", "seconds")


class FootageName(NamedTuple):
    """A footage as face pictures tell of it.

    key: `FootageFingerprint.key`, by which it is known again; "" where none says. name: of a file.
    """

    key: str
    name: str


class PictureColumns:
    """One row a picture, in the order of `names`.

    facts: (N, 2) of `PictureList`. columns: by the names of `Faces`, in frame space; and `seconds`
    (NaN = a still), `face_type` (a place in FACE_TYPES), `side` in pixels, `face_from_frame`, and
    `footage` (a place in `footages`). identities: by their length D (N, D) float32, a row of NaN =
    none of that length: what one network tells cannot be compared with what another does. polygons:
    by row, in frame space.
    """

    def __init__(self, names: list[str], facts: NDArray[np.int64]) -> None:
        count = len(names)
        self.names, self.facts = names, facts
        self.columns: dict[str, Any] = {
            name: np.zeros((count, *shape), kind) for name, (kind, shape) in _COLUMNS.items()
        }
        for name in _MAY_LACK:
            self.columns[name][:] = np.nan
        self.identities: dict[int, Floats] = {}
        self.footages: list[FootageName] = []
        self.polygons: dict[int, tuple[Polygon, ...]] = {}
        self._footage_at: dict[FootageName, int] = {}

    def set_row(self, row: int, metadata: face_image.FaceMetadata, side: int) -> None:
        """Fill a row. side: of the picture, in pixels."""
        face, columns = metadata.face, self.columns
        values = {
            "frame": face.frame,
            "box": face.box,
            "landmarks": face.landmarks,
            "score": face.score,
            "track": face.track,
            "pose": face.pose,
            "person": face.person,
            "filled": face.filled,
            "raw": face.landmarks if face.raw is None else face.raw,
            "marked": face.marked,
            "gaze": np.nan if face.gaze is None else face.gaze,
            "lids": np.nan if face.lids is None else face.lids,
            "seconds": np.nan if metadata.pts is None else metadata.pts,
            "face_type": FACE_TYPES.index(metadata.face_type),
            "side": side,
            "face_from_frame": metadata.face_from_frame_at(side),
            "footage": self._place_of(FootageName(metadata.footage, metadata.source)),
        }
        for name, value in values.items():
            columns[name][row] = value
        if face.identity is not None:
            self._identities_of(len(face.identity))[row] = face.identity
        if metadata.polygons:
            to_frame = affine.invert(metadata.face_from_frame)
            self.polygons[row] = metadata.polygons_in_picture(to_frame)

    def set_rows(self, rows: NDArray[np.int64], other: Self, others: NDArray[np.int64]) -> None:
        """Fill rows with those of other columns."""
        for name, column in self.columns.items():
            column[rows] = other.columns[name][others]
        places = [self._place_of(each) for each in other.footages]
        if places:
            self.columns["footage"][rows] = np.array(places)[other.columns["footage"][others]]
        for length, vectors in other.identities.items():
            if np.isfinite(vectors[others]).any():
                self._identities_of(length)[rows] = vectors[others]
        if other.polygons:
            for row, theirs in zip(rows.tolist(), others.tolist(), strict=True):
                if theirs in other.polygons:
                    self.polygons[row] = other.polygons[theirs]

    @property
    def identity_lengths(self) -> NDArray[np.int64]:
        """(N,) how long the identity of each is, 0 = none."""
        lengths = np.zeros(len(self.names), np.int64)
        for length, vectors in self.identities.items():
            lengths[np.isfinite(vectors).all(axis=1)] = length
        return lengths

    @property
    def identity(self) -> Floats | None:
        """(N, D) of the length that most have, a row of NaN = none of that; None = no row has any.

        Of two that as many have, the shorter.
        """
        lengths = self.identity_lengths
        counts = np.bincount(lengths[lengths > 0])
        return self.identities[int(counts.argmax())] if counts.any() else None

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Those rows, in that order."""
        taken = type(self)([self.names[row] for row in rows.tolist()], self.facts[rows])
        taken.set_rows(np.arange(len(rows)), self, rows)
        return taken

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """The columns at `path`; None where there are none, or not as `tables_of` gives them.

        Raises CannotRead.
        """
        try:
            found = tables.read_table(path, limit=None)
            return None if found is None else cls._of_tables(*found)
        except (BadData, KeyError, ValueError, IndexError):
            return None

    def tables_of(self) -> tuple[dict[str, Array], dict[str, str]]:
        """Return all of it as columns and notes for `tables.write_table`."""
        names = [os.fsencode(name) for name in self.names]
        outlines = [
            (row, outline) for row, each in sorted(self.polygons.items()) for outline in each
        ]
        points = [np.zeros((0, 2), np.float32), *(outline.points for _, outline in outlines)]
        arrays = {
            **self.columns,
            "facts": self.facts,
            "names": np.frombuffer(b"\0".join(names), np.uint8),
            "polygon_rows": np.array([row for row, _ in outlines], np.int64),
            "polygon_includes": np.array([each.includes for _, each in outlines], bool),
            "polygon_ends": np.cumsum([len(each) for each in points[1:]], dtype=np.int64),
            "polygon_points": np.concatenate(points),
            **{f"{_IDENTITY}{length}": each for length, each in self.identities.items()},
        }
        about = _About(version=_VERSION, layout=face_image.VERSION, footages=tuple(self.footages))
        return arrays, {"faces": about.model_dump_json()}

    @classmethod
    def _of_tables(cls, arrays: dict[str, Array], notes: Mapping[str, str]) -> Self | None:
        about = data_files.parse_json_as(notes["faces"], "faces", _About)
        if (about.version, about.layout) != (_VERSION, face_image.VERSION):
            return None
        facts = _column(arrays["facts"], np.int64, (len(arrays["facts"]), 2))
        count = len(facts)
        text = _column(arrays["names"], np.uint8, (len(arrays["names"]),)).tobytes()
        names = [os.fsdecode(each) for each in text.split(b"\0")] if count else []
        # Not by its rows: they are filled as a whole.
        found = cls([], np.zeros((0, 2), np.int64))
        found.names, found.facts = names, facts
        found.columns = {
            name: _column(arrays[name], kind, (count, *shape), may_lack=name in _MAY_LACK)
            for name, (kind, shape) in _COLUMNS.items()
        }
        for each in about.footages:
            found._place_of(each)
        for name in filter(lambda each: each.startswith(_IDENTITY), arrays):
            length = int(name.removeprefix(_IDENTITY))
            vectors = _column(arrays[name], np.float32, (count, length), may_lack=True)
            found.identities[length] = vectors
        found._set_polygons(arrays)
        limits = {"face_type": len(FACE_TYPES), "footage": len(found.footages)}
        limits["marked"] = len(Marking)
        is_sound = (
            len(names) == count
            and all(
                ((found.columns[name] >= 0) & (found.columns[name] < most)).all()
                for name, most in limits.items()
            )
            and (found.columns["side"] >= 1).all()
            and (found.columns["frame"] >= 0).all()
        )
        return found if is_sound else None

    def _set_polygons(self, arrays: Mapping[str, Array]) -> None:
        rows = _column(arrays["polygon_rows"], np.int64, (len(arrays["polygon_rows"]),))
        includes = _column(arrays["polygon_includes"], np.bool_, rows.shape)
        ends = _column(arrays["polygon_ends"], np.int64, rows.shape)
        points = _column(arrays["polygon_points"], np.float32, (len(arrays["polygon_points"]), 2))
        starts = np.concatenate([[0], ends])[:-1]
        if ((ends - starts) < 3).any() or ends.max(initial=0) != len(points):
            raise ValueError("polygons without points")
        if ((rows < 0) | (rows >= len(self.names))).any():
            raise ValueError("polygons of no face")
        for row, start, end, is_in in zip(
            rows.tolist(), starts.tolist(), ends.tolist(), includes.tolist(), strict=True
        ):
            outline = Polygon(points[start:end], is_in)
            self.polygons[row] = (*self.polygons.get(row, ()), outline)

    def _place_of(self, footage: FootageName) -> int:
        place = self._footage_at.setdefault(footage, len(self.footages))
        if place == len(self.footages):
            self.footages.append(footage)
        return place

    def _identities_of(self, length: int) -> Floats:
        if length not in self.identities:
            self.identities[length] = np.full((len(self.names), length), np.nan, np.float32)
        return self.identities[length]


def _column(values: Array, kind: type, shape: tuple[int, ...], *, may_lack: bool = False) -> Any:
    """Return the values when they are of that kind and shape. Raises ValueError."""
    if values.dtype != kind or values.shape != shape:
        raise ValueError(f"a column of {values.dtype} {values.shape}, not {kind} {shape}")
    is_real = np.issubdtype(values.dtype, np.floating)
    if is_real and not (~np.isinf(values) if may_lack else np.isfinite(values)).all():
        raise ValueError("a number that is not finite")
    return values


class _About(BaseModel):
    """What a table on disk is of. layout: of the metadata that was understood."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: int
    layout: int
    footages: tuple[FootageName, ...]
