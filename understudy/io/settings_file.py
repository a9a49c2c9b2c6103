"""Settings kept as TOML, with the version of their layout."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeVar

import tomli_w
from pydantic import BaseModel, ValidationError

from understudy.errors import BadData, BadProject
from understudy.io import atomic, data_files
from understudy.options import readable

Kind = TypeVar("Kind", bound=BaseModel)


def read(path: Path, kind: type[Kind], newest: int, missing: str) -> Kind:
    """Return the settings in a file.

    missing: the message when it is not there. newest: the last version of the layout that is known.

    Raises:
        BadProject: It is not there, unreadable, or too new.
    """
    try:
        values = data_files.read_toml(path)
    except BadData:
        if os.path.lexists(path):
            raise
        raise BadProject(missing) from None
    version = values.get("schema_version", 0)
    if isinstance(version, int) and version > newest:
        raise BadProject(
            f"{path}: made by a newer Understudy (layout {version}, this one reads {newest})."
            " Update Understudy."
        )
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        reason = readable(error, str(path))
        raise BadData(reason, reason.removeprefix(f"{path}: ").rstrip(".")) from None


def write(path: Path, settings: BaseModel) -> None:
    """Write the settings, all or nothing. What is None is left out: TOML has no word for it."""
    atomic.write_text(path, tomli_w.dumps(_without_none(settings.model_dump(mode="json"))))


def _without_none(values: Any) -> Any:
    if not isinstance(values, dict):
        return values
    return {name: _without_none(value) for name, value in values.items() if value is not None}
