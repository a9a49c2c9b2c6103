"""What an extraction gave, in numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict

from understudy.core.metrics import swap_metrics
from understudy.core.metrics.outliers import Outlier
from understudy.types import Doubles, Faces, Floats, Marking

# A long track is measured in pieces of so many frames, so that memory does not grow with it.
_PIECE = 2000
_STEP_DEGREES = 10


@dataclass(frozen=True)
class FootageInfo:
    """What a report needs to know besides the faces.

    source: name of the footage. frames: indices of those that were looked at. failed: frame and
    reason. frame_size: (width, height) of all, or (F, 2) of each of `frames`, None = unknown.
    removed: frames of which somebody removed faces.
    """

    source: str
    frames: NDArray[np.int64]
    failed: Sequence[tuple[int, str]] = ()
    frame_size: ArrayLike | None = None
    removed: Sequence[int] = ()

    def size_of(self, frame: NDArray[np.int64]) -> Doubles | None:
        """(N, 2) width and height of each of these frames; None = unknown.

        NaN where a frame was not looked at: alignments may know faces in any.
        """
        if self.frame_size is None:
            return None
        sizes = np.broadcast_to(np.asarray(self.frame_size, np.float64), (len(self.frames), 2))
        at = np.minimum(np.searchsorted(self.frames, frame), len(self.frames) - 1)
        return np.where((self.frames[at] == frame)[:, None], sizes[at], np.nan)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Quantiles(_Part):
    """Where values lie: the lowest, 10 %, 50 % and 90 % of the way up, the highest."""

    lowest: float
    tenth: float
    median: float
    ninetieth: float
    highest: float


class Histogram(_Part):
    """How many values lie between each edge and the next, in degrees.

    What lies beyond the ends is counted there.
    """

    edges: list[int]
    counts: list[int]


class PersonRow(_Part):
    """One person; person -1 = faces of whom nobody knows who they are."""

    person: int
    faces: int
    tracks: int
    first: int
    last: int


class TrackRow(_Part):
    """One track.

    jitter_raw, jitter: of the points as found and smoothed, in % of the eye distance; None = not
    measured.
    """

    track: int
    person: int
    first: int
    last: int
    faces: int
    filled: int
    score: float
    detail: float | None
    jitter_raw: float | None
    jitter: float | None


class Report(_Part):
    """The numbers of an extraction, as report.json has them.

    gaps: ranges of frames in which no face was found; removed: of those that have none since all
    were removed by hand. failed: frames, and why. size, detail: pixels across the face, covered and
    seen (core/face/detail.py). marked: how many faces were marked by hand, by what became of the
    mark ("points", "refined", "laid in").
    """

    version: Literal[1] = 1
    source: str
    frames: int
    frames_with_a_face: int
    faces: int
    filled: int
    people: list[PersonRow]
    tracks: list[TrackRow]
    gaps: list[tuple[int, int]]
    failed: list[tuple[int, str]]
    score: Quantiles | None
    size: Quantiles | None
    detail: Quantiles | None
    yaw: Histogram
    pitch: Histogram
    jitter_raw: float | None
    jitter: float | None
    suspicious: dict[str, int]
    marked: dict[str, int] = {}
    removed: list[tuple[int, int]] = []


def summarize(
    faces: Faces, facts: FootageInfo, detail: Floats, odd: Sequence[Outlier] = ()
) -> Report:
    """Summarize the faces of a footage in numbers.

    Args:
        faces: N faces.
        facts: The footage.
        detail: (N,) of `measure_detail`, NaN where it was not measured.
        odd: The outliers among them.
    """
    looked = np.unique(facts.frames)
    without = np.setdiff1d(np.setdiff1d(looked, faces.frame), [frame for frame, _ in facts.failed])
    number = faces.footage_tracks
    tracks = [_track(faces, np.flatnonzero(number == each), detail) for each in _known(number)]
    return Report(
        source=facts.source,
        frames=len(looked),
        frames_with_a_face=len(np.unique(faces.frame)),
        faces=len(faces),
        filled=int(faces.filled.sum()),
        people=[
            _person(faces, faces.person == each, each) for each in np.unique(faces.person).tolist()
        ],
        tracks=tracks,
        gaps=_ranges(np.setdiff1d(without, facts.removed), looked),
        removed=_ranges(np.intersect1d(without, facts.removed), looked),
        failed=list(facts.failed),
        score=_spread(faces.score[~faces.filled]),
        size=_spread(face_widths(faces)),
        detail=_spread(detail),
        yaw=_histogram(faces.pose[:, 1], 90),
        pitch=_histogram(faces.pose[:, 0], 60),
        jitter_raw=_mean((each.jitter_raw, each.faces) for each in tracks),
        jitter=_mean((each.jitter, each.faces) for each in tracks),
        suspicious=dict(Counter(each.reason for each in odd).most_common()),
        marked={
            each.text: count
            for each in (Marking.POINTS, Marking.REFINED, Marking.LAID)
            if (count := int((faces.marked == each).sum()))
        },
    )


def face_widths(faces: Faces) -> Floats:
    """Measure each face from brows to chin, in frame pixels: what `detail` is at most.

    Args:
        faces: N faces.

    Returns:
        (N,) float32: width or height, whichever is longer.
    """
    inner = faces.landmarks[:, 17:]
    return np.asarray((inner.max(axis=1) - inner.min(axis=1)).max(axis=1, initial=0), np.float32)


def _track(faces: Faces, rows: NDArray[np.int64], detail: Floats) -> TrackRow:
    """The row of the track of the faces in those rows.

    Their points stay where they are, since a track may be as long as the film.
    """
    raw, steady = _jitter(faces, rows)
    detail = detail[rows]
    looked = detail[np.isfinite(detail)]
    return TrackRow(
        track=int(faces.track[rows[0]]),
        person=int(faces.person[rows[0]]),
        first=int(faces.frame[rows].min()),
        last=int(faces.frame[rows].max()),
        faces=len(rows),
        filled=int(faces.filled[rows].sum()),
        score=round(float(np.median(faces.score[rows])), 4),
        detail=round(float(np.median(looked)), 1) if len(looked) else None,
        jitter_raw=raw,
        jitter=steady,
    )


def _person(faces: Faces, mask: NDArray[np.bool_], person: int) -> PersonRow:
    frame, track = faces.frame[mask], faces.track[mask]
    return PersonRow(
        person=person,
        faces=len(frame),
        tracks=len(_known(track)),
        first=int(frame.min()),
        last=int(frame.max()),
    )


def _jitter(faces: Faces, rows: NDArray[np.int64]) -> tuple[float | None, float | None]:
    """Of the raw and the steady points, both on the frames that are slow by the steady ones."""
    order = rows[np.unique(faces.frame[rows], return_index=True)[1]]
    breaks = np.flatnonzero(np.diff(faces.frame[order]) > 1) + 1
    raw, steady = [], []
    for run in np.split(order, breaks):
        for start in range(0, len(run), _PIECE):
            piece = run[start : start + _PIECE]
            if len(piece) >= 3:
                slow = swap_metrics.slow_frames(faces.landmarks[piece])
                raw.append((_finite(swap_metrics.jitter(faces.raw[piece], slow)), int(slow.sum())))
                steady.append(
                    (_finite(swap_metrics.jitter(faces.landmarks[piece], slow)), int(slow.sum()))
                )
    return _mean(raw), _mean(steady)


def _mean(values: Iterable[tuple[float | None, int]]) -> float | None:
    """The weighted mean of those that are known."""
    known = [(value, weight) for value, weight in values if value is not None and weight]
    whole = sum(weight for _, weight in known)
    return round(sum(value * weight for value, weight in known) / whole, 4) if known else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _spread(values: ArrayLike) -> Quantiles | None:
    each = np.asarray(values, np.float64)
    each = each[np.isfinite(each)]
    if not len(each):
        return None
    places = [round(float(value), 4) for value in np.percentile(each, [0, 10, 50, 90, 100])]
    return Quantiles(**dict(zip(Quantiles.model_fields, places, strict=True)))


def _histogram(angles: Floats, reach: int) -> Histogram:
    edges = np.arange(-reach, reach + 1, _STEP_DEGREES)
    counts = np.histogram(np.clip(np.degrees(angles), -reach, reach), edges)[0]
    return Histogram(edges=edges.tolist(), counts=counts.tolist())


def _ranges(frames: NDArray[np.int64], among: NDArray[np.int64]) -> list[tuple[int, int]]:
    """The frames as ranges [first, last] of neighbours in `among`."""
    if not len(frames):
        return []
    breaks = np.flatnonzero(np.diff(np.searchsorted(among, frames)) > 1) + 1
    return [(int(run[0]), int(run[-1])) for run in np.split(frames, breaks)]


def _known(numbers: NDArray[np.int64]) -> list[int]:
    return [number for number in np.unique(numbers).tolist() if number >= 0]
