"""Where the dst faces of a merge are, frame by frame, and what was drawn on them by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from understudy.core import affine
from understudy.core.face import align
from understudy.core.face.mask import polygon_mask
from understudy.core.tracking.smooth import find_runs, smooth_alignment
from understudy.core.training.augment import AugmentConfig
from understudy.errors import BadOption, DegeneratePoints, NoFaces
from understudy.io.faceset.faceset import Faceset
from understudy.parts.maskers.polygons import DRAWN
from understudy.parts.models import ModelOptions
from understudy.stages.extract.people import check_person, telling_rows
from understudy.stages.merge.appearance import PICTURES
from understudy.types import Doubles, Faces, FaceType, Floats, Polygon


@dataclass(frozen=True, slots=True)
class FacePlacement:
    """One dst face of a frame.

    run: number of the unbroken run of frames that it belongs to. landmarks: (68, 2) in the frame.
    face_from_frame: (2, 3), or why there is none. before, after: that of the same face in the
    frames around, None where it is not there. polygons: drawn by hand, in pixels of the frame.
    pictures: face pictures that tell how it looks. room: (2, 3), how the face was moved so that
    its square holds all of it, see `align.make_room`; None = not at all. is_cut: whether the chin
    is still outside.
    """

    run: int
    person: int
    landmarks: Floats
    face_from_frame: Doubles | str
    before: Doubles | None = None
    after: Doubles | None = None
    polygons: tuple[Polygon, ...] = ()
    pictures: tuple[Path, ...] = ()
    room: Doubles | None = None
    is_cut: bool = False

    def drawn_mask(self, size: int) -> Floats | None:
        """Return the mask drawn by hand, in the face square.

        Args:
            size: side of the square in pixels.

        Returns:
            (size, size) float32 in 0..1; None where nobody drew.
        """
        if not self.polygons or isinstance(self.face_from_frame, str):
            return None
        moved = [
            replace(each, points=affine.apply(self.face_from_frame, each.points).astype(np.float32))
            for each in self.polygons
        ]
        return polygon_mask(moved, (size, size))

    def second_field(self) -> Doubles | None:
        """Return how the face moves until half a frame later, (2, 3) later_from_now.

        None where that is not known.
        """
        if isinstance(self.face_from_frame, str) or (self.before is None and self.after is None):
            return None
        now = affine.invert(self.face_from_frame)
        if self.after is not None:
            half = (affine.invert(self.after) - now) / 2
        else:
            half = (now - affine.invert(np.asarray(self.before))) / 2
        return affine.compose(now + half, self.face_from_frame)


@dataclass(frozen=True, slots=True)
class DstFaces:
    """The faces of a faceset, (N,).

    polygons: drawn on each; () where they are not asked for. paths: their pictures; () = none.
    """

    faces: Faces
    polygons: tuple[tuple[Polygon, ...], ...]
    paths: tuple[Path, ...] = ()

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        with_polygons: bool,
        person: int | None = None,
        choose: Callable[[Faceset], NDArray[np.bool_]] | None = None,
    ) -> Self:
        """Load the faces of a faceset, or of it only those of one person.

        choose: says which of the faces count, (N,), before anything else is asked.

        Raises:
            NoFaces: there are none.
            BadOption: polygons are asked for, and nothing is drawn on any face.
        """
        faceset = Faceset(folder)
        if not faceset.is_there or not len(faceset.faces):
            raise NoFaces(
                f"{folder}: no dst faces, so there is nothing to replace. Run: understudy extract"
                f" {folder.parent.parent} dst."
            )
        rows = np.arange(len(faceset)) if choose is None else np.flatnonzero(choose(faceset))
        if person is not None:
            check_person(faceset.faces[rows], person, "--person")
            rows = rows[faceset.faces.person[rows] == person]
        faces, paths = faceset.faces[rows], tuple(faceset.paths[row] for row in rows)
        if not with_polygons:
            return cls(faces, ((),) * len(faces), paths)
        polygons = tuple(faceset.polygons[row] for row in rows)
        if not any(polygons):
            raise BadOption(
                f"{folder}: --masks {DRAWN} was asked for, and no face has polygons. Draw some"
                " (docs/face-pictures.md), or take other --masks."
            )
        return cls(faces, polygons, paths)

    def place(
        self,
        face_type: FaceType,
        size: int,
        *,
        smooth: bool,
        motion: AugmentConfig | None = ModelOptions.motion,
    ) -> dict[int, list[FacePlacement]]:
        """Align the faces for a model.

        Args:
            face_type: of the model's faces.
            size: their side in pixels.
            smooth: whether the matrices are smoothed along time.
            motion: how far training moved the model's faces: so far those that leave their square
                are moved to be in it altogether. None = not at all.

        Returns:
            The faces of every frame that has some. Those whose points give no alignment carry the
            reason.
        """
        matrices, rooms, cut = self._align(face_type, size, smooth, motion)
        number, around = np.full(len(self.faces), -1), np.full((len(self.faces), 2), -1)
        runs = find_runs(self.faces)
        for run, rows in enumerate(runs):
            number[rows] = run
            around[rows[1:], 0], around[rows[:-1], 1] = rows[:-1], rows[1:]
        pictures = self._telling_pictures(runs, matrices)
        placements: dict[int, list[FacePlacement]] = {}
        for row, (frame, landmarks) in enumerate(
            zip(self.faces.frame, self.faces.landmarks, strict=True)
        ):
            before, after = (
                _in_room(matrices[at], rooms[at], rooms[row]) if at >= 0 else None
                for at in around[row]
            )
            placement = FacePlacement(
                int(number[row]),
                int(self.faces.person[row]),
                landmarks,
                matrices[row],
                before,
                after,
                self.polygons[row],
                pictures[number[row]],
                rooms[row],
                row in cut,
            )
            placements.setdefault(int(frame), []).append(placement)
        return placements

    def _telling_pictures(
        self, runs: Sequence[Sequence[int]], matrices: Sequence[Doubles | str]
    ) -> list[tuple[Path, ...]]:
        """Of each run the pictures that tell how its face looks: of its whole track."""
        if not self.paths:
            return [()] * len(runs)

        def choose(rows: Sequence[int] | NDArray[np.int64]) -> tuple[Path, ...]:
            aligned = [row for row in map(int, rows) if not isinstance(matrices[row], str)]
            chosen = telling_rows(np.asarray(aligned, np.int64), self.faces, PICTURES)
            return tuple(self.paths[row] for row in chosen)

        tracks = [int(self.faces.track[run[0]]) for run in runs]
        # A track may have thousands of runs.
        of_track = {
            track: choose(np.flatnonzero(self.faces.track == track))
            for track in set(tracks)
            if track >= 0
        }
        return [
            of_track[track] if track >= 0 else choose(run)
            for track, run in zip(tracks, runs, strict=True)
        ]

    def _align(
        self, face_type: FaceType, size: int, smooth: bool, motion: AugmentConfig | None
    ) -> tuple[list[Doubles | str], list[Doubles | None], set[int]]:
        """face_from_frame of every row, or why there is none; the room that was made.

        And the rows whose chin is outside of their square in spite of that.
        """
        matrices: list[Doubles | str] = []
        rooms: list[Doubles | None] = [None] * len(self.faces)
        cut = set[int]()
        for row, landmarks in enumerate(self.faces.landmarks):
            try:
                matrix = align.face_from_frame(landmarks, face_type, size)
            except DegeneratePoints as error:
                matrices.append(str(error))
                continue
            if motion is not None:
                inside = affine.apply(matrix, landmarks)
                room = align.make_room(inside, face_type, size, motion.shift, motion.scale)
                if not np.array_equal(room, affine.scaling(1)):
                    rooms[row], matrix = room, affine.compose(room, matrix)
                    if affine.apply(room, inside)[:17, 1].max() > size - 0.5:
                        cut.add(row)
            matrices.append(matrix)
        good = [row for row, matrix in enumerate(matrices) if not isinstance(matrix, str)]
        if smooth and good:
            steady = smooth_alignment(
                np.stack([np.asarray(matrices[row], np.float64) for row in good]),
                self.faces[good],
                size,
            )
            for row, matrix in zip(good, steady, strict=True):
                matrices[row] = matrix
        return matrices, rooms, cut


def _in_room(matrix: Doubles | str, own: Doubles | None, wanted: Doubles | None) -> Doubles | None:
    """face_from_frame as if other room had been made: what moves then is the face alone."""
    if isinstance(matrix, str):
        return None
    if own is not None:
        matrix = affine.compose(affine.invert(own), matrix)
    return matrix if wanted is None else affine.compose(wanted, matrix)
