"""Smooths landmarks and alignments over time without lag."""

from __future__ import annotations

from typing import Final

import numpy as np

from understudy.core import affine
from understudy.core.face.landmarks import face_size
from understudy.core.tracking.optical_flow import TrackedPoints
from understudy.types import Doubles, Faces, Floats

_WINDOW: Final = 7
_ORDER: Final = 2
# So many rows before and after one the filter looks at.
HALF_WINDOW: Final = _WINDOW // 2
# Two boxes of neighbouring frames that overlap by this share of their union show the same face.
_SAME_FACE: Final = 0.4
# How far a point is pulled from where flow puts it to where it was found: this much when all
# agrees, the whole way when flow comes back elsewhere or the two differ by more than these shares
# of the face's size.
_GAIN: Final = 0.12
_FLOW_ERROR: Final = 0.02
_DISAGREEMENT: Final = 0.03


def forward_pass(
    landmarks: Floats, forward: TrackedPoints, start: Doubles | None = None
) -> Doubles:
    """Smooth points by flow from the first frame on: flow moves them, the landmarker places them.

    Args:
        landmarks: (T, 68, 2).
        forward: Each but the last frame's points in the frame after: (T - 1, 68, 2), (T - 1, 68).
            NaN: flow knows nothing there, and the next frame starts afresh.
        start: (68, 2) smooth points of the first frame; None = its own points.

    Returns:
        (T, 68, 2) float64.
    """
    points = np.asarray(landmarks, np.float64)
    size = face_size(points)
    return _filter_pass(
        points, forward.points - points[:-1], forward.error / size[:-1, None], size, start
    )


def backward_pass(
    landmarks: Floats, backward: TrackedPoints, end: Doubles | None = None
) -> Doubles:
    """Smooth points by flow from the last frame back.

    Args:
        landmarks: (T, 68, 2).
        backward: Each but the first frame's points in the frame before, likewise.
        end: (68, 2) smooth points of the last frame; None = its own points.

    Returns:
        (T, 68, 2) float64.
    """
    points = np.asarray(landmarks, np.float64)
    size = face_size(points)
    moved, error = backward.points - points[1:], backward.error / size[1:, None]
    return _filter_pass(points[::-1], moved[::-1], error[::-1], size[::-1], end)[::-1]


def smooth_savgol(landmarks: Floats) -> Floats:
    """Smooth the points of one face without flow: Savitzky-Golay, 7 frames wide, order 2.

    What the filter takes away is usually noise. Where it takes far more than usual from a point of
    this face, that is movement, and the point stays.

    Args:
        landmarks: (T, 68, 2) finite, of frames next to each other without a cut.

    Returns:
        (T, 68, 2) float32.
    """
    points = np.asarray(landmarks, np.float64)
    if len(points) <= _ORDER + 1:
        return np.asarray(landmarks, np.float32)
    smooth = savgol_filter(points.reshape(len(points), -1)).reshape(points.shape)
    return restore_fast_moves(points, smooth, float(np.median(filter_residual(points, smooth))))


def filter_residual(points: Doubles, smooth: Doubles) -> Doubles:
    """How far the filter moved each point, in face sizes.

    Args:
        points: (T, 68, 2) as found.
        smooth: (T, 68, 2) filtered.

    Returns:
        (T, 68) float64.
    """
    return np.asarray(
        np.linalg.norm(points - smooth, axis=-1) / face_size(points)[:, None], np.float64
    )


def restore_fast_moves(points: Doubles, smooth: Doubles, usual: float) -> Floats:
    """Put back the points that the filter moved far more than usual.

    Args:
        points: (T, 68, 2) as found.
        smooth: (T, 68, 2) filtered.
        usual: The usual `filter_residual`.

    Returns:
        (T, 68, 2) float32.
    """
    kept = np.clip(filter_residual(points, smooth) / (3 * max(usual, 1e-9)) - 0.5, 0, 1)[..., None]
    return np.asarray(smooth + kept * (points - smooth), np.float32)


