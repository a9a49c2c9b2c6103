"""Files that the system leaves in folders by itself, as somebody looks into them."""

from __future__ import annotations

from typing import Final

_NAMES: Final = frozenset({".ds_store", "thumbs.db", "desktop.ini", ".directory", "icon\r"})


def is_of_system(name: str) -> bool:
    """Whether a file manager made the file of that name: the folder counts as empty with it."""
    return name.lower() in _NAMES or name.startswith("._")
