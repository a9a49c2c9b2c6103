"""What is told of footage when a stage begins with it."""

from __future__ import annotations

from collections.abc import Iterator

from understudy.io.footage.base import Footage
from understudy.stages.events import Note, Warned


def footage_notes(footage: Footage, prefix: str = "") -> Iterator[Note | Warned]:
    """Yield what is missing of the footage as warnings, and what else is odd about it as notes."""
    yield from (Warned(text=prefix + each) for each in footage.warnings)
    yield from (Note(text=prefix + each) for each in footage.notes)
