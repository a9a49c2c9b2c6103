"""The numbers in a .bin file of ncnn: the weights of a network, without its graph."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from understudy.errors import WeightsMissing
from understudy.types import Floats

Shape = tuple[int, ...]


def read_tensors(path: Path, shapes: Mapping[str, Shape]) -> dict[str, Floats]:
    """Return the tensors of these names and shapes, in whose order they lie in the file.

    Kernels (four axes) begin with a mark of their kind of number, float16 or float32; all else is
    float32. Nothing may be left over.

    Returns:
        float32 arrays by name.

    Raises:
        WeightsMissing: Names the tensor that does not fit.
    """
    data, place, found = path.read_bytes(), 0, {}
    for name, shape in shapes.items():
        kind: np.dtype[np.generic] = np.dtype("<f4")
        if len(shape) == 4:
            kind, place = _number_type(data, place, path, name), place + 4
        count = math.prod(shape)
        if place + count * kind.itemsize > len(data):
            raise WeightsMissing(f"{path}: ends within '{name}'. {_ADVICE}")
        values = np.frombuffer(data, kind, count, place).astype(np.float32).reshape(shape)
        if not np.isfinite(values).all():
            raise WeightsMissing(f"{path}: '{name}' holds values that are not numbers. {_ADVICE}")
        found[name] = values
        # What follows begins at a multiple of four bytes.
        place += -(-count * kind.itemsize // 4) * 4
    if place != len(data):
        raise WeightsMissing(
            f"{path}: {len(data) - place} bytes more than this network has. {_ADVICE}"
        )
    return found


def _number_type(data: bytes, place: int, path: Path, name: str) -> np.dtype[np.generic]:
    if place + 4 > len(data):
        raise WeightsMissing(f"{path}: ends before '{name}'. {_ADVICE}")
    (mark,) = struct.unpack_from("<I", data, place)
    if mark not in _KINDS:
        raise WeightsMissing(
            f"{path}: '{name}' is packed in a way that is not read here (mark {mark:#x}). {_ADVICE}"
        )
    return np.dtype(_KINDS[mark])


_ADVICE: Final = "This is not the file for this network; remove it."
_KINDS: Final = {0x01306B47: "<f2", 0: "<f4"}
