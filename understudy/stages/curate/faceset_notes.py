"""What is told of a faceset when a stage begins with it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from understudy.io.faceset import face_image
from understudy.io.faceset.faceset import Faceset
from understudy.io.faceset.journal import Journal
from understudy.printable import name_alike, name_some, pluralize
from understudy.stages.events import Event, Finished, Note, Progress, Started, Warned

# Seconds that pass without a word.
_MOMENT: Final = 1.0


def reading_events(faceset: Faceset) -> Iterator[Event]:
    """Read the table of a faceset now; tell how far where that takes more than a moment."""
    began, is_told = time.monotonic(), False
    for done, total in faceset.reading():
        if not is_told and time.monotonic() - began > _MOMENT:
            yield Started(stage="read", total=total, done=done, unit="face")
            is_told = True
        if is_told:
            yield Progress(stage="read", done=done, total=total)
    if is_told:
        yield Finished(stage="read")


def faceset_notes(faceset: Faceset) -> Iterator[Note]:
    """Yield how many pictures are passed over as copies of others, and which of them differ.

    And how many have an identity that cannot be compared with that of most. Where a run was killed
    while it changed the set, that is told first.
    """
    side = faceset.folder.parent
    if (step := Journal(side).unfinished()) is not None:
        yield Note(
            text=(
                f"{faceset.folder}: a change of these faces was cut short ({step.what}), so they"
                f" are partly as before. To take it back: understudy faces undo {side.parent}"
                f" {side.name}"
            )
        )
    if others := int(faceset.other_identities.sum()):
        yield Note(
            text=(
                f"{side.name}: {pluralize(others, 'face')} with an identity of another length than"
                " most have, by another network: these cannot be compared, and count as not known."
            )
        )
    copies = [(path, other) for path, others in faceset.copies.items() for other in others]
    if not copies:
        return
    names = name_some([other.name for _, other in copies])
    yield Note(
        text=(
            f"{faceset.folder.parent.name}/{faceset.folder.name}: passed over as copies (same"
            f" footage, frame and place as another), {pluralize(len(copies), 'picture')}: {names}."
        )
    )
    differing = [other.name for path, other in copies if _outlines(path) != _outlines(other)]
    if differing:
        yield Note(
            text=(
                "of these have other polygons than the one that counts:"
                f" {name_some(differing)}. Delete those that you do not want."
            )
        )


def unreadable_warnings(faceset: Faceset) -> Iterator[Warned]:
    """Yield which files of a set that is read tolerantly are left out, and why."""
    if reasons := faceset.unreadable:
        yield Warned(text=f"left out: {name_alike(reasons.items())}")


def _outlines(path: Path) -> tuple[face_image.PolygonRecord, ...]:
    return face_image.read_metadata(path)[0].polygons
