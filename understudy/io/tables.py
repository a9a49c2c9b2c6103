"""Tables on disk: named arrays and notes in one safetensors file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from understudy.errors import BadData
from understudy.io import atomic, data_files
from understudy.types import Array


def write_table(path: Path, columns: Mapping[str, Array], notes: Mapping[str, str]) -> None:
    """Write the columns and the notes, all or nothing. Raises CannotWrite."""
    data = save(
        {name: np.ascontiguousarray(column) for name, column in columns.items()}, dict(notes)
    )
    atomic.write_bytes(path, data)


def read_table(path: Path) -> tuple[dict[str, Array], dict[str, str]] | None:
    """Return the columns and notes at `path`; None when unreadable: they are made again then."""
    try:
        data = path.read_bytes()
        columns: dict[str, Array] = load(data)
        header = data_files.parse_json(data[8 : 8 + int.from_bytes(data[:8], "little")], str(path))
    except (BadData, OSError, SafetensorError, ValueError):
        return None
    return columns, header.get("__metadata__", {})
