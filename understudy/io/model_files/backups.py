"""Backups of a model: checkpoints that outlive the newest few, with shared files (hard links)."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from understudy.errors import BadProject, CannotRead
from understudy.io import atomic, data_files
from understudy.io.model_files import checkpoint

ABOUT = "backup.json"
# Backups for this reason make place for newer ones; those that somebody asked for stay until
# somebody deletes them.
ROLLING = "time"
# What backups held beside a checkpoint before their record named it.
_FORMERLY = re.compile(r"options\.toml|history\.jsonl|\d{9,}\.png", re.ASCII)


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup. number: the order in which backups were made, whatever the clock said.

    why: "time", "order" or "restore". seconds: how long the model had trained. made: date and time
    by the clock. files: the names of its files.
    """

    folder: Path
    number: int
    why: str
    iteration: int
    seconds: float
    made: str
    files: tuple[str, ...]


def create(folder: Path, saved: Path, beside: Iterable[Path], why: str, keep: int = 1) -> Backup:
    """Make a backup of the checkpoint `saved` in `folder`, with copies of those files `beside` it.

    Where it is a rolling one, the newest `keep` of these stay.

    Raises:
        CannotWrite: The disk is full, or the place is read-only.
    """
    with atomic.explain_os_errors(folder):
        atomic.remove_partials(folder)
        before = list_backups(folder)
        with atomic.partial_folder(folder / saved.name) as partial:
            checkpoint.link_files(saved, partial.path)
            for path in beside:
                if path.is_file():
                    shutil.copy2(path, partial.path / path.name)
            number = 1 + max((each.number for each in before), default=0)
            about = {
                "number": number,
                "why": why,
                "made": time.strftime("%Y-%m-%d %H:%M:%S"),
                "files": [*(path.name for path in sorted(partial.path.iterdir())), ABOUT],
            }
            atomic.write_text(partial.path / ABOUT, json.dumps(about))
            final = partial.settle(_free_path(folder, saved.name[:9]))
        rolling = [each for each in before if each.why == ROLLING] if why == ROLLING else []
        for old in rolling[: max(0, len(rolling) + 1 - keep)]:
            atomic.remove_files(old.folder, old.files)
    return _read(final)


def list_backups(folder: Path) -> list[Backup]:
    """Return the backups in `folder` in the order they were made; what is none does not count."""
    found = []
    for each in folder.iterdir() if folder.is_dir() else ():
        if atomic.is_partial(each.name) or atomic.is_link(each):
            continue
        try:
            found.append(_read(each))
        except (BadProject, CannotRead, OSError):
            continue
    return sorted(found, key=lambda backup: backup.number)


class _About(BaseModel):
    """What a backup says of itself; backup.json."""

    model_config = ConfigDict(strict=True)

    number: Annotated[int, Field(ge=0, le=10**9)]
    why: str
    made: str
    files: list[str] = []


def _read(folder: Path) -> Backup:
    """Raises BadData, BadProject."""
    about = data_files.read_json_as(folder / ABOUT, _About)
    saved = checkpoint.read_state(folder)
    files = about.files or [
        *(path.name for path in folder.iterdir() if _FORMERLY.fullmatch(path.name)),
        *checkpoint.recorded_files(folder),
        ABOUT,
    ]
    return Backup(
        folder,
        about.number,
        about.why,
        saved.iteration,
        saved.state.get("seconds", 0.0),
        about.made,
        tuple(files),
    )


def _free_path(folder: Path, iteration: str) -> Path:
    """A name of iteration and time that is not taken: a clock may show the same time twice."""
    base = f"{iteration}-{time.strftime('%Y%m%d-%H%M%S')}"
    path, number = folder / base, 2
    while atomic.is_there(path):
        path, number = folder / f"{base}-{number}", number + 1
    return path
