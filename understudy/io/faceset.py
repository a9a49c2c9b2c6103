"""A faceset: a folder of face pictures, read as one table. The pictures are the truth; `faces.jsonl` beside it is a cache."""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from understudy.errors import BadMedia, CannotWrite, NoFaces
from understudy.io import atomic, face_image
from understudy.types import AlignedFace, Faces, FaceType

_HEADER = '{"cache":"understudy faces","version":1}'
# So many bad pictures are named in an error; the rest are counted.
_NAMED = 5


class Faceset:
    """The face pictures in `folder`, ordered by source, frame and file name; files with other suffixes do not count.

    The folder is read when the table is first asked for, and again after `add`, `trash` or `rescan`. One picture in it that
    is not a face of ours makes that reading raise BadMedia with the names of all such pictures: none is skipped in silence.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._entries: list[_Entry] | None = None

    def __len__(self) -> int:
        return len(self._table())

    @property
    def faces(self) -> Faces:
        """All faces as a table in frame space; rows are in the order of `paths`."""
        return Faces.of([entry.metadata.face for entry in self._table()])

    @property
    def paths(self) -> list[Path]:
        """The pictures, one a row of `faces`."""
        return [self.folder / entry.name for entry in self._table()]

    @property
    def pts(self) -> list[float | None]:
        """When each face is shown, in seconds of its footage; None for stills."""
        return [entry.metadata.pts for entry in self._table()]

    @property
    def face_types(self) -> list[FaceType]:
        """The face type of each picture."""
        return [entry.metadata.face_type for entry in self._table()]

    @property
    def face_type(self) -> FaceType:
        """The face type of all pictures. Raises NoFaces when there are none, BadMedia when they differ."""
        types = sorted({entry.metadata.face_type for entry in self._table()})
        if not types:
            raise NoFaces(f"{self.folder}: no faces. Run: understudy extract, or put face pictures back.")
        if len(types) > 1:
            raise BadMedia(f"{self.folder}: pictures of several face types ({', '.join(types)}). Keep one type per folder.")
        return types[0]

    @property
    def size(self) -> int:
        """Side of the largest picture, in pixels. Raises NoFaces when there are none."""
        if not len(self):
            raise NoFaces(f"{self.folder}: no faces. Run: understudy extract, or put face pictures back.")
        return max(entry.side for entry in self._table())

    def load(self, row: int) -> AlignedFace:
        """The face of a row, with its pixels."""
        return face_image.read(self.folder / self._table()[row].name)

    def add(self, face: AlignedFace, *, number: int | None = None, suffix: str = ".jpg", quality: int = 95) -> Path:
        """Write a face as `<frame>_<number><suffix>`; returns the path.

        number: position among the frame's faces; a picture of that name is replaced. None: the first that is free.
        """
        numbers = itertools.count() if number is None else (number,)
        paths = (self.folder / f"{face.face.frame:06d}_{each}{suffix}" for each in numbers)
        path = next(path for path in paths if number is not None or not path.exists())
        face_image.write(path, face, quality)
        self.rescan()
        return path

    def trash(self, mask: NDArray[np.bool_]) -> list[Path]:
        """Move the rows where `mask` (N,) is true to `<folder>_trash` beside the folder; returns where they went.

        Nothing is deleted or overwritten: where a name is taken there, the newcomer gets a number.
        """
        if mask.shape != (len(self),) or mask.dtype != np.bool_:
            raise ValueError(f"a mask of {mask.shape} {mask.dtype} for {len(self)} faces")
        bin = self.folder.with_name(f"{self.folder.name}_trash")
        moved = []
        with atomic.explained(bin):
            bin.mkdir(exist_ok=True)
            for path, unwanted in zip(self.paths, mask, strict=True):
                if unwanted:
                    moved.append(path.rename(_free(bin / path.name)))
        self.rescan()
        return moved

    def rescan(self) -> None:
        """Forget the table; the folder is read anew when it is next asked for."""
        self._entries = None

    def _table(self) -> list[_Entry]:
        if self._entries is None:
            self._entries = _scanned(self.folder)
        return self._entries


class _Entry(BaseModel):
    """A line of the cache: a picture as it was (name, bytes, mtime_ns), its side, and its metadata without the mask."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    bytes: int
    mtime_ns: int
    side: int
    metadata: face_image.Metadata


def _scanned(folder: Path) -> list[_Entry]:
    """The entries of all pictures, from the cache where it still fits; the cache is renewed when anything differs."""
    cached = _cached(_cache(folder))
    entries, problems = [], []
    for name, size, mtime_ns in _pictures(folder):
        known = cached.get(name)
        if known is None or (known.bytes, known.mtime_ns) != (size, mtime_ns):
            try:
                metadata, side = face_image.read_metadata(folder / name)
            except BadMedia as error:
                problems.append(str(error))
                continue
            slim = metadata.model_copy(update={"mask": None})
            known = _Entry(name=name, bytes=size, mtime_ns=mtime_ns, side=side, metadata=slim)
        entries.append(known)
    if problems:
        more = f"\n… and {len(problems) - _NAMED} more pictures like these." if len(problems) > _NAMED else ""
        raise BadMedia("\n".join(problems[:_NAMED]) + more)
    if {entry.name: entry for entry in entries} != cached:
        # A folder that cannot be written to, or whose names are no text, can still be read: the cache only saves time.
        with contextlib.suppress(CannotWrite, ValueError):
            _save(_cache(folder), entries)
    return sorted(entries, key=lambda entry: (entry.metadata.source, entry.metadata.frame, entry.name))


def _pictures(folder: Path) -> list[tuple[str, int, int]]:
    """Name, bytes and mtime_ns of every picture, by name."""
    found = []
    try:
        with os.scandir(folder) as files:
            for file in files:
                hidden = file.name.startswith(".")
                if hidden or Path(file.name).suffix.lower() not in face_image.SUFFIXES:
                    continue
                with contextlib.suppress(FileNotFoundError):  # deleted this moment: then it is no face any more
                    facts = file.stat()
                    if stat.S_ISREG(facts.st_mode):
                        found.append((file.name, facts.st_size, facts.st_mtime_ns))
    except OSError as error:
        raise BadMedia(f"{folder}: no faceset: {error.strerror}. Run: understudy extract, or check the path.") from None
    return sorted(found)


def _cache(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.jsonl")


def _cached(path: Path) -> dict[str, _Entry]:
    """What the cache says, or nothing when one line of it is not as we write it: it is rebuilt, never mended."""
    try:
        header, *lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
        entries = [_Entry.model_validate_json(line) for line in lines]
    except (OSError, ValueError, ValidationError):
        return {}
    return {entry.name: entry for entry in entries} if header == _HEADER else {}


def _save(path: Path, entries: list[_Entry]) -> None:
    atomic.write_text(path, "\n".join([_HEADER, *(entry.model_dump_json() for entry in entries)]) + "\n")


def _free(path: Path) -> Path:
    others = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in itertools.count(2))
    return next(each for each in itertools.chain([path], others) if not each.exists())
