"""The faces of a faceset as a table, and its cache `faces.safetensors` beside the folder."""

from __future__ import annotations

import contextlib
import copy
import itertools
import re
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from understudy.errors import BadMedia, CannotRead, CannotWrite
from understudy.io import tables
from understudy.io.faceset import face_image
from understudy.io.faceset.picture_columns import FACE_TYPES, FootageName, PictureColumns
from understudy.io.faceset.picture_files import PictureList, list_pictures, match_pictures
from understudy.printable import name_alike
from understudy.types import Doubles, Faces, FaceType, Polygon

# A picture's name as we give it, behind that of its clip where a side has several.
_OURS: Final = re.compile(r"(.+_)?\d{6,}_\d+\.\w+")
# What former versions kept in the place of the table, and how it begins.
_FORMER_HEADER: Final = b'{"cache":"understudy faces","version":1}\n'
# Pictures that are read at once, and ahead: what is waited for is the disk.
_THREADS, _AHEAD = 4, 16
# A folder whose pictures get other names meanwhile is listed again, so many times at most.
_TRIES: Final = 3
# Pictures between two words of how far the reading is.
_TOLD: Final = 64
# What a table has for each face beside `faces`.
_COLUMNS: Final = (
    "facts",
    "sides",
    "face_from_frame",
    "identity_lengths",
    "_seconds",
    "_face_types",
)


