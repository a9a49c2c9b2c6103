"""Checkpoints: arrays and state as one step, whole or not there, as safetensors and JSON."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from understudy.errors import BadData, BadProject, CannotRead
from understudy.io import atomic, data_files, tables
from understudy.types import Array

SCHEMA = 1
STATE, CURRENT = "state.json", "current"
MAX_ITERATION: Final = 10**12
# The key of the sum over all other values of a state.
_SUM: Final = "sum"
_NAME = re.compile(r"(\d{9,})(-\d{3,})?", re.ASCII)


_FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}\.safetensors$")]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One saved step. state: plain values; its arrays are read on demand."""

    folder: Path
    iteration: int
    state: dict[str, Any]

    def arrays(self, part: str) -> dict[str, Array]:
        """The arrays of a part ("weights", "optimizer") by name. Raises BadData."""
        return tables.read_tensors(self.folder / f"{part}.safetensors")[0]

    def has(self, part: str) -> bool:
        """Whether it has such a part."""
        return (self.folder / f"{part}.safetensors").is_file()


class _Motion(BaseModel):
    """How far training moved the faces: in widths of the face, and as a share of its size."""

    model_config = ConfigDict(strict=True, extra="forbid")

    shift: Annotated[float, Field(ge=0, le=1)]
    scale: Annotated[float, Field(ge=0, le=1)]


class _State(BaseModel):
    """The plain values of a checkpoint, as far as they are asked for; all others are kept, too."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)

    seconds: Annotated[float, Field(ge=0, le=1e12)] = 0.0
    slowed: Annotated[float, Field(gt=0, le=1)] = 1.0
    batch: dict[str, Annotated[int, Field(ge=0, le=1_000_000)] | None] = {}
    optimizer: str = "adam"
    settings: dict[str, Any] = {}
    recipe: dict[str, Any] = {}
    pretraining: bool = False
    exchanged: bool = False
    owed: Annotated[int, Field(ge=0, le=MAX_ITERATION)] = 0
    motion: _Motion | None = None
    score: float | None = None
    recent: list[float] = []


class _Record(BaseModel):
    """What a checkpoint says of itself; state.json.

    Nothing else stands in it: a sum under a name that was damaged is a damaged record.
    """

    model_config = ConfigDict(strict=True, extra="forbid")

    schema_version: int
    iteration: Annotated[int, Field(ge=0, le=MAX_ITERATION)]
    sha256: Annotated[dict[_FileName, str], Field(min_length=1)]
    crc32: dict[str, dict[str, int]] = {}
    state: _State


def save(
    folder: Path,
    iteration: int,
    parts: Mapping[str, Mapping[str, Array]],
    state: Mapping[str, Any],
    keep: int = 3,
) -> Path:
    """Write a checkpoint into `folder`, make it the current one and keep the newest `keep`.

    Raises:
        CannotWrite: The disk is full, or the place is read-only.
    """
    with atomic.explain_os_errors(folder):
        atomic.remove_partials(folder)
        with atomic.partial_folder(folder / f"{iteration:09d}") as partial:
            _fill(partial.path, iteration, parts, state)
            _remove_unreached(folder, iteration)
            final = partial.settle(_free_name(folder, iteration))
        atomic.write_text(folder / CURRENT, f"{final.name}\n")
        recorded = {step: names for step in _steps(folder) if (names := recorded_files(step))}
        for old in sorted(recorded, reverse=True)[keep:]:
            if old != final:
                atomic.remove_files(old, recorded[old])
    return final


def load_intact(folder: Path) -> tuple[list[Checkpoint], list[str]]:
    """Return the intact checkpoints, the current one first, then the newest; and what ails others.

    Raises:
        BadProject: One is from a newer version.
        CannotRead: One is there, but not for this user: it is none that is damaged.
    """
    steps, torn = _steps_in_order(folder)
    whole = []
    for step in steps:
        try:
            whole.append(_verify(step))
        except BadData as error:
            torn.append(_describe_torn(step, error))
    return whole, torn


def load_newest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """Return the first of `load_intact`, and what ails those before it; the others are not read.

    Raises:
        BadProject: One of them is from a newer version.
        CannotRead: As `load_intact`.
    """
    steps, torn = _steps_in_order(folder)
    for step in steps:
        try:
            return _verify(step), torn
        except BadData as error:
            torn.append(_describe_torn(step, error))
    return None, torn


def make_current(saved: Checkpoint) -> None:
    """Name it as the current one, where a run died before it could name any."""
    pointer = saved.folder.parent / CURRENT
    if not pointer.exists():
        atomic.write_text(pointer, f"{saved.folder.name}\n")


def peek(folder: Path) -> Checkpoint | None:
    """Return the first checkpoint whose state is readable, its arrays unread; None without one."""
    for step in _steps_in_order(folder)[0]:
        try:
            return read_state(step)
        except BadProject:
            continue
    return None


def remove_after(folder: Path, iteration: int) -> None:
    """Remove the checkpoints of later iterations than `iteration`."""
    for step in _steps(folder):
        if _iteration(step) > iteration:
            atomic.remove_files(step, recorded_files(step))


def _remove_unreached(folder: Path, iteration: int) -> None:
    """Remove checkpoints of this iteration and later ones, but for the current one.

    A run made them that died before it could name them: the one that is being saved began before.
    """
    try:
        current = _current_name(folder)
    except BadData:
        # Nobody can tell which one that was.
        return
    for step in _steps(folder) if current else ():
        if _iteration(step) >= iteration and step.name != current:
            atomic.remove_files(step, recorded_files(step))


def recorded_files(step: Path) -> list[str]:
    """The names of a checkpoint's files, by its own record, which comes last; none without one.

    Of one that cannot be read nobody may remove anything, either.
    """
    try:
        found = data_files.read_json(step / STATE)
        return [*map(str, found["sha256"]), STATE]
    except (BadData, CannotRead, ValueError, KeyError, TypeError):
        return []


def link_files(step: Path, goal: Path) -> None:
    """Put a checkpoint's files into the folder `goal` too, as hard links, or else as copies."""
    # A checkpoint's files are never written again, so that they can be shared.
    for path in step.iterdir():
        if path.name != STATE and path.suffix != ".safetensors":
            continue
        try:
            os.link(path, goal / path.name)
        except OSError:
            shutil.copy2(path, goal / path.name)


