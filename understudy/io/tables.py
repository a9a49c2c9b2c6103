"""Named arrays and notes in one safetensors file: tables on disk, and the weights of models."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save, save_file

from understudy.errors import BadData, CannotRead, CannotWrite
from understudy.io import atomic, data_files, system_faults
from understudy.types import Array

# A header takes some 80 bytes for each array.
_MAX_HEADER = 16 << 20
_MAX_TABLE = 1 << 30
# So its library tells what the system told it.
_OS_ERROR: Final = re.compile(r"\(os error ([0-9]{1,9})\)")
# The column of a table by which all else in it is known again. Of several notes the order in the
# file would be by chance.
_CHECK: Final = "sha256"


def write_table(path: Path, columns: Mapping[str, Array], notes: Mapping[str, str]) -> None:
    """Write the columns and the notes, all or nothing. Raises CannotWrite."""
    arrays = {name: np.asarray(column, order="C") for name, column in columns.items()}
    atomic.write_bytes(path, save({**arrays, _CHECK: _digest(arrays, notes)}, dict(notes)))


def write_tensors(
    path: Path, arrays: Mapping[str, Array], notes: Mapping[str, str] | None = None
) -> None:
    """Write arrays and notes to `path`, a place of ours alone; others may read it as any new file.

    The library writes a file of its own, which only this user may read, and moves it there.

    Raises:
        CannotWrite: The disk is full, or the place is read-only.
    """
    with atomic.explain_os_errors(path):
        with path.open("wb") as file:
            rights = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        try:
            # asarray: ascontiguousarray would give a single number a dimension.
            plain = {name: np.asarray(array, order="C") for name, array in arrays.items()}
            save_file(plain, path, None if notes is None else dict(notes))
        except SafetensorError as error:
            if told := _os_error(error, path):
                raise told from error
            raise CannotWrite(
                f"{path}: not written: {error}. Run the same command again, and report it where it"
                " comes back."
            ) from error
        path.chmod(rights)


def read_table(
    path: Path, limit: int | None = _MAX_TABLE
) -> tuple[dict[str, Array], dict[str, str]] | None:
    """Return the columns and notes at `path`; None when damaged: they are made again then.

    limit: bytes that it may have; None = any number. Raises CannotRead.
    """
    try:
        columns, notes = read_tensors(path, limit)
    except BadData:
        return None
    # Those of former versions have none.
    check = columns.pop(_CHECK, None)
    is_whole = check is None or np.array_equal(check, _digest(columns, notes))
    return (columns, notes) if is_whole else None


def read_tensors(path: Path, limit: int | None = None) -> tuple[dict[str, Array], dict[str, str]]:
    """Return the arrays in a safetensors file by name, and its notes.

    Args:
        path: The file.
        limit: Bytes that it may have; None = any number.

    Raises:
        BadData: It is missing, damaged, too large, or holds numbers of a kind that numpy has not.
        CannotRead: It is there, but not for this user, or the disk fails.
    """
    with data_files.open_file(path) as file:
        header = int.from_bytes(file.read(8), "little")
        size = file.seek(0, 2)
    if header > _MAX_HEADER or (limit is not None and size > limit):
        raise data_files.bad_data(path, "too large, or no safetensors file")
    try:
        with safe_open(path, framework="numpy") as found:
            arrays = {name: found.get_tensor(name) for name in found.keys()}
            notes = found.metadata() or {}
    except SafetensorError as error:
        told = _os_error(error, path)
        if told and (fault := system_faults.reading(told)):
            raise CannotRead(f"{path}: cannot be read: {fault}") from error
        raise data_files.bad_data(path, f"not readable: {error}") from None
    except (KeyError, AttributeError, TypeError, ValueError, OverflowError) as error:
        # So it says that it knows no such numbers as bfloat16, or no shape of so many sides.
        raise data_files.bad_data(path, f"holds arrays that numpy does not know: {error}") from None
    for name, array in arrays.items():
        # A package that is loaded, as onnx loads ml_dtypes, may have taught numpy more.
        if array.dtype.isbuiltin != 1:
            raise data_files.bad_data(path, f"'{name}' holds {array.dtype}, which is not read")
    return arrays, notes


def _os_error(error: SafetensorError, path: Path) -> OSError | None:
    """What the system said, where that is what the library met. Windows has other numbers."""
    found = _OS_ERROR.search(str(error))
    if found is None or sys.platform == "win32":
        return None
    code = int(found[1])
    return OSError(code, os.strerror(code), str(path))


def _digest(columns: Mapping[str, Array], notes: Mapping[str, str]) -> Array:
    """The SHA-256, 32 bytes, of all that is in a table, whatever the order in the file."""
    digest = hashlib.sha256(json.dumps(dict(notes), sort_keys=True).encode())
    for name, column in sorted(columns.items()):
        digest.update(json.dumps([name, column.dtype.str, column.shape]).encode())
        digest.update(np.asarray(column, order="C").reshape(-1).data)
    return np.frombuffer(digest.digest(), np.uint8)
