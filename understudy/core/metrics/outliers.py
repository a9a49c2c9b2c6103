"""Faces that a person should look at before anything learns from them, each with a reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from understudy.core.face.pose import HEAD_MODEL
from understudy.core.row_blocks import iter_row_blocks
from understudy.options import Options, option
from understudy.types import Array, Doubles, Faces, Floats, Marking

Reason = Literal[
    "low score",
    "jump",
    "odd shape",
    "wrong size",
    "same person twice",
    "cut by the edge",
    "filled",
    "laid in",
    "blurred",
]

# Neighbours of a track further apart than this tell nothing about each other; in frames.
_APART: Final = 5
# A place is judged by so many faces around it, a size by so many.
_NEAR, _AROUND = 7, 51


class OutlierBounds(Options):
    """From where on a face is suspicious."""

    score: float = option(
        0.5, "Report faces that were found with less certainty than this", low=0, high=1
    )
    jump: float = option(
        0.1,
        "Report faces whose points lie so far from where the track's others put them",
        low=0,
        unit="face radii",
    )
    shape: float = option(
        0.14,
        "Report faces whose points lie so far from those of any turned head",
        low=0,
        unit="eye distances",
    )
    size: float = option(
        1.6, "Report faces so many times larger or smaller than the track's others around", low=1
    )
    cut: float = option(
        0.05, "Report faces of which more than this share lies outside the frame", low=0, high=1
    )
    blur: float = option(
        0.35,
        "Report faces with less than this share of the detail of the person's others",
        low=0,
        high=1,
    )


@dataclass(frozen=True, slots=True)
class Outlier:
    """A face worth a look.

    row: in the table. value: what was measured. bound: what it went over, or under.
    """

    row: int
    reason: Reason
    value: float
    bound: float


def find_outliers(
    faces: Faces,
    bounds: OutlierBounds | None = None,
    *,
    frame_size: ArrayLike | None = None,
    detail: Floats | None = None,
) -> list[Outlier]:
    """Find every reason to look at a face; a face may have several.

    Jumps and sizes need tracks; the same person twice needs people. Faces of different footage are
    never compared, and those of which nobody knows the footage with none.

    Args:
        faces: N faces.
        bounds: From where on a face is suspicious.
        frame_size: (width, height) of all frames, or (N, 2) of each face's, NaN where nobody knows;
            of such faces nothing is said of the frame's edge.
        detail: (N,) of `measure_detail`, NaN where it was not measured; without it nothing is said
            of blur.

    Returns:
        The outliers, by row.
    """
    bounds = bounds or OutlierBounds()
    # A face that nobody saw has no certainty of its own.
    found = _collect(
        "low score", (faces.score < bounds.score) & ~faces.filled, faces.score, bounds.score
    )
    found += _collect("filled", faces.filled, faces.filled, 0)
    laid = faces.marked == Marking.LAID
    found += _collect("laid in", laid, laid, 0)
    shape, jump, size, count = (
        shape_errors(faces.landmarks),
        jump_distances(faces),
        size_ratios(faces),
        _per_frame(faces),
    )
    found += _collect("odd shape", shape > bounds.shape, shape, bounds.shape)
    found += _collect("jump", jump > bounds.jump, jump, bounds.jump)
    found += _collect("wrong size", size > bounds.size, size, bounds.size)
    found += _collect("same person twice", count > 1, count, 1)
    if frame_size is not None:
        share = outside_shares(faces.landmarks, frame_size)
        found += _collect("cut by the edge", share > bounds.cut, share, bounds.cut)
    if detail is not None:
        sharp = _relative_detail(detail, faces.footage, faces.person)
        found += _collect("blurred", sharp < bounds.blur, sharp, bounds.blur)
    return sorted(found, key=lambda suspect: suspect.row)


def shape_errors(landmarks: Floats) -> Doubles:
    """Measure how far points lie from those of a mean rigid head, turned to fit.

    A talking mouth and a face of one's own reach about 0.1. Weak perspective: the best affine
    camera, made a scaled rotation.

    Args:
        landmarks: (N, 68, 2) pixels.

    Returns:
        (N,) float64: root mean square distance in eye distances.
    """
    return np.concatenate(
        [np.zeros(0), *(_shape_errors(landmarks[rows]) for rows in iter_row_blocks(len(landmarks)))]
    )


def jump_distances(faces: Faces) -> Doubles:
    """Measure how far points lie from where the track's nearest faces let them be expected.

    Expected is a straight way through up to six others around it, by the medians of Theil and Sen.
    So a steady walk and one bad neighbour change nothing. Faces further away than so many frames
    tell nothing: of every fourth frame, the way of a head that turns is not straight.

    Args:
        faces: N faces.

    Returns:
        (N,) float64: root mean square distance in radii of the face. 0 without a track, or with
            fewer
        than three others.
    """
    result = np.zeros(len(faces))
    radii = _radii(faces.landmarks)
    for rows in _by_run(faces):
        for place, row in enumerate(rows):
            start = min(max(place - _NEAR // 2, 0), max(len(rows) - _NEAR, 0))
            others = [
                int(each)
                for each in rows[start : start + _NEAR]
                if each != row and abs(faces.frame[each] - faces.frame[row]) <= _NEAR
            ]
            if len(others) >= 3:
                expected = _expected_points(
                    faces.frame[others], faces.landmarks[others], int(faces.frame[row])
                )
                result[row] = (
                    np.sqrt(((faces.landmarks[row] - expected) ** 2).sum(axis=-1).mean())
                    / radii[row]
                )
    return result


def size_ratios(faces: Faces) -> Doubles:
    """Measure how many times larger or smaller a face is than the track's 51 faces around.

    Args:
        faces: N faces.

    Returns:
        (N,) float64, at least 1: to their median, whichever is larger.
    """
    result = np.ones(len(faces))
    radii = np.log(_radii(faces.landmarks))
    for rows in _by_track(faces):
        for place, row in enumerate(rows):
            around = rows[max(place - _AROUND // 2, 0) : place + _AROUND // 2 + 1]
            result[row] = np.exp(abs(radii[row] - np.median(radii[around])))
    return result


def outside_shares(landmarks: Floats, frame_size: ArrayLike) -> Doubles:
    """Measure the share of the box around the points that lies outside the frame.

    Args:
        landmarks: (N, 68, 2) pixels.
        frame_size: (width, height), or (N, 2).

    Returns:
        (N,) float64 in 0..1; NaN where the size is.
    """
    low, high = landmarks.min(axis=1).astype(np.float64), landmarks.max(axis=1).astype(np.float64)
    inside = np.maximum(np.minimum(high, np.asarray(frame_size) - 0.5) - np.maximum(low, -0.5), 0)
    return np.asarray(1 - inside.prod(axis=1) / np.maximum((high - low).prod(axis=1), 1e-9))


def _shape_errors(landmarks: Floats) -> Doubles:
    model = np.column_stack([HEAD_MODEL, np.ones(len(HEAD_MODEL))])
    cameras = np.linalg.pinv(model) @ np.asarray(landmarks, np.float64)
    left, stretch, right = np.linalg.svd(cameras[:, :3].transpose(0, 2, 1), full_matrices=False)
    scale = np.maximum(stretch.mean(axis=1), 1e-9)
    ideal = scale[:, None, None] * (HEAD_MODEL @ (left @ right).transpose(0, 2, 1))
    apart = landmarks - ideal
    apart -= apart.mean(axis=1, keepdims=True)
    eyes = np.linalg.norm(HEAD_MODEL[45] - HEAD_MODEL[36]) * scale
    return np.asarray(np.sqrt((apart**2).sum(axis=-1).mean(axis=-1)) / eyes)


def _collect(reason: Reason, mask: NDArray[np.bool_], values: Array, bound: float) -> list[Outlier]:
    return [
        Outlier(int(row), reason, float(values[row]), float(bound)) for row in np.flatnonzero(mask)
    ]


def _per_frame(faces: Faces) -> Doubles:
    """(N,): how many faces of the same person the frame shows."""
    moments, result = faces.moments, np.ones(len(faces))
    known = np.flatnonzero((moments >= 0) & (faces.person >= 0))
    _, place, counts = np.unique(
        np.column_stack([moments[known], faces.person[known]]),
        axis=0,
        return_inverse=True,
        return_counts=True,
    )
    result[known] = counts[place.reshape(-1)]
    return result


def _relative_detail(
    detail: Floats, footage: NDArray[np.int64], person: NDArray[np.int64]
) -> Doubles:
    """(N,): the detail as a share of the person's median in that footage; 1 where nobody looked."""
    result = np.ones(len(detail))
    for clip, each in np.unique(np.column_stack([footage, person]), axis=0):
        rows = np.flatnonzero((footage == clip) & (person == each) & np.isfinite(detail))
        if len(rows):
            result[rows] = detail[rows] / max(float(np.median(detail[rows])), 1e-9)
    return result