class FaceTable:
    """The columns, one row a face.

    faces, polygons: in frame space. names, face_types, sides: of each picture. facts: (N, 2) int64
    bytes and time of change of each. face_from_frame: (N, 2, 3) to pixels of each picture as it is
    now. identity_lengths: (N,) of what each picture says, 0 = nothing; those of most are in
    `faces.identity`. footages: key and name of each that `faces.footage` numbers.
    copies: by the name of a picture, those of others that show the same face. packed: the names of
    those that lie in the pack, copies among them. unreadable: by the name of a file that is not
    read, why.
    """

    def __init__(
        self, pictures: PictureColumns, packed: frozenset[str], unreadable: dict[str, str]
    ) -> None:
        columns = pictures.columns
        own = {each.name: columns[each.name] for each in fields(Faces) if each.name in columns}
        # The cache also knows those of pictures that are gone.
        used, place = np.unique(columns["footage"], return_inverse=True)
        self.footages, number = _number_footages([pictures.footages[at] for at in used.tolist()])
        own["footage"] = number[place]
        self.names = pictures.names
        self.faces = Faces(**own, identity=pictures.identity)
        self.identity_lengths = pictures.identity_lengths
        self.facts = pictures.facts
        self.sides: NDArray[np.int64] = columns["side"]
        self.face_from_frame: Doubles = columns["face_from_frame"]
        self._face_types, self._seconds = columns["face_type"], columns["seconds"]
        self._polygons = pictures.polygons
        self.copies: dict[str, list[str]] = {}
        self.packed, self.unreadable = packed, unreadable
        self._sort()
        self._set_copies_aside()

    @classmethod
    def scan(cls, folder: Path, *, tolerant: bool = False) -> Self:
        """Return the table of all faces in `folder`, see `reading`."""
        reading = cls.reading(folder, tolerant=tolerant)
        while True:
            try:
                next(reading)
            except StopIteration as end:
                table: Self = end.value
                return table

    @classmethod
    def reading(
        cls, folder: Path, *, tolerant: bool = False
    ) -> Generator[tuple[int, int], None, Self]:
        """Read the table of all faces in `folder` and its pack, by footage, frame and name.

        Pictures of one type that show the same footage, frame and place are one face: the one whose
        name is as `Faceset.add` gives it counts, else the one with the shortest.

        Read from the cache where that still fits; the cache is renewed when anything differs.

        tolerant: What is no face of ours is left out, and stands in `unreadable`.

        Yields:
            Now and then how many of the pictures that the cache does not know are read, of how
            many.

        Raises:
            BadMedia: Some pictures are no faces of ours; names them. Or there is no such folder.
            CannotRead: The folder is there, but not for this user.
        """
        for _ in range(_TRIES):
            listed = list_pictures(folder)
            reading = _TableReader(folder, listed)
            yield from reading.run()
            if not reading.has_missed:
                break
        problems = {**({f"{folder.name}.zip": listed.fault} if listed.fault else {})}
        problems |= reading.problems
        unreadable = {
            name: reason.removeprefix(f"{folder / name}: ") for name, reason in problems.items()
        }
        if problems and not tolerant:
            [first, *others] = problems.values()
            raise BadMedia(f"{folder}: {name_alike(unreadable.items())}" if others else first)
        rows = reading.readable()
        return cls(
            reading.pictures if len(rows) == len(listed.names) else reading.pictures.take(rows),
            listed.packed,
            unreadable,
        )

    @property
    def pts(self) -> list[float | None]:
        """When each picture is shown, in seconds; None for stills."""
        return [None if np.isnan(each) else each for each in self._seconds.tolist()]

    @property
    def face_types(self) -> list[FaceType]:
        """Of each picture."""
        return [FACE_TYPES[each] for each in self._face_types.tolist()]

    @property
    def polygons(self) -> list[tuple[Polygon, ...]]:
        """Of each face, in pixels of its frame."""
        return [self._polygons.get(row, ()) for row in range(len(self.names))]

    def select(self, rows: NDArray[np.int64]) -> Self:
        """A table of these rows, in this order."""
        chosen = copy.copy(self)
        chosen._take(rows)
        return chosen

    def _sort(self) -> None:
        """By footage, frame and name; by name they are already."""
        order = np.lexsort([self.faces.frame, self.faces.footage])
        if not np.array_equal(order, np.arange(len(order))):
            self._take(order)

    def _take(self, rows: NDArray[np.int64]) -> None:
        """These rows, in this order."""
        self.faces = self.faces[rows]
        for name in (
            "facts",
            "sides",
            "face_from_frame",
            "_seconds",
            "_face_types",
            "identity_lengths",
        ):
            setattr(self, name, getattr(self, name)[rows])
        self.names = [self.names[row] for row in rows.tolist()]
        self.copies = {name: self.copies[name] for name in self.names if name in self.copies}
        if self.packed:
            kept = {*self.names, *itertools.chain.from_iterable(self.copies.values())}
            self.packed &= kept
        if self._polygons:
            self._polygons = {
                new: self._polygons[row]
                for new, row in enumerate(rows.tolist())
                if row in self._polygons
            }

    def _set_copies_aside(self) -> None:
        """One row a face."""
        found: dict[object, list[int]] = {}
        moments = self.faces.footage, self.faces.frame
        same = np.logical_and.reduce([each[1:] == each[:-1] for each in moments])
        # Most frames have one picture.
        for row in np.flatnonzero(np.append(same, False) | np.insert(same, 0, False)).tolist():
            place = self.faces.landmarks[row].tobytes() + self.faces.box[row].tobytes()
            shot = int(self.faces.footage[row]), int(self.faces.frame[row])
            found.setdefault((shot, int(self._face_types[row]), place), []).append(row)
        left_out = set[int]()
        for rows in found.values():
            best, *others = sorted(rows, key=lambda row: _plainness(self.names[row]))
            if others:
                self.copies[self.names[best]] = [self.names[row] for row in others]
                left_out.update(others)
        if left_out:
            self._take(np.setdiff1d(np.arange(len(self.names)), list(left_out)))


def _number_footages(
    said: list[FootageName],
) -> tuple[list[FootageName], NDArray[np.int64]]:
    """Tell the footages apart, by their keys, and where pictures say none by their names.

    Pictures of former versions say none; they are of the one footage of that name that has a key,
    where there is just one. Those that say neither are of a footage that nobody knows, -1.

    Returns:
        The footages, and for each that was said which of them it is.
    """
    named: dict[str, set[str]] = {}
    for each in said:
        named.setdefault(each.name, set()).update({each.key} - {""})
    key_of = {
        each: each.key or "".join(named[each.name] if len(named[each.name]) == 1 else ())
        for each in said
    }
    # By name, as people sort them; a footage that was renamed goes by its first name.
    first: dict[object, FootageName] = {}
    for each in sorted(key_of, key=lambda each: (each.name, each.key)):
        if each != FootageName("", ""):
            first.setdefault(key_of[each] or each, FootageName(key_of[each], each.name))
    numbers = {identity: number for number, identity in enumerate(first)}
    number_of = [numbers.get(key_of[each] or each, -1) for each in said]
    return list(first.values()), np.array(number_of, np.int64)


