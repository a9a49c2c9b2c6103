"""The masks that somebody drew on dst's faces, ready for a merge."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from understudy.core import affine
from understudy.core.face.mask import baked
from understudy.errors import BadOption
from understudy.io.faceset.faceset import Faceset
from understudy.parts.maskers.polygons import DRAWN
from understudy.types import Doubles, Floats, Polygon


@dataclass(frozen=True, slots=True)
class Painted:
    """What was drawn on the faces of a faceset. polygons: of each row, in pixels of its frame."""

    polygons: tuple[tuple[Polygon, ...], ...]

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Of the faceset in `folder`. Raises BadOption when nothing is drawn on any of its
        faces.
        """
        found = tuple(Faceset(folder).polygons)
        if not any(found):
            raise BadOption(
                f"{folder}: --masks {DRAWN} was asked for, and no face has polygons. Draw some"
                " (docs/face-pictures.md), or take other --masks."
            )
        return cls(found)

    def mask(self, row: int, face_from_frame: Doubles, size: int) -> Floats | None:
        """Those of a row in a face square of side `size`, (size, size) float32 in 0..1; None where
        nobody drew.
        """
        moved = [
            replace(each, points=affine.apply(face_from_frame, each.points).astype(np.float32))
            for each in self.polygons[row]
        ]
        return baked(moved, (size, size)) if moved else None
