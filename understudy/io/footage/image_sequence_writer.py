"""A folder that one command fills with pictures, and can go on filling after it was stopped."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from understudy.errors import BadProject, Busy
from understudy.io import atomic

_LOCK = ".lock"


@contextlib.contextmanager
def locked_folder(folder: Path, plan: dict[str, object]) -> Iterator[None]:
    """Hold `folder` while pictures are written into it; `<plan["made_by"]>.json` inside says what
    they are.

    A folder that is new, empty, or begun under the same plan is taken; its pictures stay. Raises
    BadProject when something else lies there, Busy when another run is at it, CannotWrite.
    """
    note = folder / f"{plan['made_by']}.json"
    if folder.exists() and not folder.is_dir():
        raise BadProject(f"{folder}: there is a file of that name. Choose another folder.")
    with atomic.explain_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with atomic.explain_os_errors(folder), FileLock(folder / _LOCK, timeout=0):
            _claim(folder, note, plan)
            atomic.remove_partials(folder)
            yield
    except Timeout:
        raise Busy(
            f"{folder}: another run is writing here. Wait for it, or stop it, then try again."
        ) from None


def _claim(folder: Path, note: Path, plan: dict[str, object]) -> None:
    if note.exists():
        if _read_plan(note) != json.loads(json.dumps(plan)):
            raise BadProject(
                f"{folder}: pictures from other footage or other options are there ({note.name})."
                " Choose another folder, or delete that one."
            )
        return
    if any(path.name != _LOCK and atomic.PARTIAL not in path.name for path in folder.iterdir()):
        raise BadProject(
            f"{folder}: not empty, and nothing is ever overwritten. Choose another folder."
        )
    atomic.write_text(note, json.dumps(plan, indent=1) + "\n")


def _read_plan(note: Path) -> object:
    try:
        return json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