def copy_as_current(folder: Path, source: Path) -> Checkpoint:
    """Copy a checkpoint from elsewhere and make it the current one of `folder`; later ones go.

    Raises:
        BadProject: It is damaged.
        CannotWrite: The disk is full, or the place is read-only.
    """
    try:
        found = _verify(source)
    except BadData as error:
        raise BadProject(f"{source}: damaged ({error.reason}). Take another one.") from None
    with atomic.explain_os_errors(folder):
        atomic.remove_partials(folder)
        with atomic.partial_folder(folder / f"{found.iteration:09d}") as partial:
            link_files(source, partial.path)
            final = partial.settle(_free_name(folder, found.iteration))
        atomic.write_text(folder / CURRENT, f"{final.name}\n")
    remove_after(folder, found.iteration)
    return Checkpoint(final, found.iteration, found.state)


def _fill(
    partial: Path,
    iteration: int,
    parts: Mapping[str, Mapping[str, Array]],
    state: Mapping[str, Any],
) -> None:
    hashes = {}
    sums: dict[str, dict[str, int]] = {}
    for part, arrays in parts.items():
        path = partial / f"{part}.safetensors"
        tables.write_tensors(path, arrays)
        hashes[path.name] = _sha256(path)
        sums[path.name] = {
            name: zlib.crc32(np.asarray(array, order="C").data) for name, array in arrays.items()
        }
    written = {
        "schema_version": SCHEMA,
        "iteration": iteration,
        "sha256": hashes,
        "state": state,
        "crc32": sums,
    }
    # The sum is that of the values as they will be read. A number that is none is not among them.
    plain = data_files.parse_json(json.dumps(_without_nan(written)), STATE)
    text = json.dumps({**plain, _SUM: _sum_of(plain)}, indent=1)
    (partial / STATE).write_text(text, encoding="utf-8")
    for path in partial.iterdir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())


def read_state(step: Path) -> Checkpoint:
    """A checkpoint by what it says of itself, its arrays unread.

    Raises:
        BadData: It is not what was written.
        BadProject: It is from a newer version.
    """
    return _to_checkpoint(step, _read_record(step))


