"""Which person of a side is meant: by number, or by a picture of them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from understudy.core.tracking.identity_clusters import match_identity
from understudy.errors import NoFaces
from understudy.io.faceset.faceset import Faceset
from understudy.stages.extract.face_analyser import identify_picture, make_embedder
from understudy.stages.extract.options import ExtractOptions
from understudy.stages.extract.people import check_person, known_people, telling_rows
from understudy.stages.project import Project
from understudy.types import Side

# So many pictures of each person are compared.
_PICTURES: Final = 8


def choose_person(
    project: Project, side: Side, person: int | None, like: str | None, prefix: str = ""
) -> int | None:
    """Return the number of the person that is meant among a side's faces; None = everyone.

    Args:
        project: The show.
        side: Whose faces.
        person: By number.
        like: By the file of a picture; it goes before the number.
        prefix: Of the options' names, for messages: "src-".

    Raises:
        BadOption: People are not told apart, or there is no such person.
        NoFaces: There are no faces, or nobody looks like the picture.
    """
    if person is None and like is None:
        return None
    faceset = Faceset(project.faces(side))
    if not project.faces(side).is_dir() or not len(faceset):
        raise NoFaces(
            f"{project.faces(side)}: no faces to choose from. Run: understudy extract"
            f" {project.folder} {side}."
        )
    if like is not None:
        return _find_like(project, side, faceset, like, prefix)
    if person is not None:
        check_person(faceset.faces, person, f"--{prefix}person")
    return person


def _find_like(project: Project, side: Side, faceset: Faceset, like: str, prefix: str) -> int:
    """The number of the person on a picture. Raises as `choose_person`."""
    known = known_people(faceset.faces, f"--{prefix}like")
    options = project.options("extract", ExtractOptions()).preset().with_identity()
    wanted = identify_picture(Path(like), options)
    embed = make_embedder(options)
    assert embed is not None
    numbers, vectors = [], []
    for number in known:
        rows = np.flatnonzero(faceset.faces.person == number)
        for row in telling_rows(rows, faceset.faces, _PICTURES):
            face = faceset.load(int(row))
            numbers.append(number)
            vectors.append(embed(face.image, face.landmarks))
    found: int | None = match_identity(np.array(numbers), np.stack(vectors), wanted)
    if found is None:
        raise NoFaces(
            f"{like}: nobody among {side}'s faces looks like this. Choose by number"
            f" (--{prefix}person); the report of extract shows them."
        )
    return found