def smooth_alignment(face_from_frame: Doubles, faces: Faces, size: int) -> Doubles:
    """Smooth each face's similarity along its unbroken run of frames.

    Middle, size and angle of the face square each go through a Savitzky-Golay filter, 7 frames
    wide, order 2. It has zero phase: fast moves are followed and only noise goes.

    Args:
        face_from_frame: (N, 2, 3) similarities.
        faces: N faces, whose rows they belong to.
        size: Side of the face pictures in pixels.

    Returns:
        (N, 2, 3) float64.
    """
    result = np.array(face_from_frame, np.float64)
    for run in find_runs(faces):
        if len(run) > _ORDER + 1:
            result[run] = _matrices(savgol_filter(_parameters(result[run], size)), size)
    return result


def find_runs(faces: Faces) -> list[list[int]]:
    """Find the rows that show one face in frames next to each other, each run in frame order.

    Faces of one track belong together; without tracks those whose boxes overlap most do.
    """
    ended: list[list[int]] = []
    open_runs: list[list[int]] = []
    for frame in np.unique(faces.frame):
        going_on = [run for run in open_runs if faces.frame[run[-1]] == frame - 1]
        ended += [run for run in open_runs if faces.frame[run[-1]] != frame - 1]
        rows = [int(row) for row in np.flatnonzero(faces.frame == frame)]
        pairs = sorted(
            (
                (_overlap(faces, run[-1], row), at, row)
                for at, run in enumerate(going_on)
                for row in rows
            ),
            reverse=True,
        )
        taken: set[int] = set()
        for likeness, at, row in pairs:
            if likeness > _SAME_FACE and row not in taken and going_on[at][-1] not in rows:
                going_on[at].append(row)
                taken.add(row)
        ended += [run for run in going_on if run[-1] not in rows]
        open_runs = [run for run in going_on if run[-1] in rows] + [
            [row] for row in rows if row not in taken
        ]
    return ended + open_runs


def savgol_filter(values: Doubles) -> Doubles:
    """Fit each column by a parabola over 7 neighbours; at the ends the first and last fit serve.

    Args:
        values: (N, K).

    Returns:
        (N, K) float64.
    """
    window = min(_WINDOW, len(values) - (len(values) + 1) % 2)
    half = window // 2
    basis = np.vander(np.arange(-half, half + 1), _ORDER + 1, increasing=True)
    fits = basis @ np.linalg.pinv(basis)
    middle = np.lib.stride_tricks.sliding_window_view(values, window, axis=0) @ fits[half]
    return np.concatenate(
        [fits[:half] @ values[:window], middle, fits[half + 1 :] @ values[-window:]]
    )[: len(values)]


def _filter_pass(
    points: Doubles, moved: Doubles, error: Doubles, size: Doubles, start: Doubles | None
) -> Doubles:
    """One pass over the points (T, 68, 2).

    moved: (T - 1, 68, 2) by flow. error: (T - 1, 68) of it, in face sizes.
    """
    result = points.copy()
    if start is not None:
        result[0] = start
    for frame in range(1, len(points)):
        off = points[frame] - result[frame - 1] - moved[frame - 1]
        doubt = (error[frame - 1] / _FLOW_ERROR) ** 4 + (
            np.linalg.norm(off, axis=-1) / (size[frame] * _DISAGREEMENT)
        ) ** 4
        left = (1 - _GAIN) / (1 + doubt)
        result[frame] -= np.where(np.isfinite(doubt)[:, None], left[:, None] * off, 0)
    return result


def _overlap(faces: Faces, one: int, other: int) -> float:
    """Intersection over union of two boxes; 1 on the same track, 0 on different ones."""
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
    centres = np.array(
        [affine.apply(affine.invert(matrix), (middle, middle)) for matrix in matrices]
    )
    scale = np.log(np.hypot(matrices[:, 0, 0], matrices[:, 1, 0]))
    angle = np.unwrap(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    return np.column_stack([centres, scale, angle])


def _matrices(parameters: Doubles, size: int) -> Doubles:
    middle = size / 2 - 0.5
    cosine, sine = (np.exp(parameters[:, 2]) * turn(parameters[:, 3]) for turn in (np.cos, np.sin))
    turns = np.stack([np.stack([cosine, -sine], -1), np.stack([sine, cosine], -1)], 1)
    shift = middle - (turns @ parameters[:, :2, None])[..., 0]
    return np.concatenate([turns, shift[..., None]], -1)
