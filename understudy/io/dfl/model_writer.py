"""Writes models as the trainer of DeepFaceLab 2 keeps them: what each says of itself, and weights.

They are the only pickles that are written here; see `plain_pickle` for what can be in them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from understudy.errors import CannotWrite
from understudy.io import atomic
from understudy.io.dfl import plain_pickle, safe_pickle
from understudy.types import Array

# The arrays of a file by name, each made when it is its turn, so that no two are held at once.
MakeArrays = Callable[[], Iterator[tuple[str, Array]]]


def write_model(
    folder: Path, label: str, told: Mapping[str, Any], parts: Mapping[str, MakeArrays]
) -> None:
    """Write the files of a model into a folder, where others may lie: all of them, or none.

    Args:
        folder: Where; it is made where it is not there.
        label: The beginning of the files' names.
        told: What the model says of itself, plain values.
        parts: What makes the arrays of each weight file, by the end of its name.

    Raises:
        CannotWrite: The disk is full, or the place is read-only; or what was written reads back as
            something else.
    """
    with contextlib.ExitStack() as held:
        # The first file takes its place last: without it the others are no model yet.
        data = held.enter_context(atomic.partial_file(folder / f"{label}_data.dat"))
        with data.open("wb") as file:
            plain_pickle.dump(dict(told), file)
        for part, make in parts.items():
            partial = held.enter_context(atomic.partial_file(folder / f"{label}_{part}.npy"))
            with partial.open("wb") as file:
                plain_pickle.dump_arrays(make(), file)
            _check(partial, folder / f"{label}_{part}.npy", make())


def _check(partial: Path, final: Path, arrays: Iterator[tuple[str, Array]]) -> None:
    """Raise CannotWrite where a file does not hold these arrays, bit for bit."""
    found = safe_pickle.loads(safe_pickle.read_file(partial), str(final))
    assert isinstance(found, dict)
    for name, array in arrays:
        held = found.get(name)
        if not isinstance(held, np.ndarray) or not _is_same(held, array):
            raise CannotWrite(
                f"{final}: read back, {name} is another than was written. The file was not kept."
                " Check the disk, and try again."
            )


def _is_same(one: Array, other: Array) -> bool:
    """Whether two arrays are equal bit for bit."""
    return (
        one.shape == other.shape
        and one.dtype == other.dtype
        and bool(np.array_equal(_bits(one), _bits(other)))
    )


def _bits(array: Array) -> Array:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def file_names(label: str, parts: Mapping[str, MakeArrays]) -> Iterator[str]:
    """The names of the files of a model."""
    yield f"{label}_data.dat"
    yield from (f"{label}_{part}.npy" for part in parts)
