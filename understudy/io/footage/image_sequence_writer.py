"""A folder that one command fills with pictures, and can go on filling after it was stopped."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from understudy.errors import BadData, BadProject, Busy
from understudy.io import atomic, data_files
from understudy.io.footage.foreign_files import is_of_system
from understudy.options import Options

_LOCK = ".lock"


@contextlib.contextmanager
def locked_folder(
    folder: Path, plan: dict[str, object], options: Options | None = None
) -> Iterator[None]:
    """Hold `folder` while pictures are written into it; `<plan["made_by"]>.json` tells which.

    A folder that is new, empty, or begun under the same plan is taken; its pictures stay. options:
    those that affect what is rendered belong to the plan.

    Raises:
        BadProject: Something else lies there.
        Busy: Another run is at it.
        CannotWrite: The disk is full, or the place is read-only.
    """
    note = folder / f"{plan['made_by']}.json"
    if atomic.is_link(folder):
        raise BadProject(f"{folder}: a link. Give the folder that it leads to, or another one.")
    if atomic.is_there(folder) and not folder.is_dir():
        raise BadProject(f"{folder}: there is a file of that name. Choose another folder.")
    with atomic.explain_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with atomic.explain_os_errors(folder), FileLock(folder / _LOCK, timeout=0):
            _claim(folder, note, plan, options or Options())
            atomic.remove_partials(folder)
            yield
    except Timeout:
        raise Busy(
            f"{folder}: another run is writing here. Wait for it, or stop it, then try again."
        ) from None


def _claim(folder: Path, note: Path, plan: dict[str, object], options: Options) -> None:
    if note.exists():
        if not _is_planned(note, plan, options):
            raise BadProject(
                f"{folder}: pictures from other footage or other options are there ({note.name})."
                " Choose another folder, or delete that one."
            )
        return
    if any(
        name != _LOCK and not atomic.is_partial(name) and not is_of_system(name)
        for name in (path.name for path in folder.iterdir())
    ):
        raise BadProject(
            f"{folder}: not empty, and nothing is ever overwritten. Choose another folder."
        )
    whole = {**plan, **options.affecting("render")}
    atomic.write_text(note, json.dumps(whole, indent=1) + "\n")


def _is_planned(note: Path, plan: dict[str, object], options: Options) -> bool:
    """Whether a note says the same; an option that it does not name had today's default."""
    try:
        said = data_files.read_json(note)
        others = {name: said[name] for name in said.keys() - plan.keys()}
        known = type(options).model_validate(others)
        return known.affecting("render") == options.affecting("render") and all(
            said[name] == value for name, value in plan.items()
        )
    except (BadData, ValueError, KeyError, AttributeError):
        return False
