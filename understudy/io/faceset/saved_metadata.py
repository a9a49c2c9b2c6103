"""What the pictures of a faceset say of themselves, saved in a file of JSON, a line a picture.

So the pictures can be edited by tools that drop metadata. The first line tells what it is. Each of
the others has the name of a picture, a small grey picture of it, by which it is known again, and
its metadata as in docs/face-pictures.md.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from understudy.core.image import as_float, resize
from understudy.errors import BadData, BadProject
from understudy.io import atomic, data_files
from understudy.io.faceset.face_image import FaceMetadata
from understudy.types import Bytes, Floats

# Side of the small pictures.
SMALL: Final = 16
# Bytes of a line: a mask alone may take 8 MB.
_LONGEST: Final = 12 << 20


class _Header(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    understudy: Literal["face metadata"] = "face metadata"
    version: Literal[1] = 1


class _Line(BaseModel):
    """A picture, without what it says."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    name: str = Field(max_length=1024)
    picture: str = Field(max_length=4 * SMALL * SMALL)

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        if name in ("", ".", "..") or "/" in name or "\\" in name or "\0" in name:
            raise ValueError("no name of a picture")
        return name

    @property
    def small(self) -> Bytes:
        """(SMALL, SMALL) uint8. Raises ValueError."""
        try:
            data = base64.b64decode(self.picture, validate=True)
        except binascii.Error:
            raise ValueError("not base64") from None
        return np.frombuffer(data, np.uint8).reshape(SMALL, SMALL)


class _Whole(_Line):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    metadata: FaceMetadata


class SavedMetadata:
    """The pictures in such a file.

    names: Of the pictures, in the order of the file.
    """

    def __init__(self, path: Path) -> None:
        """Raises BadProject: missing, or damaged; CannotRead."""
        self.path = path
        self.names, small, self._places = list[str](), list[Bytes](), list[int]()
        try:
            with data_files.open_file(path) as file:
                data_files.parse_json_as(file.readline(_LONGEST), "line 1", _Header)
                place = file.tell()
                while line := file.readline(_LONGEST):
                    where = f"line {len(self.names) + 2}"
                    found = data_files.parse_json_as(line, where, _Line)
                    self.names.append(found.name)
                    small.append(found.small)
                    self._places.append(place)
                    place = file.tell()
        except BadData as error:
            raise BadProject(
                f"{path}: no metadata as faces save-metadata writes it: {error.reason}. Put the"
                " file back from a copy."
            ) from None
        except ValueError:
            raise BadProject(
                f"{path}: damaged in line {len(self.names) + 1}. Put the file back from a copy."
            ) from None
        if len(set(self.names)) < len(self.names):
            raise BadProject(f"{path}: a picture stands in it twice. Take one of both out.")
        self._patterns = _patterns(np.array(small, np.uint8).reshape(-1, SMALL, SMALL))

    def likeness(self, small: Bytes) -> Floats:
        """(N,) the correlation of a small picture with each that was saved; 0 of an even one."""
        return np.asarray(self._patterns @ _patterns(small[None])[0], np.float32)

    def metadata(self, number: int) -> FaceMetadata:
        """What a picture said. Raises BadProject where that line is damaged."""
        try:
            with data_files.open_file(self.path) as file:
                file.seek(self._places[number])
                line = file.readline(_LONGEST)
                return data_files.parse_json_as(line, f"line {number + 2}", _Whole).metadata
        except BadData as error:
            raise BadProject(
                f"{self.path}, line {number + 2} ({self.names[number]}): {error.reason}. Put the"
                " file back from a copy, or take the line out."
            ) from None


@contextlib.contextmanager
def metadata_writer(path: Path) -> Iterator[Callable[[str, Bytes, bytes], None]]:
    """Yield what writes a picture's line; the file is there, whole, when the block ends well.

    It takes the name, grey pixels as `small_picture` gives them, and the metadata as it stands in
    the picture.

    Raises:
        CannotWrite: The disk is full, or the place is read-only.
    """
    with atomic.partial_file(path) as partial, partial.open("wb") as file:
        file.write(_Header().model_dump_json().encode() + b"\n")

        def write(name: str, small: Bytes, block: bytes) -> None:
            picture = base64.b64encode(small.tobytes()).decode("ascii")
            head = json.dumps({"name": name, "picture": picture})
            # The block is ASCII JSON in one line, and stays as it is, to the letter.
            file.write(head[:-1].encode() + b', "metadata": ' + block.strip() + b"}\n")

        yield write


def small_picture(image: Bytes) -> Bytes:
    """Return a picture (H, W, 3) as one of (SMALL, SMALL), grey."""
    grey = np.asarray(image, np.float32).mean(2)
    return np.asarray(np.rint(resize(grey, (SMALL, SMALL))), np.uint8)


def _patterns(small: Bytes) -> Floats:
    """(N, SMALL * SMALL) small pictures, each of mean 0 and length 1; an even one is all 0."""
    flat = as_float(small).reshape(-1, SMALL * SMALL)
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    return flat
