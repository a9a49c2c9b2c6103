"""What is told of a faceset when a stage begins with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from understudy.io.faceset import face_image
from understudy.io.faceset.faceset import Faceset
from understudy.printable import name_some
from understudy.stages.events import Note


def faceset_notes(faceset: Faceset) -> Iterator[Note]:
    """Yield how many pictures are passed over as copies of others, and which of them differ."""
    copies = [(path, other) for path, others in faceset.copies.items() for other in others]
    if not copies:
        return
    names = name_some([other.name for _, other in copies])
    yield Note(
        text=(
            f"{faceset.folder.parent.name}/{faceset.folder.name}: {len(copies)} face pictures are"
            f" passed over as copies (same footage, frame and place as another): {names}."
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


def _outlines(path: Path) -> tuple[face_image.PolygonRecord, ...]:
    return face_image.read_metadata(path)[0].polygons
