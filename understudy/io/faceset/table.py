"""The metadata of all pictures of a faceset as columns, and the cache that saves reading them.

A picture's metadata takes some 20 kB as Python objects and 1.3 kB in columns, so only one picture's
is held at a time.
"""

from __future__ import annotations

import bisect
import contextlib
import copy
import errno
import os
import re
import stat
from array import array
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, TypeAdapter

from understudy.core import affine
from understudy.errors import BadData, BadMedia, CannotRead, CannotWrite
from understudy.io import atomic, data_files, system_faults
from understudy.io.faceset import face_image
from understudy.types import Faces, FaceType, Floats, Polygon

_HEADER = b'{"cache":"understudy faces","version":1}\n'
# So many bad pictures are named in an error; the rest are counted.
_NAMED = 5
# A picture's name as we give it.
_OURS = re.compile(r"\d{6,}_\d+\.\w+")
# A line of the cache, in bytes.
_LONGEST_LINE = 16 << 20


class FootageName(NamedTuple):
    """A footage as face pictures tell of it.

    key: `FootageFingerprint.key`, by which it is known again; "" where none says. name: of a file.
    """

    key: str
    name: str


class FaceTable:
    """The columns, one row a face.

    faces, polygons: in frame space. names, face_types, sides: of each picture. facts: (N, 2) bytes
    and time of change, in ns, of each. face_from_frame: (N, 2, 3) to pixels of each picture as it
    is now. footages: key and name of each that `faces.footage` numbers. copies: by the name of a
    picture, those of others that show the same face.
    """

    def __init__(self, names: list[str]) -> None:
        count = len(names)
        self.names = names
        self.faces = Faces(
            frame=np.zeros(count, np.int64),
            box=np.zeros((count, 4), np.float32),
            landmarks=np.zeros((count, 68, 2), np.float32),
            score=np.zeros(count, np.float32),
            track=np.zeros(count, np.int64),
            pose=np.zeros((count, 3), np.float32),
            identity=None,
            person=np.zeros(count, np.int64),
            filled=np.zeros(count, bool),
            raw=np.zeros((count, 68, 2), np.float32),
            footage=np.full(count, -1, np.int64),
            marked=np.zeros(count, np.int64),
            gaze=np.full((count, 2, 2), np.nan, np.float32),
            lids=np.full((count, 2), np.nan, np.float32),
        )
        self._seconds = np.zeros(count)
        self.face_types: list[FaceType] = ["full"] * count
        self.footages: list[FootageName] = []
        # One for all pictures of a footage.
        self._said = [FootageName("", "")] * count
        self.sides = np.zeros(count, np.int64)
        self.facts = np.zeros((count, 2), np.int64)
        self.face_from_frame = np.zeros((count, 2, 3))
        self.polygons: list[tuple[Polygon, ...]] = [()] * count
        self._identities: list[Floats | None] = [None] * count
        self.copies: dict[str, list[str]] = {}

    @classmethod
    def scan(cls, folder: Path) -> Self:
        """Return the table of all faces in `folder`, by footage, frame and name.

        Pictures of one type that show the same footage, frame and place are one face: the one whose
        name is as `Faceset.add` gives it counts, else the one with the shortest.

        Read from the cache where that still fits; the cache is renewed when anything differs.

        Raises:
            BadMedia: Some pictures are no faces of ours; names them.
        """
        names, facts = _list_pictures(folder)
        table = cls(names)
        table.facts = facts
        reading = _TableReader(folder, table, facts)
        if not reading.load_cached():
            # A folder that cannot be written to, or whose names are no text, can still be read: the
            # cache only saves time. One that another user keeps for himself stays.
            with contextlib.suppress(CannotWrite, ValueError):
                reading.renew_cache()
            reading.read_missing()
        return table._number_footages()._sort()._set_copies_aside()._gather_identities()

    @property
    def pts(self) -> list[float | None]:
        """When each picture is shown, in seconds; None for stills."""
        return [None if np.isnan(each) else each for each in self._seconds.tolist()]

    def select(self, rows: list[int]) -> Self:
        """A table of these rows, in this order."""
        chosen = copy.copy(self)
        chosen._take(rows)
        return chosen

    def set_row(self, row: int, side: int, metadata: face_image.FaceMetadata) -> None:
        """Fill a row. side: of the picture, in pixels."""
        face, faces = metadata.face, self.faces
        faces.frame[row], faces.box[row], faces.landmarks[row], faces.score[row] = (
            face.frame,
            face.box,
            face.landmarks,
            face.score,
        )
        faces.track[row], faces.pose[row], faces.person[row], faces.filled[row] = (
            face.track,
            face.pose,
            face.person,
            face.filled,
        )
        faces.raw[row] = face.landmarks if face.raw is None else face.raw
        faces.marked[row] = face.marked
        if face.gaze is not None:
            faces.gaze[row] = face.gaze
        if face.lids is not None:
            faces.lids[row] = face.lids
        self.face_types[row], self.sides[row] = metadata.face_type, side
        self.face_from_frame[row] = metadata.face_from_frame_at(side)
        self._seconds[row] = np.nan if metadata.pts is None else metadata.pts
        said = FootageName(metadata.footage, metadata.source)
        self._said[row] = self._said[0] if said == self._said[0] else said
        self._identities[row] = face.identity
        if metadata.polygons:
            to_frame = affine.invert(metadata.face_from_frame)
            self.polygons[row] = metadata.polygons_in_picture(to_frame)

    def _number_footages(self) -> Self:
        """Tell the footages apart, by their keys, and where pictures say none by their names.

        Pictures of former versions say none; they are of the one footage of that name that has a
        key, where there is just one. Those that say neither are of a footage that nobody knows.
        """
        named: dict[str, set[str]] = {}
        for each in set(self._said):
            named.setdefault(each.name, set()).update({each.key} - {""})
        key_of = {
            each: each.key or "".join(named[each.name] if len(named[each.name]) == 1 else ())
            for each in set(self._said)
        }
        # By name, as people sort them; a footage that was renamed goes by its first name.
        first: dict[object, FootageName] = {}
        for each in sorted(key_of, key=lambda each: (each.name, each.key)):
            if each != FootageName("", ""):
                first.setdefault(key_of[each] or each, FootageName(key_of[each], each.name))
        self.footages = list(first.values())
        numbers = {identity: number for number, identity in enumerate(first)}
        number_of = {each: numbers.get(key_of[each] or each, -1) for each in key_of}
        self.faces.footage[:] = [number_of[each] for each in self._said]
        self._said = []
        return self

    def _sort(self) -> Self:
        """By footage, frame and name."""
        if not all(self._key(row) <= self._key(row + 1) for row in range(len(self.names) - 1)):
            self._take(sorted(range(len(self.names)), key=self._key))
        return self

    def _take(self, rows: list[int]) -> None:
        """These rows, in this order."""
        self.faces = self.faces[rows]
        for name in ("sides", "facts", "face_from_frame", "_seconds"):
            setattr(self, name, getattr(self, name)[rows])
        for name in ("names", "face_types", "polygons"):
            values = getattr(self, name)
            setattr(self, name, [values[row] for row in rows])
        # They go when they are gathered.
        self._identities = [self._identities[row] for row in rows] if self._identities else []

    def _set_copies_aside(self) -> Self:
        """One row a face."""
        found: dict[object, list[int]] = {}
        shots = list(zip(self.faces.footage.tolist(), self.faces.frame.tolist(), strict=True))
        for row, shot in enumerate(shots):
            # Most frames have one picture.
            if shot in (shots[row - 1] if row else None, *shots[row + 1 : row + 2]):
                place = self.faces.landmarks[row].tobytes() + self.faces.box[row].tobytes()
                found.setdefault((shot, self.face_types[row], place), []).append(row)
        left_out = set[int]()
        for rows in found.values():
            best, *others = sorted(rows, key=lambda row: _plainness(self.names[row]))
            if others:
                self.copies[self.names[best]] = [self.names[row] for row in others]
                left_out.update(others)
        if left_out:
            self._take([row for row in range(len(self.names)) if row not in left_out])
        return self

    def _gather_identities(self) -> Self:
        """Identities are kept only when every face has one."""
        known = [identity for identity in self._identities if identity is not None]
        if known and len(known) == len(self.names):
            self.faces = replace(self.faces, identity=np.stack(known))
        self._identities = []
        return self

    def _key(self, row: int) -> tuple[int, int, str]:
        return int(self.faces.footage[row]), int(self.faces.frame[row]), self.names[row]


