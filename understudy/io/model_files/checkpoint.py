"""Checkpoints: arrays and state as one step, whole or not there, as safetensors and JSON."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from understudy.errors import BadData, BadProject, CannotWrite
from understudy.io import atomic, data_files
from understudy.types import Array

SCHEMA = 1
STATE, CURRENT = "state.json", "current"
_NAME = re.compile(r"(\d{9,})(-\d{3,})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One saved step. state: plain values; its arrays are read on demand."""

    folder: Path
    iteration: int
    state: dict[str, Any]

    def arrays(self, part: str) -> dict[str, Array]:
        """The arrays of a part ("weights", "optimizer") by name."""
        found: dict[str, Array] = load_file(self.folder / f"{part}.safetensors")
        return found

    def has(self, part: str) -> bool:
        """Whether it has such a part."""
        return (self.folder / f"{part}.safetensors").is_file()


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
    """
    if not folder.is_dir():
        return [], []
    pointer = folder / CURRENT
    current = pointer.read_text(encoding="utf-8").strip() if pointer.is_file() else ""
    whole, torn = [], []
    for step in sorted(
        _steps(folder), key=lambda path: (path.name == current, path.name), reverse=True
    ):
        try:
            whole.append(_verify(step))
        except (BadData, OSError, ValueError, KeyError, TypeError) as error:
            torn.append(
                f"{step}: damaged checkpoint ({error}). An older one is used where there is one."
            )
    return whole, torn


def peek(folder: Path) -> Checkpoint | None:
    """Return the current checkpoint, its arrays unread; None where its state is unreadable."""
    try:
        step = folder / (folder / CURRENT).read_text(encoding="utf-8").strip()
        found = data_files.read_json(step / STATE)
        return Checkpoint(step, int(found["iteration"]), dict(found["state"]))
    except (BadData, OSError, ValueError, KeyError, TypeError):
        return None


def remove_after(folder: Path, iteration: int) -> None:
    """Remove the checkpoints of later iterations than `iteration`."""
    for step in _steps(folder):
        if _iteration(step) > iteration:
            atomic.remove_files(step, recorded_files(step))


def recorded_files(step: Path) -> list[str]:
    """The names of a checkpoint's files, by its own record, which comes last; none without one."""
    try:
        found = data_files.read_json(step / STATE)
        return [*map(str, found["sha256"]), STATE]
    except (BadData, ValueError, KeyError, TypeError):
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
    except (BadData, OSError, ValueError, KeyError, TypeError) as error:
        raise BadProject(f"{source}: damaged ({error}). Take another one.") from None
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
        try:
            # asarray: ascontiguousarray would give a single number a dimension.
            save_file({name: np.asarray(array, order="C") for name, array in arrays.items()}, path)
        except SafetensorError as error:
            raise CannotWrite(
                f"{path}: not written: {error}. Free some space, or choose another disk, and go on."
            ) from error
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
    (partial / STATE).write_text(json.dumps(written, indent=1), encoding="utf-8")
    for path in partial.iterdir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())


def _verify(step: Path) -> Checkpoint:
    found = data_files.read_json(step / STATE)
    if found["schema_version"] > SCHEMA:
        raise BadProject(
            f"{step}: made by a newer Understudy (layout {found['schema_version']}). Update"
            " Understudy."
        )
    for name, expected in found["sha256"].items():
        if _sha256(step / name) != expected:
            raise ValueError(_describe_damage(step / name, found.get("crc32", {}).get(name, {})))
    return Checkpoint(step, int(found["iteration"]), dict(found["state"]))


def _describe_damage(path: Path, sums: Mapping[str, int]) -> str:
    """What is wrong with a file that is not what was written, and with which of its tensors."""
    try:
        arrays = load_file(path)
    except SafetensorError as error:
        return f"{path.name} is not readable: {error}"
    for name, expected in sums.items():
        if name not in arrays:
            return f"{path.name}: the tensor {name} is missing"
        if zlib.crc32(np.asarray(arrays[name], order="C").data) != expected:
            return f"{path.name}: the tensor {name} is not what was written"
    return f"{path.name} is not what was written"


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
    while os.path.lexists(folder / name):
        name, taken = f"{iteration:09d}-{taken:03d}", taken + 1
    return folder / name


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
