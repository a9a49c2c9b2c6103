"""A footage of a side, and where what is known of it lies."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from understudy.io.faceset.faceset import Faceset
from understudy.io.footage.fingerprint import FootageFingerprint

# The folder of a side in which each of several clips has one of its own.
CLIPS = "clips"
# Of a clip's folder, in bytes: names of pictures begin with it, and so do lines of progress.
_LONGEST = 24


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
        return side if self.is_only else f"{side}/{self.name or plain_name(self.footage)}"

    @property
    def prefix(self) -> str:
        """What the names of its pictures begin with, so that those of two clips never clash."""
        return f"{self.name}_" if self.name else ""

    def own_faces(self, *sources: FootageFingerprint) -> Faceset:
        """The side's faces that are of this clip, as `own_rows`.

        Raises BadMedia where a picture in the folder is no face of ours.
        """
        faceset = Faceset(self.faces)
        rows = self.own_rows(faceset, *sources)
        return faceset if rows.all() else faceset.select(rows)

    def own_rows(self, faceset: Faceset, *sources: FootageFingerprint) -> NDArray[np.bool_]:
        """(N,) which of the side's faces are of this clip. sources: as it is, or was.

        Those of former versions, which say only its name, count as its own, too, where it is the
        only one; of several clips they go by that name. Those that say nothing came from elsewhere.
        """
        keys = {each.key for each in sources}
        ours = [
            at
            for at, each in enumerate(faceset.footages)
            if each.key in keys
            or (not each.key and (self.is_only or each.name == self.footage.name))
        ]
        return np.isin(faceset.faces.footage, ours)


def plain_name(footage: Path) -> str:
    """The name of a footage as one that any file system takes, and no longer than is handy."""
    name = footage.name if footage.is_dir() else footage.stem
    plain = re.sub(r"(?:[^\w.]|_)+", "-", name).strip("-.")
    return plain.encode()[:_LONGEST].decode(errors="ignore").rstrip("-.") or "clip"
