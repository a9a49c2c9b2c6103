"""A faceset: a folder of face pictures and the pack beside it, read as one table."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Generator, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from understudy.errors import BadMedia, BadProject, NoFaces
from understudy.io import atomic
from understudy.io.faceset import face_image, picture_files
from understudy.io.faceset.journal import Journal
from understudy.io.faceset.pack import pack_path, unpack_command
from understudy.io.faceset.picture_columns import FootageName
from understudy.io.faceset.picture_files import extract_command
from understudy.io.faceset.table import FaceTable
from understudy.printable import pluralize
from understudy.types import AlignedFace, Doubles, Faces, FaceType, Polygon


class Faceset:
    """The faces in `folder`, ordered by footage, frame and file name of their pictures.

    Copies of a picture, as a file manager or a cloud drive makes them, are the same face: one
    counts (`FaceTable.reading`). Files with other suffixes do not count. Pictures may also lie in a
    pack, `<folder>.zip`: those of the same name in the folder count before them. The folder is read
    when the table is first asked for, and again after `add`, `trash` or `rescan`. A picture that is
    not a face of ours makes that reading raise BadMedia with the names of such pictures; with
    `tolerant` they are left out, and `unreadable` says which and why: none is skipped in silence.
    `faces.safetensors` beside the folder is a cache of the table.
    """

    def __init__(self, folder: Path, *, tolerant: bool = False) -> None:
        self.folder = folder
        self._tolerant = tolerant
        self._known: FaceTable | None = None

    def reading(self) -> Generator[tuple[int, int], None, None]:
        """Read the table now, if it is not; yields now and then how far, of how many pictures."""
        if self._known is None:
            self._known = yield from FaceTable.reading(self.folder, tolerant=self._tolerant)

    @property
    def is_there(self) -> bool:
        """Whether there is such a folder, or a pack of it."""
        return self.folder.is_dir() or pack_path(self.folder).is_file()

    def __len__(self) -> int:
        return len(self._table().names)

    @property
    def faces(self) -> Faces:
        """All faces as a table in frame space; rows are in the order of `paths`."""
        return self._table().faces

    @property
    def paths(self) -> list[Path]:
        """The pictures, one a row of `faces`. `face_image.read` finds those in the pack, too."""
        return [self.folder / name for name in self._table().names]

    @property
    def names(self) -> list[str]:
        """The names of the pictures, one a row of `faces`."""
        return list(self._table().names)

    @property
    def facts(self) -> NDArray[np.int64]:
        """(N, 2) bytes and time of change of each picture: what is told of it holds as long."""
        return self._table().facts

    @property
    def packed(self) -> NDArray[np.bool_]:
        """(N,) which pictures lie in the pack."""
        table = self._table()
        return np.array([name in table.packed for name in table.names], bool)

    @property
    def unreadable(self) -> dict[str, str]:
        """By the name of a file that is left out as no face of ours, why."""
        return dict(self._table().unreadable)

    @property
    def copies(self) -> dict[Path, list[Path]]:
        """By the picture that counts, those that are copies of it and do not."""
        return {
            self.folder / name: [self.folder / other for other in others]
            for name, others in self._table().copies.items()
        }

    def with_copies(self, rows: NDArray[np.bool_]) -> list[Path]:
        """The pictures of the rows where `rows` (N,) is true, each with its copies behind it."""
        table = self._table()
        names = [table.names[row] for row in np.flatnonzero(rows).tolist()]
        return [
            self.folder / each for name in names for each in (name, *table.copies.get(name, ()))
        ]

    @property
    def footages(self) -> list[FootageName]:
        """The footages that the pictures are of: one, or several whose faces were gathered here.

        `faces.footage` numbers them.
        """
        return self._table().footages

    @property
    def pts(self) -> list[float | None]:
        """When each face is shown, in seconds of its footage; None for stills."""
        return self._table().pts

    @property
    def polygons(self) -> list[tuple[Polygon, ...]]:
        """What was drawn by hand on each face, in pixels of its frame."""
        return self._table().polygons

    @property
    def face_types(self) -> list[FaceType]:
        """The face type of each picture."""
        return self._table().face_types

    @property
    def sides(self) -> NDArray[np.int64]:
        """(N,) the side of each picture, in pixels."""
        return self._table().sides

    @property
    def other_identities(self) -> NDArray[np.bool_]:
        """(N,) faces whose identity is not in `faces`: it is of another length than most have.

        Vectors of two networks cannot be compared.
        """
        lengths, identity = self._table().identity_lengths, self.faces.identity
        most = 0 if identity is None else identity.shape[1]
        return np.asarray((lengths > 0) & (lengths != most))

    @property
    def face_from_frame(self) -> Doubles:
        """(N, 2, 3) from frame pixels to those of each picture as it is now."""
        return self._table().face_from_frame

    @property
    def face_type(self) -> FaceType:
        """The face type of all pictures. Raises NoFaces without any, BadMedia when they differ."""
        types = sorted(set(self._table().face_types))
        if not types:
            raise NoFaces(
                f"{self.folder}: no faces. Run: {extract_command(self.folder)}, or put face"
                " pictures back."
            )
        if len(types) > 1:
            raise BadMedia(
                f"{self.folder}: pictures of several face types ({', '.join(types)}). Keep one type"
                " per folder."
            )
        return types[0]

    @property
    def size(self) -> int:
        """Side of the largest picture, in pixels. Raises NoFaces when there are none."""
        if not len(self):
            raise NoFaces(
                f"{self.folder}: no faces. Run: {extract_command(self.folder)}, or put face"
                " pictures back."
            )
        return int(self._table().sides.max())

    def select(self, rows: NDArray[np.bool_]) -> Faceset:
        """The same folder, of it only the faces where `rows` (N,) is true."""
        chosen = Faceset(self.folder, tolerant=self._tolerant)
        chosen._known = self._table().select(np.flatnonzero(rows))
        return chosen

    def load(self, row: int) -> AlignedFace:
        """The face of a row, with its pixels."""
        return face_image.read(self.folder / self._table().names[row])

    def read_bytes(self, row: int) -> bytes:
        """The file of a row's picture, byte for byte, from the folder or the pack.

        Raises:
            BadMedia: It is missing or damaged.
            CannotRead: It is there, but not for this user, or the disk fails.
        """
        return face_image.read_bytes(self.folder / self._table().names[row])

    def require_loose(self, rows: NDArray[np.bool_]) -> None:
        """Raise BadProject where any of these rows, (N,), lies in the pack: it cannot be moved.

        Nor can it where a copy of it does: that would be the face then.
        """
        self._require_loose(path.name for path in self.with_copies(rows))

    def _require_loose(self, names: Iterable[str]) -> None:
        packed = self._table().packed
        if count := sum(name in packed for name in names):
            pack = pack_path(self.folder)
            raise BadProject(
                f"{pack}: it holds {pluralize(count, 'face')} of these, and nothing in a pack is"
                f" changed. Run: {unpack_command(pack)}"
            )

    def add(
        self,
        face: AlignedFace,
        *,
        number: int | None = None,
        suffix: str = ".jpg",
        quality: int = 95,
    ) -> Path:
        """Write a face as `<frame>_<number><suffix>`; returns the path.

        number: position among the frame's faces; a picture of that name is replaced. None: the
        first that is free.
        """
        numbers = itertools.count() if number is None else (number,)
        paths = (self.folder / f"{face.face.frame:06d}_{each}{suffix}" for each in numbers)
        path = next(path for path in paths if number is not None or free_path(path) == path)
        face_image.write(path, face, quality)
        self.rescan()
        return path

    def trash(
        self,
        mask: NDArray[np.bool_],
        what: str = "",
        others: Sequence[str] = (),
        *,
        for_good: bool = False,
    ) -> list[Path]:
        """Move the rows where `mask` (N,) is true to `<folder>_trash` beside the folder.

        Their copies go along. Nothing is deleted or overwritten: where a name is taken there, the
        newcomer gets a number. It is a step of the journal, and can be taken back.

        Args:
            mask: The faces.
            what: The sentence in the journal; "" = how many they are.
            others: Names of further files in the folder, which are no faces.
            for_good: It is no step: others come in their places, so it cannot be taken back.

        Returns:
            Where they went.
        """
        if mask.shape != (len(self),) or mask.dtype != np.bool_:
            raise ValueError(f"a mask of {mask.shape} {mask.dtype} for {len(self)} faces")
        unwanted = [path.name for path in self.with_copies(mask)]
        unwanted += set(others).difference(unwanted)
        self._require_loose(unwanted)
        journal = Journal(self.folder.parent)
        moves = journal.into_trash(f"{self.folder.name}/{name}" for name in unwanted)
        if for_good:
            journal.move_for_good(moves)
        else:
            journal.carry_out(what or f"{int(mask.sum())} faces removed", moves)
        self.rescan()
        return [journal.side / goal for _, goal in moves]

    def rescan(self) -> None:
        """Forget the table; the folder is read anew when it is next asked for."""
        self._known = None

    def _table(self) -> FaceTable:
        if self._known is None:
            self._known = FaceTable.scan(self.folder, tolerant=self._tolerant)
        return self._known


def free_path(path: Path) -> Path:
    """Return the path, or where something has that name the first with a number that is free.

    A picture in the pack has its name as one in the folder has it.
    """
    packed = _packed_names(path.parent)
    others = (atomic.numbered(path, number) for number in itertools.count(2))
    return next(
        each
        for each in itertools.chain([path], others)
        if each.name not in packed and not atomic.is_there(each)
    )


def names_there(folder: Path) -> set[str]:
    """All names that are taken in the folder of a faceset, by whatever it is, or in its pack."""
    loose = os.listdir(folder) if folder.is_dir() else ()
    return {*loose, *_packed_names(folder)}


def _packed_names(folder: Path) -> Collection[str]:
    pack = picture_files.open_pack(folder)
    return () if pack is None else pack.pictures.keys()