def _plainness(name: str) -> tuple[bool, int, str]:
    """A key by which the plainest of several names comes first: copies get longer ones."""
    return _OURS.fullmatch(name) is None, len(name), name


class _Entry(BaseModel):
    """A line of the cache: the file as it was, its side, and its metadata without the mask."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    bytes: int
    mtime_ns: int
    side: int
    metadata: face_image.FaceMetadata


_ENTRY = TypeAdapter(_Entry)


class _TableReader:
    """The filling of a table. facts: (N, 2) bytes and mtime_ns of each picture as it is now.

    Where a row's line stands in the old cache: -1 = nowhere, and the picture itself is read.
    """

    def __init__(self, folder: Path, table: FaceTable, facts: NDArray[np.int64]) -> None:
        self._folder, self._table, self._facts = folder, table, facts
        self._cache = folder.with_name(f"{folder.name}.jsonl")
        self._line_at = np.full(len(facts), -1, np.int64)
        self._is_read = np.zeros(len(facts), bool)
        self._problems: list[str] = []

    def load_cached(self) -> bool:
        """Fill the rows that the cache knows; return whether nothing is left to do.

        A cache that another user keeps for himself is nothing to mend, and nothing to replace.
        """
        names, lines = self._table.names, 0
        try:
            for place, entry in _iter_cache(self._cache):
                lines += 1
                row = bisect.bisect_left(names, entry.name)
                if names[row : row + 1] == [entry.name] and self._facts[row].tolist() == [
                    entry.bytes,
                    entry.mtime_ns,
                ]:
                    self._table.set_row(row, entry.side, entry.metadata)
                    self._line_at[row], self._is_read[row] = place, True
        except CannotRead:
            self.read_missing()
            return True
        except (OSError, ValueError, BadData):
            # One line of it is not as we write it: it is rebuilt, never mended.
            self._line_at[:], self._is_read[:], lines = -1, False, 0
        return bool(self._is_read.all()) and lines == len(names)

    def renew_cache(self) -> None:
        """Read the pictures that the cache does not know, and write it again.

        Raises BadMedia, CannotWrite, ValueError.
        """
        with contextlib.ExitStack() as files:
            old = (
                files.enter_context(self._cache.open("rb")) if (self._line_at >= 0).any() else None
            )
            new = files.enter_context(
                files.enter_context(atomic.partial_file(self._cache)).open("wb")
            )
            new.write(_HEADER)
            for row, place in enumerate(self._line_at.tolist()):
                if place >= 0 and old is not None:
                    old.seek(place)
                    new.write(old.readline().rstrip(b"\n") + b"\n")
                elif (read := self._read(row)) is not None:
                    (size, mtime_ns), slim = (
                        self._facts[row].tolist(),
                        read[0].model_copy(update={"mask": None}),
                    )
                    entry = _Entry(
                        name=self._table.names[row],
                        bytes=size,
                        mtime_ns=mtime_ns,
                        side=read[1],
                        metadata=slim,
                    )
                    new.write(entry.model_dump_json().encode() + b"\n")
            self._raise_problems()

    def read_missing(self) -> None:
        """Read the pictures that are not read yet. Raises BadMedia."""
        for row in np.flatnonzero(~self._is_read).tolist():
            self._read(row)
        self._raise_problems()

    def _read(self, row: int) -> tuple[face_image.FaceMetadata, int] | None:
        self._is_read[row] = True
        try:
            metadata, side = face_image.read_metadata(self._folder / self._table.names[row])
        except BadMedia as error:
            self._problems.append(str(error))
            return None
        self._table.set_row(row, side, metadata)
        return metadata, side

    def _raise_problems(self) -> None:
        if self._problems:
            more = (
                f" … and {len(self._problems) - _NAMED} more pictures like these."
                if len(self._problems) > _NAMED
                else ""
            )
            raise BadMedia(" ".join(self._problems[:_NAMED]) + more)


def extract_command(folder: Path) -> str:
    """What to run for the faces of a folder; of one that is in no show it names none."""
    show, side = folder.parent.parent, folder.parent.name
    is_ours = folder.name == "faces" and side in ("src", "dst")
    return f"understudy extract {show} {side}" if is_ours else "understudy extract SHOW SIDE"


def _list_pictures(folder: Path) -> tuple[list[str], NDArray[np.int64]]:
    """The names of all pictures, ascending; and (N, 2) bytes and mtime_ns of each."""
    names, facts = list[str](), array("q")
    try:
        with os.scandir(folder) as files:
            for file in files:
                hidden = file.name.startswith(".")
                if hidden or Path(file.name).suffix.lower() not in face_image.SUFFIXES:
                    continue
                try:
                    status = file.stat()
                except OSError as error:
                    # Deleted this moment, or a link that leads nowhere, it is no face.
                    if error.errno in (errno.ENOENT, errno.ELOOP):
                        continue
                    raise
                if stat.S_ISREG(status.st_mode):
                    names.append(file.name)
                    facts.extend((status.st_size, status.st_mtime_ns))
    except OSError as error:
        if fault := system_faults.reading(error):
            raise CannotRead(f"{error.filename or folder}: cannot be read: {fault}") from error
        raise BadMedia(
            f"{folder}: no faceset: {error.strerror}. Run: {extract_command(folder)}, or check the"
            " path."
        ) from None
    order = sorted(range(len(names)), key=names.__getitem__)
    return [names[row] for row in order], np.array(facts, np.int64).reshape(-1, 2)[order]


def _iter_cache(path: Path) -> Iterator[tuple[int, _Entry]]:
    """Each entry of the cache, and where its line begins.

    Raises OSError, ValueError or BadData when it is not as we write it.
    """
    with data_files.open_file(path) as file:
        if file.readline(len(_HEADER)) != _HEADER:
            raise ValueError("another header")
        place = len(_HEADER)
        for line in iter(lambda: file.readline(_LONGEST_LINE), b""):
            yield place, data_files.parse_json_as(line, str(path), _ENTRY)
            place += len(line)
