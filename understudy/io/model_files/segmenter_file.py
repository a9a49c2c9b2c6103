"""The file of a segmenter: its weights, and in the same file what they are for."""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, get_args

import numpy as np
from pydantic import BaseModel, Field, TypeAdapter, ValidationError, field_validator

from understudy.errors import BadData, BadProject, WeightsMissing
from understudy.io import atomic, data_files, tables
from understudy.types import Array, FaceType

SCHEMA, SUFFIX = 1, ".safetensors"
# Those whose square stands upright with the face: only between them can a mask be carried over.
FACE_TYPES: Final = tuple(
    each for each in get_args(FaceType) if each not in ("no-align", "mark-only")
)


class _About(BaseModel):
    """What a segmenter's file says of itself; its notes are texts."""

    schema_version: Annotated[int, Field(ge=1, le=SCHEMA)] = SCHEMA
    kind: str
    face_type: FaceType
    resolution: Annotated[int, Field(ge=16, le=4096)]
    origin: str
    crc32: str

    @field_validator("face_type")
    @classmethod
    def _stands_upright(cls, name: FaceType) -> FaceType:
        if name not in FACE_TYPES:
            raise ValueError("no face type of a segmenter")
        return name


_SUMS: Final = TypeAdapter(dict[str, int])


@dataclass(frozen=True, slots=True)
class SegmenterFile:
    """A segmenter as it is kept at `path`.

    kind: its name in the registry of segmenters. face_type: what the pictures show that it learnt
    from. resolution: side of the pictures that it sees, in pixels. origin: where it came from, in
    words. tensors: its weights.
    """

    path: Path
    kind: str
    face_type: FaceType
    resolution: int
    origin: str
    tensors: dict[str, Array]


def write(segmenter: SegmenterFile) -> None:
    """Write the segmenter to its path, all or nothing. Raises CannotWrite."""
    path = segmenter.path
    tensors = {
        name: np.asarray(array, np.float32, order="C") for name, array in segmenter.tensors.items()
    }
    about = {
        "schema_version": str(SCHEMA),
        "kind": segmenter.kind,
        "face_type": segmenter.face_type,
        "resolution": str(segmenter.resolution),
        "origin": segmenter.origin,
        "crc32": json.dumps({name: zlib.crc32(array.data) for name, array in tensors.items()}),
    }
    with atomic.partial_path(path) as partial:
        tables.write_tensors(partial, tensors, about)


def read(path: Path) -> SegmenterFile:
    """The segmenter at `path`, every tensor as it was written.

    Raises WeightsMissing, naming the tensor that is damaged or not there; BadProject for a file
    from a newer version.
    """
    try:
        tensors, notes = tables.read_tensors(path)
        version = notes.get("schema_version", "")
        if re.fullmatch("[0-9]{1,9}", version) and int(version) > SCHEMA:
            raise BadProject(
                f"{path}: made by a newer Understudy (layout {version}). Update Understudy."
            )
        about = _About.model_validate(notes)
        sums = data_files.parse_json_as(about.crc32, str(path), _SUMS)
    except (BadData, ValidationError) as error:
        reason = error.reason if isinstance(error, BadData) else data_files.describe_fault(error)
        raise WeightsMissing(
            f"{path}: not the file of a segmenter, or a damaged one ({reason}). {_AGAIN}"
        ) from None
    for name in sorted({*sums, *tensors}):
        problem = _problem(tensors.get(name), sums.get(name))
        if problem:
            raise WeightsMissing(f"{path}: the tensor {name} {problem}. {_AGAIN}")
    return SegmenterFile(path, about.kind, about.face_type, about.resolution, about.origin, tensors)


def _problem(array: Array | None, expected: int | None) -> str:
    if array is None:
        return "is missing"
    if array.dtype != np.float32 or not np.isfinite(array).all():
        return "holds values that are not numbers"
    return (
        ""
        if zlib.crc32(np.ascontiguousarray(array).data) == expected
        else "is not what was written"
    )


_AGAIN: Final = "Remove it and import it again: understudy trained import SHOW PATH."
