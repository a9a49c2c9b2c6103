"""Tracks: which faces of different frames are one and the same.

Faces of neighbouring frames are linked first, wherever there is no doubt. The pieces that result
are joined over gaps and over doubtful places by movement, look and, where it was sampled, identity
(`core.tracking.stitch`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from understudy.core import affine
from understudy.core.row_blocks import Rows, iter_row_blocks, iter_row_pairs
from understudy.core.tracking.stitch import OTHER_PERSON, SortedFaces, stitch_tracks
from understudy.types import Doubles, FloatRows, Floats

# Faces of one frame whose points share this much of the place they cover are one face, found twice.
_TWICE: Final = 0.5
# How far the points of a face may move from one frame to the next, in face sizes; and how much
# farther the next best face must be, if there is to be no doubt.
_REACH: Final = 1.5
_PLAIN: Final = 0.5


class FaceColumns(Protocol):
    """The columns that tracking needs of a table of faces; see `Faces`."""

    @property
    def frame(self) -> Rows: ...
    @property
    def score(self) -> Floats: ...
    @property
    def landmarks(self) -> FloatRows: ...


@dataclass(frozen=True, slots=True)
class IdentitySamples:
    """Identities that were sampled; there may be none.

    rows: (M,) int64 rows of a table of faces. vectors: (M, D) float32.
    """

    rows: Rows
    vectors: Floats

    @classmethod
    def empty(cls) -> IdentitySamples:
        """No identity at all."""
        return cls(np.zeros(0, np.int64), np.zeros((0, 0), np.float32))


@dataclass(frozen=True, slots=True)
class Gap:
    """Frames that are missing inside a track, between two rows that follow each other on it."""

    track: int
    first_row: int
    last_row: int


def link_tracks(faces: FaceColumns, shot: Rows, fps: float, seen: IdentitySamples) -> Rows:
    """Tell the track of each face.

    A face may be hidden for up to a second; no track goes on over a cut. Where place and movement
    leave a doubt, as when two people cross, identity decides. If identities were sampled, but not
    there, the track ends. The same faces give the same tracks.

    Args:
        faces: N faces in any order.
        shot: (frames,) the shot of every frame of the footage.
        fps: Frames a second.
        seen: Identities of some of the rows.

    Returns:
        (N,) numbers from 0 in the order in which tracks begin; -1 for the less certain of two
        detections of one face.
    """
    track = np.full(len(faces.frame), -1, np.int64)
    order = np.lexsort((-faces.score, faces.frame))
    order = order[~_find_duplicates(faces.frame[order], faces.landmarks, order)]
    if not len(order):
        return track
    table = SortedFaces.of(
        faces.frame[order], faces.landmarks, order, np.asarray(shot, np.int64)[faces.frame[order]]
    )
    place = np.full(len(faces.frame), -1, np.int64)
    place[order] = np.arange(len(order))
    kept = place[seen.rows] >= 0
    rows, vectors = place[seen.rows[kept]], seen.vectors[kept].astype(np.float64)
    before, cost = _link_neighbours(table)
    before[_find_identity_changes(_number_pieces(before), cost, rows, vectors)] = -1
    track[order] = stitch_tracks(table, _number_pieces(before), fps, rows, vectors)
    return track


def find_gaps(faces: FaceColumns, track: Rows, most: int) -> list[Gap]:
    """Find where faces of a track have at most `most` frames missing between them.

    Args:
        faces: N faces.
        track: (N,) the track of each.
        most: Frames.

    Returns:
        The gaps in the order of tracks and frames.
    """
    order = np.lexsort((faces.frame, track))
    missing = np.diff(faces.frame[order]) - 1
    inside = (np.diff(track[order]) == 0) & (track[order][1:] >= 0)
    found = np.flatnonzero(inside & (missing > 0) & (missing <= most))
    return [Gap(int(track[order[at]]), int(order[at]), int(order[at + 1])) for at in found]


def _find_duplicates(frame: Rows, landmarks: FloatRows, order: Rows) -> NDArray[np.bool_]:
    """Which faces, (N,), cover the place of one before them in the same frame.

    frame: (N,) ascending; order: (N,) their rows.
    """
    boxes = np.zeros((len(frame), 4), np.float32)
    for rows in iter_row_blocks(len(frame)):
        points = landmarks[order[rows]]
        boxes[rows] = np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1)
    again = np.zeros(len(frame), bool)
    for one, other in iter_row_pairs(
        np.arange(len(frame)) + 1, np.searchsorted(frame, frame, "right")
    ):
        same = affine.iou(boxes[one], boxes[other]) > _TWICE
        for first, second in zip(one[same].tolist(), other[same].tolist(), strict=True):
            again[second] |= not again[first]
    return again


def _link_neighbours(table: SortedFaces) -> tuple[Rows, Doubles]:
    """The face one frame before each face, (N,) or -1, and its movement since, in face sizes.

    Only links without doubt: either face is by far the nearest of the other.
    """
    frame = table.frame
    following = np.searchsorted(frame, frame, "right")
    found = [
        _candidate_links(table, one, other)
        for one, other in iter_row_pairs(
            following, np.searchsorted(frame, frame + table.step, "right")
        )
    ]
    one, other = (np.concatenate([each[side] for each in found]) for side in (0, 1))
    cost = np.concatenate([each[2] for each in found])
    plain = (_margin(one, cost) >= _PLAIN) & (_margin(other, cost) >= _PLAIN)
    before, moved = np.full(len(frame), -1, np.int64), np.zeros(len(frame))
    before[other[plain]], moved[other[plain]] = one[plain], cost[plain]
    return before, moved


def _candidate_links(table: SortedFaces, one: Rows, other: Rows) -> tuple[Rows, Rows, Doubles]:
    """Those of the pairs that may be one face, and how far apart they lie, in face sizes."""
    size = (table.size[one] + table.size[other]) / 2
    near = np.linalg.norm(table.middle[one] - table.middle[other], axis=1) < _REACH * size
    near &= table.shot[one] == table.shot[other]
    one, other, size = one[near], other[near], size[near]
    cost = np.linalg.norm(table.points(one) - table.points(other), axis=-1).mean(axis=1) / size
    close = cost < _REACH
    return one[close], other[close], cost[close]


def _margin(ends: Rows, cost: Doubles) -> Doubles:
    """By how much each pair beats the best other pair with the same end; -1 = not the best."""
    order = np.lexsort((cost, ends))
    sorted_ends, sorted_cost = ends[order], cost[order]
    first = np.diff(sorted_ends, prepend=-1) != 0
    following = np.append(np.where(first[1:], np.inf, sorted_cost[1:]), np.inf)[: len(order)]
    lead = np.empty(len(order))
    lead[order] = np.where(first, following - sorted_cost, -1)
    return lead


def _number_pieces(before: Rows) -> Rows:
    """The piece of each face, (N,): that of the face before it, or a new one."""
    piece = np.empty(len(before), np.int64)
    count = 0
    for row, link in enumerate(before.tolist()):
        if link < 0:
            piece[row], count = count, count + 1
        else:
            piece[row] = piece[link]
    return piece


def _find_identity_changes(piece: Rows, moved: Doubles, rows: Rows, vectors: Doubles) -> Rows:
    """The faces whose link to the one before must go: by identity it joins two people."""
    cuts: list[int] = []
    order = np.lexsort((rows, piece[rows]))
    for group in np.split(order, np.flatnonzero(np.diff(piece[rows[order]])) + 1):
        far = [
            float(
                np.linalg.norm(
                    vectors[group[max(at - 2, 0) : at + 1]].mean(0)
                    - vectors[group[at + 1 : at + 4]].mean(0)
                )
            )
            for at in range(len(group) - 1)
        ]
        for at, distance in enumerate(far):
            if distance > OTHER_PERSON and distance == max(far[max(at - 2, 0) : at + 3]):
                last, first = rows[group[at]], rows[group[at + 1]]
                inside = np.flatnonzero(piece[last + 1 : first + 1] == piece[first]) + last + 1
                cuts.append(int(inside[np.argmax(moved[inside])]))
    return np.array(cuts, np.int64)
