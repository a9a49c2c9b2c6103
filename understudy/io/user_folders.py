"""Folders of the user that outlive a show: a cache, and data that must not be lost."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

_APP: Final = "understudy"


def cache_folder(name: str) -> Path:
    """Return the folder `name` for what can be fetched again; it may not exist yet."""
    # Late: most commands look for neither weights nor keys.
    import platformdirs

    folder = platformdirs.user_cache_path(_APP, appauthor=False, opinion=False) / name
    return _in_use(folder, "Library/Caches", "AppData/Local")


def data_folder(name: str) -> Path:
    """Return the folder `name` for what must not be lost; it may not exist yet."""
    import platformdirs

    folder = platformdirs.user_data_path(_APP, appauthor=False) / name
    return _in_use(folder, "Library/Application Support", ".local/share")


def _in_use(folder: Path, mac: str, windows: str) -> Path:
    """The folder, or the one that earlier versions took where only that one exists.

    They knew no XDG variables on macOS, and only the variable LOCALAPPDATA on Windows. mac,
    windows: where they looked below the user's home.
    """
    bases = {
        "darwin": Path.home() / mac,
        "win32": Path(os.environ.get("LOCALAPPDATA") or Path.home() / windows),
    }
    if sys.platform in bases:
        former = bases[sys.platform] / _APP / folder.name
        if former.exists() and not folder.exists():
            return former
    return folder