def _plainness(name: str) -> tuple[bool, int, str]:
    """A key by which the plainest of several names comes first: copies get longer ones."""
    return _OURS.fullmatch(name) is None, len(name), name


class _TableReader:
    """The filling of a table. problems: by name, why a picture is no face of ours."""

    def __init__(self, folder: Path, listed: PictureList) -> None:
        self._folder, self._listed = folder, listed
        self._cache = folder.with_name(f"{folder.name}.safetensors")
        self.pictures = PictureColumns(listed.names, listed.facts)
        self.problems: dict[str, str] = {}
        self._is_read = np.zeros(len(listed.names), bool)

    def run(self) -> Generator[tuple[int, int], None, None]:
        """Fill the rows, from the cache and from the pictures, and renew the cache.

        A cache that another user keeps for himself is nothing to mend, and nothing to replace.
        """
        try:
            known = PictureColumns.load(self._cache)
            is_ours = True
        except CannotRead:
            known, is_ours = None, False
        if known is not None and self._take_known(known):
            return
        yield from self._read_missing()
        if is_ours and (known is None or not self._is_kept(known)):
            # A folder that cannot be written to can still be read: the cache only saves time.
            with contextlib.suppress(CannotWrite):
                self._save()

    @property
    def has_missed(self) -> bool:
        """Whether pictures went while they were read: deleted, or called otherwise now."""
        return int(self._is_read.sum()) + len(self.problems) < len(self._is_read)

    def readable(self) -> NDArray[np.int64]:
        """The rows that are faces."""
        return np.flatnonzero(self._is_read)

    def _take_known(self, known: PictureColumns) -> bool:
        """Take the rows that the cache knows; return whether nothing is left to do."""
        if known.names == self.pictures.names and np.array_equal(known.facts, self.pictures.facts):
            self.pictures, self._is_read[:] = known, True
            return True
        at = match_pictures(self.pictures.names, self.pictures.facts, known.names, known.facts)
        rows = np.flatnonzero(at >= 0)
        if len(rows):
            self.pictures.set_rows(rows, known, at[rows])
            self._is_read[rows] = True
        return False

    def _read_missing(self) -> Generator[tuple[int, int], None, None]:
        rows = np.flatnonzero(~self._is_read).tolist()
        waiting: deque[tuple[int, Future[tuple[face_image.FaceMetadata, int] | str]]] = deque()
        done = 0
        with ThreadPoolExecutor(_THREADS, "understudy-faces") as pool:
            try:
                for row in rows:
                    waiting.append((row, pool.submit(self._read, row)))
                    if len(waiting) >= _AHEAD:
                        self._take_read(*waiting.popleft())
                        done += 1
                        if done % _TOLD == 0:
                            yield done, len(rows)
                while waiting:
                    self._take_read(*waiting.popleft())
            finally:
                for _, each in waiting:
                    each.cancel()

    def _read(self, row: int) -> tuple[face_image.FaceMetadata, int] | str:
        """What a picture says, and its side; or why it cannot be read, "" where it is gone."""
        path = self._folder / self.pictures.names[row]
        try:
            return face_image.read_metadata(path)
        except BadMedia as error:
            is_there = path.name in self._listed.packed or path.exists()
            return str(error) if is_there else ""

    def _take_read(self, row: int, read: Future[tuple[face_image.FaceMetadata, int] | str]) -> None:
        found = read.result()
        if isinstance(found, str):
            # Deleted since the folder was listed, it is no face.
            if found:
                self.problems[self.pictures.names[row]] = found
        else:
            self.pictures.set_row(row, *found)
            self._is_read[row] = True

    def _is_kept(self, known: PictureColumns) -> bool:
        """Whether the cache has these very pictures under their names."""
        rows = self.readable()
        return known.names == [self.pictures.names[row] for row in rows.tolist()] and (
            np.array_equal(known.facts, self.pictures.facts[rows])
        )

    def _save(self) -> None:
        rows = self.readable()
        whole = len(rows) == len(self.pictures.names)
        tables.write_table(
            self._cache, *(self.pictures if whole else self.pictures.take(rows)).tables_of()
        )
        former = self._cache.with_suffix(".jsonl")
        with contextlib.suppress(OSError):
            with former.open("rb") as file:
                is_former = file.readline(len(_FORMER_HEADER)) == _FORMER_HEADER
            if is_former:
                former.unlink()