def _expected_points(frames: NDArray[np.int64], points: Floats, frame: int) -> Doubles:
    times, values = frames.astype(np.float64) - frame, points.astype(np.float64)
    one, other = np.triu_indices(len(times), 1)
    slope = np.median(
        (values[other] - values[one]) / (times[other] - times[one])[:, None, None], axis=0
    )
    return np.asarray(np.median(values - slope * times[:, None, None], axis=0))


def _radii(landmarks: Floats) -> Doubles:
    """(N,): root mean square distance of the points from their middle."""
    result = np.zeros(len(landmarks))
    for rows in iter_row_blocks(len(landmarks)):
        apart = landmarks[rows] - landmarks[rows].mean(axis=1, keepdims=True)
        result[rows] = np.sqrt((apart.astype(np.float64) ** 2).sum(axis=-1).mean(axis=-1))
    return np.maximum(result, 1e-6)


def _by_track(faces: Faces) -> Iterator[NDArray[np.int64]]:
    """The rows of each track in the order of their frames, one face a frame."""
    tracks = faces.footage_tracks
    for track in np.unique(tracks[tracks >= 0]):
        rows = np.flatnonzero(tracks == track)
        yield rows[np.unique(faces.frame[rows], return_index=True)[1]]


def _by_run(faces: Faces) -> Iterator[NDArray[np.int64]]:
    """The same, parted where a track is lost for more than a few frames."""
    for rows in _by_track(faces):
        yield from np.split(rows, np.flatnonzero(np.diff(faces.frame[rows]) > _APART) + 1)
