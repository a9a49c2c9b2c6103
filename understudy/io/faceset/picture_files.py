"""The pictures of a faceset where they lie: in its folder, or in the pack beside it.

A picture in the folder counts before one of the same name in the pack.
"""

from __future__ import annotations

import errno
import functools
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from understudy.errors import BadData, BadMedia, CannotRead
from understudy.io import data_files, system_faults
from understudy.io.faceset.pack import MAX_BYTES, SUFFIXES, Pack, pack_path, time_stamp

# In nanoseconds.
_SECOND: Final = 1_000_000_000


class PictureList(NamedTuple):
    """The pictures of a faceset, by name.

    facts: (N, 2) int64 bytes and time of change (`pack.time_stamp`) of each: they change with the
    picture. packed: the names of those that lie in the pack. fault: why the pack could not be read,
    "" = it could, or there is none.
    """

    names: list[str]
    facts: NDArray[np.int64]
    packed: frozenset[str]
    fault: str


def list_pictures(folder: Path) -> PictureList:
    """List the pictures of the faceset in `folder`, names ascending.

    Raises:
        BadMedia: There is neither such a folder nor a pack of it.
        CannotRead: It is there, but not for this user, or the disk fails.
    """
    fault, packed = "", dict[str, tuple[int, int]]()
    try:
        pack = open_pack(folder)
        if pack is not None:
            packed = {each.name: (each.bytes, each.stamp) for each in pack.pictures.values()}
    except BadMedia as error:
        fault, pack = str(error), None
    loose = _list_folder(folder, may_lack=pack is not None or bool(fault))
    facts = {**packed, **loose}
    names = sorted(facts)
    return PictureList(
        names,
        np.array([facts[name] for name in names], np.int64).reshape(-1, 2),
        frozenset(packed.keys() - loose.keys()),
        fault,
    )


def match_pictures(
    names: Sequence[str],
    facts: NDArray[np.int64],
    known_names: Sequence[str],
    known_facts: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Find pictures among those of which something is kept: (N,) their rows there; -1 = in none.

    A picture is the same where name, size and time of change are. One that was renamed keeps the
    other two: they do where the time is finer than seconds, and no other picture has them.

    Args:
        names: Of the pictures, (N,).
        facts: (N, 2) bytes and time of change.
        known_names: (M,), of those that are kept.
        known_facts: (M, 2).
    """
    if not len(known_facts):
        return np.full(len(names), -1, np.int64)
    row_of = {name: row for row, name in enumerate(known_names)}
    at = np.array([row_of.get(name, -1) for name in names], np.int64)
    at[(at >= 0) & (known_facts[at] != facts).any(1)] = -1
    missing = np.flatnonzero((at < 0) & (facts[:, 1] % _SECOND != 0))
    if not len(missing):
        return at
    both, inverse, count = np.unique(
        np.concatenate([known_facts, facts]), axis=0, return_inverse=True, return_counts=True
    )
    inverse = inverse.reshape(-1)
    known, asked = inverse[: len(known_facts)], inverse[len(known_facts) :]
    where = np.full(len(both), -1, np.int64)
    where[known] = np.arange(len(known))
    is_plain = (np.bincount(known, minlength=len(both)) == 1) & (count == 2)
    found = where[asked[missing]]
    at[missing] = np.where(is_plain[asked[missing]], found, -1)
    return at


def read_bytes(path: Path) -> bytes:
    """Return the bytes of the picture at `path`, which lies there or in the pack of its folder.

    Raises:
        BadMedia: It is missing, no ordinary file, too large, or damaged in the pack.
        CannotRead: It is there, but not for this user, or the disk fails.
    """
    try:
        return data_files.read_bytes(path, MAX_BYTES)
    except BadData as error:
        is_gone = isinstance(error.__cause__, FileNotFoundError)
        pack = open_pack(path.parent) if is_gone else None
        if pack is not None and path.name in pack.pictures:
            return pack.read(path.name)
        if is_gone:
            raise BadMedia(
                f"{path}: there is no such picture: deleted or moved meanwhile. Run the same"
                " command again."
            ) from None
        raise BadMedia(
            f"{path}: {error.reason}, so not a face picture. Take it out of the folder, or check"
            " that it is there and may be read."
        ) from None


def open_pack(folder: Path) -> Pack | None:
    """The pack of the faces in `folder`, open; None where there is none. Raises as `Pack`."""
    return open_pack_file(pack_path(folder))


def open_pack_file(path: Path) -> Pack | None:
    """The pack at `path`, open; None where there is none. Raises as `Pack`."""
    try:
        found = path.stat()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG):
            return None
        if fault := system_faults.reading(error):
            raise CannotRead(f"{path}: cannot be read: {fault}") from error
        raise
    return _opened(path, found.st_ino, found.st_size, found.st_mtime_ns)


def let_go_of_packs() -> None:
    """Close the packs that are open, where nobody reads from them: one is to be replaced.

    On Windows no file that is open can be.
    """
    _opened.cache_clear()


@functools.lru_cache(maxsize=8)
def _opened(path: Path, *_as_it_is_now: int) -> Pack:
    return Pack(path)


def _list_folder(folder: Path, *, may_lack: bool) -> dict[str, tuple[int, int]]:
    """Bytes and time of change of each picture in the folder, by name.

    may_lack: there need be no such folder.
    """
    found = dict[str, tuple[int, int]]()
    try:
        with os.scandir(folder) as files:
            for file in files:
                hidden = file.name.startswith(".")
                if hidden or os.path.splitext(file.name)[1].lower() not in SUFFIXES:
                    continue
                try:
                    status = file.stat()
                except OSError as error:
                    # Deleted this moment, or a link that leads nowhere, it is no face.
                    if error.errno in (errno.ENOENT, errno.ELOOP):
                        continue
                    raise
                if stat.S_ISREG(status.st_mode):
                    found[file.name] = status.st_size, time_stamp(status.st_mtime_ns)
    except FileNotFoundError as error:
        if not may_lack:
            raise no_faceset(folder, error) from None
    except OSError as error:
        if fault := system_faults.reading(error):
            raise CannotRead(f"{error.filename or folder}: cannot be read: {fault}") from error
        raise no_faceset(folder, error) from None
    return found


def no_faceset(folder: Path, error: OSError) -> BadMedia:
    """Return the error that says that there is no faceset, and how one is made."""
    return BadMedia(
        f"{folder}: no faceset: {error.strerror}. Run: {extract_command(folder)}, or check the"
        " path."
    )


def extract_command(folder: Path) -> str:
    """What to run for the faces of a folder; of one that is in no show it names none."""
    show, side = folder.parent.parent, folder.parent.name
    is_ours = folder.name == "faces" and side in ("src", "dst")
    return f"understudy extract {show} {side}" if is_ours else "understudy extract SHOW SIDE"
