"""The order and the groups that a faceset was sorted into: `order.json` beside its folder."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    ValidationInfo,
    field_validator,
)

from understudy.errors import BadData, BadProject
from understudy.io import atomic, data_files


def _read_name(name: object) -> object:
    if isinstance(name, str) and name.startswith(_ODD):
        return os.fsdecode(unquote_to_bytes(name.removeprefix(_ODD)))
    return name


def _write_name(name: str) -> str:
    if name.isprintable():
        return name
    # Half of a character, which a name may hold, is no JSON.
    return _ODD + quote_from_bytes(os.fsencode(name), safe="")


# How a name begins that is written as in addresses: no name of a file does.
_ODD: Final = "//"
FileName = Annotated[str, BeforeValidator(_read_name), PlainSerializer(_write_name)]


class OrderedFace(BaseModel):
    """A picture in its place. group: its name, "" = in none. reason: why it could not be sorted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: FileName
    value: float | None = None
    group: str = ""
    is_chosen: bool = True
    reason: str = ""


class FaceOrder(BaseModel):
    """What a sort gave. by: the sorter. options: its settings. faces: in their order.

    followed: which renames of pictures it took over last, so that none is taken over twice.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    by: str
    options: dict[str, object] = {}
    faces: tuple[OrderedFace, ...]
    followed: str = ""

    @field_validator("faces")
    @classmethod
    def _each_once(
        cls, faces: tuple[OrderedFace, ...], info: ValidationInfo
    ) -> tuple[OrderedFace, ...]:
        if len({face.name for face in faces}) < len(faces):
            raise ValueError("a picture stands in it twice")
        return faces

    def rows(self, names: list[str]) -> NDArray[np.int64]:
        """The rows of `names` in this order; pictures that it does not know come last."""
        place = {face.name: at for at, face in enumerate(self.faces)}
        keys = np.array([place.get(name, len(place)) for name in names], np.int64)
        return np.argsort(keys, kind="stable").astype(np.int64)

    def renamed(self, names: Mapping[str, str], key: str) -> FaceOrder:
        """The same order of pictures that are called otherwise now.

        names: the new ones by the old. key: of these renames.
        """
        # A picture that is gone may have had a name that another has now.
        taken = set(names.values())
        faces = tuple(
            face.model_copy(update={"name": names.get(face.name, face.name)})
            for face in self.faces
            if face.name in names or face.name not in taken
        )
        return self.model_copy(update={"faces": faces, "followed": key})


def order_path(folder: Path) -> Path:
    """Where the order of the faces in `folder` is kept."""
    return folder.with_name("order.json")


def load_order(folder: Path) -> FaceOrder | None:
    """The order that the faces in `folder` were sorted into; None where they never were.

    Raises BadProject where it is damaged.
    """
    path = order_path(folder)
    if not atomic.is_there(path):
        return None
    try:
        return data_files.read_json_as(path, FaceOrder)
    except BadData as error:
        raise BadProject(f"{path}: {error.reason}. Delete it, and sort the faces again.") from None


def follow_renames(folder: Path, names: Mapping[str, str], key: str) -> None:
    """Take renames of the pictures in `folder` over into its order; once, however often it is told.

    names: the new ones by the old. key: of these renames. A damaged order stays as it is: who asks
    for it is told. Raises CannotWrite.
    """
    try:
        order = load_order(folder)
    except BadProject:
        return
    if order is not None and order.followed != key:
        save_order(folder, order.renamed(names, key))


def forget_faces(folder: Path, names: Collection[str]) -> None:
    """Take pictures in `folder` out of its order: others may get these names.

    A damaged order stays as it is: who asks for it is told. Raises CannotWrite.
    """
    try:
        order = load_order(folder)
    except BadProject:
        return
    if order is None:
        return
    faces = tuple(face for face in order.faces if face.name not in names)
    if len(faces) < len(order.faces):
        save_order(folder, order.model_copy(update={"faces": faces}))


def save_order(folder: Path, order: FaceOrder) -> None:
    """Keep the order beside `folder`, all or nothing. Raises CannotWrite."""
    atomic.write_text(order_path(folder), order.model_dump_json())
