"""Which person of a side is meant: by number, or by a picture of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from understudy.core.tracking.identity_clusters import match_identity
from understudy.errors import BadOption, NoFaces
from understudy.io.faceset.faceset import Faceset
from understudy.stages.extract.face_analyser import identify_picture, make_embedder
from understudy.stages.extract.options import ExtractOptions
from understudy.stages.extract.people import check_person, known_people, telling_rows
from understudy.stages.project import Project
from understudy.types import Side

# So many pictures of each person are compared.
_PICTURES: Final = 8


def choose_person(
    project: Project,
    side: Side,
    person: int | None,
    like: str | None,
    prefix: str = "",
    choose: Callable[[Faceset], NDArray[np.bool_]] | None = None,
) -> int | None:
    """Return the number of the person that is meant among a side's faces; None = everyone.

    Args:
        project: The show.
        side: Whose faces.
        person: By number.
        like: By the file of a picture; it goes before the number.
        prefix: Of the options' names, for messages: "src-".
        choose: Says which of the faces count, (N,); None = all.

    Raises:
        BadOption: People are not told apart, or there is no such person.
        NoFaces: There are no faces, or nobody looks like the picture.
    """
    if person is None and like is None:
        return None
    faceset = Faceset(project.faces(side))
    if not faceset.is_there or not len(faceset):
        raise NoFaces(
            f"{project.faces(side)}: no faces to choose from. Run: understudy extract"
            f" {project.folder} {side}."
        )
    rows = np.arange(len(faceset)) if choose is None else np.flatnonzero(choose(faceset))
    if like is not None:
        footage = faceset.faces.footage[rows]
        found = [
            _find_like(project, side, faceset, rows[footage == each], like, prefix)
            for each in np.unique(footage)
        ]
        if len(set(found)) > 1:
            raise BadOption(
                f"--{prefix}like: these faces are of several clips, which number their people"
                f" each for itself: {like} is person {', '.join(map(str, sorted(set(found))))}"
                " there. Move the pictures of the others away, and leave this option out."
            )
        return found[0]
    if person is not None:
        check_person(faceset.faces[rows], person, f"--{prefix}person")
    return person


def _find_like(
    project: Project,
    side: Side,
    faceset: Faceset,
    among: NDArray[np.int64],
    like: str,
    prefix: str,
) -> int:
    """The number of the person on a picture, among those rows. Raises as `choose_person`."""
    known = known_people(faceset.faces[among], f"--{prefix}like")
    options = project.options("extract", ExtractOptions()).preset().with_identity()
    wanted = identify_picture(Path(like), options)
    embed = make_embedder(options)
    assert embed is not None
    numbers, vectors = [], []
    for number in known:
        rows = among[faceset.faces.person[among] == number]
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
