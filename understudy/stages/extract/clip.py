"""A footage of a side, and where what is known of it lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from understudy.io.faceset.faceset import Faceset
from understudy.io.footage.fingerprint import FootageFingerprint

# The folder of a side in which each of several clips has one of its own.
CLIPS = "clips"


@dataclass(frozen=True, slots=True)
class Clip:
    """A footage of a side; src may have several, whose pictures lie together.

    footage: where it lies. faces: the folder of the side's pictures. state: the folder of what is
    known of this clip alone: record, what was found, marks, report. is_only: whether the side has
    no other.
    """

    footage: Path
    faces: Path
    state: Path
    is_only: bool = True

    @property
    def name(self) -> str:
        """What tells the clip from others; "" where its state lies in the side's own folder."""
        return self.state.name if self.state.parent.name == CLIPS else ""

    @property
    def label(self) -> str:
        """The side, and of several clips which, for messages and stages: src, src/interview."""
        side = self.faces.parent.name
        return side if self.is_only else f"{side}/{self.name or self.footage.stem}"

    @property
    def prefix(self) -> str:
        """What the names of its pictures begin with, so that those of two clips never clash."""
        return f"{self.name}_" if self.name else ""

    def own_faces(self, *sources: FootageFingerprint) -> Faceset:
        """The side's faces that are of this clip. sources: as it is, or was.

        Those that do not say of which footage they are count as its own, too, where it is the only
        one; of several clips they go by the name of its file.

        Raises BadMedia where a picture in the folder is no face of ours.
        """
        faceset = Faceset(self.faces)
        keys = {each.key for each in sources}
        if self.is_only:
            others = [at for at, each in enumerate(faceset.footages) if each.key not in {"", *keys}]
            rows = ~np.isin(faceset.faces.footage, others)
        else:
            ours = [
                at
                for at, each in enumerate(faceset.footages)
                if each.key in keys or (not each.key and each.name == self.footage.name)
            ]
            rows = np.isin(faceset.faces.footage, ours)
        return faceset if rows.all() else faceset.select(rows)
