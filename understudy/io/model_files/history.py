"""The losses of a run: a file of JSON lines, each with its iteration."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from understudy.errors import BadData
from understudy.io import atomic, data_files

Row = dict[str, Any]


def read(path: Path) -> list[Row]:
    """All rows; a last line that a killed run left torn does not count."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(data_files.parse_json(line, str(path)))
        except BadData:
            continue
    return rows


def append(path: Path, rows: Iterable[Row]) -> None:
    """Add rows at the end."""
    atomic.append_text(path, "".join(json.dumps(row) + "\n" for row in rows))


def truncate(path: Path, iteration: int) -> None:
    """Forget what came after `iteration`: a resumed run measures it again."""
    rows = read(path)
    kept = [row for row in rows if row["iteration"] <= iteration]
    if len(kept) < len(rows) or path.exists():
        atomic.write_text(path, "".join(json.dumps(row) + "\n" for row in kept))
