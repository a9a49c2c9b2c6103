"""`faces convert`: face pictures as PNG or as JPG, with all that they say of themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from understudy.errors import BadMedia
from understudy.io.faceset import face_image, image_metadata
from understudy.io.faceset.faceset import Faceset, names_there
from understudy.io.footage import stills
from understudy.options import Options, option
from understudy.stages.curate.faceset_notes import faceset_notes, reading_events
from understudy.stages.curate.new_pictures import (
    NewFaces,
    NewPicture,
    events_after_change,
    free_names,
    make_pictures,
    picture_key,
    require_made,
)
from understudy.stages.events import Finished, Note, Stage, Warned
from understudy.stages.jobs import verb
from understudy.stages.project import Project
from understudy.types import Side


class ConvertOptions(Options):
    """What `faces convert` asks."""

    format: Literal["png", "jpg"] = option(
        "png", "Kind of file: png loses nothing more, jpg is a fifth as large", usual=True
    )
    jpg_quality: int = option(95, "Quality of jpg", low=1, high=100, usual=True)


@verb
def faces_convert(show: Path, side: Side, *, options: ConvertOptions) -> Stage:
    """Turn the face pictures of a side into PNG or JPG; what they say of themselves stays.

    side: whose faces. The old pictures go to faces_trash; `faces undo` takes it back.
    """
    project = Project.load(show)
    options = project.options("faces_convert", options)
    with project.lock(side) as notes:
        yield from notes
        faceset = Faceset(project.faces(side))
        yield from reading_events(faceset)
        yield from faceset_notes(faceset)
        suffixes = (".png",) if options.format == "png" else (".jpg", ".jpeg")
        paths = faceset.paths
        is_other = np.array([path.suffix.lower() not in suffixes for path in paths], bool)
        rows = np.flatnonzero(is_other).tolist()
        faceset.require_loose(is_other)
        summary = {"faces": len(rows), "as_before": len(paths) - len(rows)}
        if not rows:
            yield Note(text=f"all faces are {options.format} already; nothing to do.")
            return
        if options.format == "jpg":
            yield Warned(
                text=(
                    f"{len(rows)} pictures lose a little by being coded as JPG, and by each time"
                    " that is done again."
                )
            )
        key = picture_key(faceset.names, faceset.facts, "convert", options.model_dump())
        new = NewFaces(faceset.folder, paths, key)
        made = new.open()

        def convert(row: int) -> list[NewPicture]:
            path = paths[row]
            try:
                data = _convert(path, suffixes[0], options.jpg_quality)
            except BadMedia as error:
                return [NewPicture("", b"", path, str(error))]
            return [NewPicture(new.name(row, suffix=suffixes[0]), data, path)]

        left = (row for row in rows if row not in made)
        failed = yield from make_pictures(
            "convert", new.folder, left, convert, total=len(rows), done=len(made)
        )
        if failed is None:
            return
        require_made(faceset.folder, failed)
        replaced = faceset.with_copies(is_other)
        stay = names_there(faceset.folder).difference(path.name for path in replaced)
        goals = free_names(paths, rows, suffixes[0], stay)
        new.put_in_place(f"convert: {len(rows)} faces to {options.format}", goals, replaced)
        yield from events_after_change(faceset)
    yield Finished(stage="faces_convert", summary=summary)


def _convert(path: Path, suffix: str, quality: int) -> bytes:
    """The picture as another kind of file, its metadata to the letter. Raises BadMedia."""
    data = stills.read_bytes(path)
    image, block = face_image.parse(data, path).image, image_metadata.inspect(data, str(path)).block
    assert block is not None
    return image_metadata.insert(stills.encode_image(image, suffix, quality), block)
