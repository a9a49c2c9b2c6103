"""Where the dst faces of a merge are, frame by frame, ready to be cut out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from understudy.core.face import align
from understudy.core.tracking.smooth import runs, smoothed
from understudy.errors import DegeneratePoints, NoFaces
from understudy.io.faceset.faceset import Faceset
from understudy.types import Doubles, Faces, FaceType, Floats


@dataclass(frozen=True, slots=True)
class Placed:
    """One dst face of a frame.

    row: of the scene's table. run: number of the unbroken run of frames that it belongs to.
    landmarks: (68, 2) in the frame. face_from_frame: (2, 3), or why there is none. before, after:
    that of the same face in the frames around, None where it is not there.
    """

    row: int
    run: int
    person: int
    landmarks: Floats
    face_from_frame: Doubles | str
    before: Doubles | None = None
    after: Doubles | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """Where the dst faces are. faces: (N,), smooth: whether their places are steadied."""

    faces: Faces
    smooth: bool

    @classmethod
    def of(cls, folder: Path, *, smooth: bool) -> Scene:
        """The faces of a faceset. Raises NoFaces."""
        faces = Faceset(folder).faces if folder.is_dir() else Faces.empty()
        if not len(faces):
            raise NoFaces(
                f"{folder}: no dst faces, so there is nothing to replace. Run: understudy extract"
                f" {folder.parent.parent} dst."
            )
        return cls(faces, smooth)

    @property
    def last_frame(self) -> int:
        """The last frame with a face."""
        return int(self.faces.frame.max())

    def placed(self, face_type: FaceType, size: int) -> dict[int, list[Placed]]:
        """The faces of every frame, aligned for a model; those whose points give no alignment carry
        the reason.
        """
        matrices = self._matrices(face_type, size)
        number, around = np.full(len(self.faces), -1), np.full((len(self.faces), 2), -1)
        for run, rows in enumerate(runs(self.faces)):
            number[rows] = run
            around[rows[1:], 0], around[rows[:-1], 1] = rows[:-1], rows[1:]
        places: dict[int, list[Placed]] = {}
        for row, (frame, landmarks) in enumerate(
            zip(self.faces.frame, self.faces.landmarks, strict=True)
        ):
            before, after = (matrices[at] if at >= 0 else None for at in around[row])
            placed = Placed(
                row,
                int(number[row]),
                int(self.faces.person[row]),
                landmarks,
                matrices[row],
                None if isinstance(before, str) else before,
                None if isinstance(after, str) else after,
            )
            places.setdefault(int(frame), []).append(placed)
        return places

    def _matrices(self, face_type: FaceType, size: int) -> list[Doubles | str]:
        """face_from_frame of every row, steadied when that is asked for, or why there is none."""
        matrices: list[Doubles | str] = []
        for landmarks in self.faces.landmarks:
            try:
                matrices.append(align.face_from_frame(landmarks, face_type, size))
            except DegeneratePoints as error:
                matrices.append(str(error))
        good = [row for row, matrix in enumerate(matrices) if not isinstance(matrix, str)]
        if self.smooth and good:
            steady = smoothed(
                np.stack([np.asarray(matrices[row], np.float64) for row in good]),
                self.faces[good],
                size,
            )
            for row, matrix in zip(good, steady, strict=True):
                matrices[row] = matrix
        return matrices
