"""What an extraction has done so far: `extract.json` beside the faces. It lets a run go on where a killed one stopped."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from understudy.errors import BadMedia, BadProject
from understudy.io import atomic
from understudy.io.face_image import SUFFIXES


class Source(BaseModel):
    """Footage as it was: a change of any of these means other footage. A folder counts as the sum of its files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    bytes: int
    mtime_ns: int
    frames: int

    @classmethod
    def of(cls, path: Path, frames: int) -> Self:
        """The footage at `path` as it is now. Raises BadMedia when it is gone."""
        try:
            files = [file.stat() for file in path.iterdir()] if path.is_dir() else [path.stat()]
        except OSError as error:
            raise BadMedia(f"{path}: cannot be read: {error.strerror}. Check that it is there and may be read.") from None
        newest = max((file.st_mtime_ns for file in files), default=0)
        return cls(name=path.name, bytes=sum(file.st_size for file in files), mtime_ns=newest, frames=frames)


class Extracted(BaseModel):
    """Frames 0 .. done - 1 are through, with `faces` faces found; the stage advances it, frame by frame.

    options: those that shape the pictures. empty: frames without a face as [first, last] ranges. failed: frame, reason.
    """

    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = 1
    source: Source
    options: dict[str, Any]
    done: int = Field(default=0, ge=0)
    faces: int = Field(default=0, ge=0)
    empty: list[tuple[int, int]] = []
    failed: list[tuple[int, str]] = []

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """The record at `path`, or None when there is none. Raises BadProject when it cannot be understood."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError):
            raise BadProject(
                f"{path}: not readable as our record. Run extract with --redo: it moves the old faces aside."
            ) from None

    def save(self, path: Path) -> None:
        """Write the record, all or nothing."""
        atomic.write_text(path, self.model_dump_json(indent=1) + "\n")

    @property
    def is_complete(self) -> bool:
        """Whether every frame is through."""
        return self.done >= self.source.frames

    def advance(self, frame: int, step: int, faces: int, problem: str | None) -> None:
        """Frame `frame` is through; the next one to do is `step` later."""
        self.done = min(frame + step, self.source.frames)
        self.faces += faces
        if problem is not None:
            self.failed.append((frame, problem))
        elif faces == 0 and self.empty and self.empty[-1][1] == frame - step:
            self.empty[-1] = (self.empty[-1][0], frame)
        elif faces == 0:
            self.empty.append((frame, frame))

    def empty_ranges(self) -> str:
        """The frames without a face, to be read: "0-11, 40"."""
        return ", ".join(f"{first}-{last}" if last > first else f"{first}" for first, last in self.empty)


def prepared(folder: Path, source: Source, options: dict[str, Any], redo: bool) -> Extracted:
    """The record to go on from, with `folder` (the faces) in the state it tells of.

    Old faces are only ever moved aside (redo), to `<folder>_old_N`. Raises BadProject when faces are there that this order
    does not fit: other options, other footage, or no record of them.
    """
    fresh = Extracted(source=source, options=options)
    if not folder.is_dir():
        return fresh
    atomic.sweep(folder)
    has_pictures = any(path.suffix.lower() in SUFFIXES for path in folder.iterdir())
    if redo and has_pictures:
        _move_aside(folder)
    if redo:
        return fresh
    record = Extracted.load(record_path(folder))
    if not has_pictures:
        # Nothing can be lost: go on only where a run with the same order had found nothing yet.
        same = record is not None and record.faces == 0 and (record.source, record.options) == (source, options)
        return record if record is not None and same else fresh
    if record is None:
        raise BadProject(f"{folder}: faces without a record of how they were made. Run with --redo: it moves them aside.")
    changed = sorted(name for name in {*options, *record.options} if options.get(name) != record.options.get(name))
    if record.source != source:
        changed.append("the footage")
    if changed:
        raise BadProject(f"{folder}: faces made with other settings ({', '.join(changed)}). Run with --redo: it moves them aside.")
    _drop_unrecorded(folder, record.done)
    return record


def record_path(folder: Path) -> Path:
    """Where the record of the faces in `folder` lies."""
    return folder.with_name("extract.json")


def _move_aside(folder: Path) -> None:
    places = (folder.with_name(f"{folder.name}_old_{number}") for number in itertools.count(1))
    with atomic.explained(folder):
        folder.rename(next(place for place in places if not place.exists()))


def _drop_unrecorded(folder: Path, done: int) -> None:
    """Remove pictures of frames from `done` on: a killed run wrote them after its last record, and they are made again."""
    for path in folder.iterdir():
        frame, _, number = path.stem.partition("_")
        is_ours = path.suffix.lower() in SUFFIXES and frame.isdecimal() and number.isdecimal()
        if is_ours and int(frame) >= done:
            with atomic.explained(path):
                path.unlink()
