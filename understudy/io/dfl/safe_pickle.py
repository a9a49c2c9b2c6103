"""Pickles of another tool, read when they hold plain values and arrays of numbers alone.

Python's own unpickler calls what a file tells it to call. `pickle_vm` knows the format but cannot
call anything: it builds values, and a name that is not of numpy's arrays ends it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from understudy.errors import BadMedia
from understudy.io.dfl.pickle_vm import (
    ATOMS,
    PendingArray,
    PendingDtype,
    PickleMachine,
    UnsafePickle,
)
from understudy.types import Array

# Values lie at most so deep, and are at most so many times as many as the orders that build them:
# beyond lies only malice.
MAX_DEPTH, MAX_EXPANSION = 64, 10
MAX_BYTES: Final = 16 << 30


def loads(data: bytes, source: str) -> object:
    """Return what a pickle holds: plain values, containers, arrays and scalars of numpy.

    Arrays share the memory of `data` or of each other: they are read-only. Nothing is ever run.
    source: where it is from, for the message.

    Raises:
        BadMedia: It holds anything else.
    """
    machine = PickleMachine(allowance=4 * len(data) + 1024)
    try:
        held = machine.run(data)
        return _Tree(MAX_EXPANSION * machine.orders + 1000).of(held)
    except UnsafePickle as error:
        raise BadMedia(
            f"{source}: holds {error}, and only plain values and arrays of numbers are read."
            " Nothing in it was run. Take the file from a source that you trust."
        ) from None
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        OverflowError,
        MemoryError,
        DeprecationWarning,
    ) as error:
        raise BadMedia(
            f"{source}: not a pickle, or a damaged one ({error}). Copy the file again."
        ) from None


def load_arrays(path: Path) -> dict[str, Array]:
    """Return the named arrays of a weight file of DeepFaceLab 2, in the file's order.

    Such a file is called .npy, but is a pickled dict.

    Returns:
        float16, float32 or float64 arrays, all finite.

    Raises:
        BadMedia: It is none.
    """
    held = loads(read_file(path), str(path))
    if not isinstance(held, dict) or not held:
        raise BadMedia(
            f"{path}: no named arrays in it, so no weights of DeepFaceLab 2. Give the file that its"
            " trainer saved."
        )
    found: dict[str, Array] = {}
    for name, array in held.items():
        if (
            not isinstance(name, str)
            or not isinstance(array, np.ndarray | np.generic)
            or array.dtype.kind != "f"
        ):
            raise BadMedia(
                f"{path}: {name!r:.80} is not an array of floats. Give the file that DeepFaceLab's"
                " trainer saved."
            )
        if not np.isfinite(array).all():
            raise BadMedia(
                f"{path}: the tensor {name!r:.80} holds values that are not numbers. Take an older"
                " backup of the model."
            )
        found[name] = np.asarray(array)
    return found


def read_file(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises:
        BadMedia: It is not there, not readable, or larger than any model.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise BadMedia(
                f"{path}: {size >> 30} GB, larger than any model. Give the file that DeepFaceLab's"
                " trainer saved."
            )
        return path.read_bytes()
    except OSError as error:
        raise BadMedia(f"{path}: not readable: {error.strerror}. Check the path.") from None


class _Tree:
    """What was built, as real values. left: how many of them it may still have."""

    def __init__(self, left: int) -> None:
        self.left = left

    def of(self, held: object, depth: int = 0) -> object:
        self.left -= 1
        if self.left < 0 or depth > MAX_DEPTH:
            raise UnsafePickle("values nested beyond measure")
        if type(held) in ATOMS or isinstance(held, np.generic):
            return held
        if isinstance(held, list | tuple | set | frozenset):
            return type(held)([self.of(each, depth + 1) for each in held])
        if isinstance(held, dict):
            return {key: self.of(value, depth + 1) for key, value in held.items()}
        if isinstance(held, PendingArray) and held.array is not None:
            return held.array
        if isinstance(held, PendingDtype):
            return held.dtype()
        raise ValueError("an array or a name that is left unfinished")