def _to_checkpoint(step: Path, record: _Record) -> Checkpoint:
    return Checkpoint(step, record.iteration, record.state.model_dump(exclude_unset=True))


def _read_record(step: Path) -> _Record:
    path = step / STATE
    values = data_files.read_json(path)
    # Those of former versions have no sum. What was changed says nothing, of its version neither.
    if isinstance(values, dict) and values.pop(_SUM, None) not in (None, _sum_of(values)):
        raise data_files.bad_data(path, f"{STATE} is not what was written")
    version = values.get("schema_version") if isinstance(values, dict) else None
    if isinstance(version, int) and version > SCHEMA:
        raise BadProject(
            f"{step}: made by a newer Understudy (layout {version}). Update Understudy."
        )
    try:
        return _Record.model_validate(values)
    except ValidationError as error:
        raise data_files.bad_data(path, data_files.describe_fault(error)) from None


def _sum_of(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _verify(step: Path) -> Checkpoint:
    """A checkpoint after its files were read. Raises BadData, BadProject, as `read_state`."""
    record = _read_record(step)
    for name, expected in record.sha256.items():
        if _sha256(step / name) != expected:
            raise data_files.bad_data(
                step / name, _describe_damage(step / name, record.crc32.get(name, {}))
            )
    return _to_checkpoint(step, record)


def _describe_torn(step: Path, error: BadData) -> str:
    return f"{step}: damaged checkpoint ({error.reason}). An older one is used where there is one."


def _without_nan(values: Any) -> Any:
    if isinstance(values, Mapping):
        return {name: _without_nan(value) for name, value in values.items()}
    if isinstance(values, float) and not math.isfinite(values):
        return None
    return values


def _describe_damage(path: Path, sums: Mapping[str, int]) -> str:
    """What is wrong with a file that is not what was written, and with which of its tensors."""
    try:
        arrays, _ = tables.read_tensors(path)
    except BadData as error:
        return f"{path.name}: {error.reason}"
    for name, expected in sums.items():
        if name not in arrays:
            return f"{path.name}: the tensor {name} is missing"
        if zlib.crc32(np.asarray(arrays[name], order="C").data) != expected:
            return f"{path.name}: the tensor {name} is not what was written"
    return f"{path.name} is not what was written"


def _steps_in_order(folder: Path) -> tuple[list[Path], list[str]]:
    """The checkpoints in `folder`, the current one first, then the newest; and what ails others."""
    if not folder.is_dir():
        return [], []
    name, torn = "", list[str]()
    steps = sorted(_steps(folder), key=lambda path: path.name, reverse=True)
    try:
        name = _current_name(folder)
    except BadData as error:
        torn.append(f"{folder / CURRENT}: {error.reason}. The newest checkpoint is used.")
    if name and name not in {step.name for step in steps}:
        torn.append(f"{folder / CURRENT}: names none that is there. The newest checkpoint is used.")
    return sorted(steps, key=lambda path: path.name == name, reverse=True), torn


def _current_name(folder: Path) -> str:
    """The name of the current checkpoint; empty where none is named. Raises BadData."""
    pointer = folder / CURRENT
    if not os.path.lexists(pointer):
        return ""
    name = data_files.read_bytes(pointer, 4096).decode("ascii", "replace").strip()
    if not name:
        raise data_files.bad_data(pointer, "empty")
    return name


def _steps(folder: Path) -> list[Path]:
    """The checkpoints in `folder`, damaged ones among them; what merely has such a name is none."""
    return [
        path
        for path in folder.iterdir()
        if _NAME.fullmatch(path.name)
        and not atomic.is_link(path)
        and ((path / STATE).is_file() or any(path.glob("*.safetensors")))
    ]


def _iteration(step: Path) -> int:
    return int(step.name.partition("-")[0])


def _free_name(folder: Path, iteration: int) -> Path:
    """A name that sorts behind those of the same iteration."""
    taken = sum(_iteration(step) == iteration for step in _steps(folder))
    name = f"{iteration:09d}"
    while atomic.is_there(folder / name):
        name, taken = f"{iteration:09d}-{taken:03d}", taken + 1
    return folder / name


def _sha256(path: Path) -> str:
    with data_files.open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
