"""The order and the groups that a faceset was sorted into: `order.json` beside its folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from understudy.errors import BadData, BadProject
from understudy.io import atomic, data_files


class OrderedFace(BaseModel):
    """A picture in its place. group: its name, "" = in none. reason: why it could not be sorted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    value: float | None = None
    group: str = ""
    is_chosen: bool = True
    reason: str = ""


class FaceOrder(BaseModel):
    """What a sort gave. by: the sorter. options: its settings. faces: in their order."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    by: str
    options: dict[str, object] = {}
    faces: tuple[OrderedFace, ...]

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


def save_order(folder: Path, order: FaceOrder) -> None:
    """Keep the order beside `folder`, all or nothing. Raises CannotWrite."""
    atomic.write_text(order_path(folder), order.model_dump_json())
