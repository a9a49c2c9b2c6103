"""Steadies what shakes from frame to frame, without lag."""

from __future__ import annotations

from typing import Final

import numpy as np

from understudy.core import geometry
from understudy.types import Doubles, Faces

_WINDOW: Final = 7
_ORDER: Final = 2
# Two boxes of neighbouring frames that overlap by this share of their union show the same face.
_SAME_FACE: Final = 0.4


def smoothed(face_from_frame: Doubles, faces: Faces, size: int) -> Doubles:
    """The (N, 2, 3) similarities, each face's smoothed along its unbroken run of frames; rows as in `faces`.

    faces: (N,). size: side of the face pictures that the matrices lead to. Middle, size and angle of the face square each go
    through a Savitzky-Golay filter, 7 frames wide, order 2: zero phase, so that fast moves are followed and only noise goes.
    """
    result = np.array(face_from_frame, np.float64)
    for run in runs(faces):
        if len(run) > _ORDER + 1:
            result[run] = _matrices(savgol(_parameters(result[run], size)), size)
    return result


def runs(faces: Faces) -> list[list[int]]:
    """Rows of `faces` that show one face in frames next to each other, each run in the order of the frames.

    Faces of one track belong together; without tracks those whose boxes overlap most do.
    """
    ended: list[list[int]] = []
    open_runs: list[list[int]] = []
    for frame in np.unique(faces.frame):
        going_on = [run for run in open_runs if faces.frame[run[-1]] == frame - 1]
        ended += [run for run in open_runs if faces.frame[run[-1]] != frame - 1]
        rows = [int(row) for row in np.flatnonzero(faces.frame == frame)]
        pairs = sorted(((_likeness(faces, run[-1], row), at, row) for at, run in enumerate(going_on) for row in rows), reverse=True)
        taken: set[int] = set()
        for likeness, at, row in pairs:
            if likeness > _SAME_FACE and row not in taken and going_on[at][-1] not in rows:
                going_on[at].append(row)
                taken.add(row)
        ended += [run for run in going_on if run[-1] not in rows]
        open_runs = [run for run in going_on if run[-1] in rows] + [[row] for row in rows if row not in taken]
    return ended + open_runs


def savgol(values: Doubles) -> Doubles:
    """(N, K) values, each column fitted by a parabola over 7 neighbours; at the ends the first and last fit serve."""
    window = min(_WINDOW, len(values) - (len(values) + 1) % 2)
    half = window // 2
    basis = np.vander(np.arange(-half, half + 1), _ORDER + 1, increasing=True)
    fits = basis @ np.linalg.pinv(basis)
    result = values.copy()
    for row in range(len(values)):
        start = min(max(row - half, 0), len(values) - window)
        result[row] = fits[row - start] @ values[start : start + window]
    return result


def _likeness(faces: Faces, one: int, other: int) -> float:
    """Share of the union that two boxes have in common; 1 for the same track, 0 for different ones."""
    tracks = faces.track[one], faces.track[other]
    if min(tracks) >= 0:
        return float(tracks[0] == tracks[1])
    a, b = faces.box[one].astype(np.float64), faces.box[other].astype(np.float64)
    common = float(np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0)))
    whole = float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - common
    return common / whole if whole > 0 else 0.0


def _parameters(matrices: Doubles, size: int) -> Doubles:
    """Middle x, y in the frame, logarithm of scale, angle without jumps: (N, 4)."""
    middle = size / 2 - 0.5
    centres = np.array([geometry.apply(geometry.invert(matrix), (middle, middle)) for matrix in matrices])
    scale = np.log(np.hypot(matrices[:, 0, 0], matrices[:, 1, 0]))
    angle = np.unwrap(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    return np.column_stack([centres, scale, angle])


def _matrices(parameters: Doubles, size: int) -> Doubles:
    middle = size / 2 - 0.5
    cosine, sine = (np.exp(parameters[:, 2]) * turn(parameters[:, 3]) for turn in (np.cos, np.sin))
    turns = np.stack([np.stack([cosine, -sine], -1), np.stack([sine, cosine], -1)], 1)
    shift = middle - (turns @ parameters[:, :2, None])[..., 0]
    return np.concatenate([turns, shift[..., None]], -1)
