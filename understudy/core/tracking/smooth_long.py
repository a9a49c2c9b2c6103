"""Smooth points of runs of any length, block by block, with the result of the whole run at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

import numpy as np

from understudy.core.row_blocks import Rows, iter_row_blocks
from understudy.core.tracking import smooth as tracking_smooth
from understudy.core.tracking.optical_flow import TrackedPoints
from understudy.types import Doubles, FloatRows, Floats

# Rows that are held at once: with all that is derived from them, some 40 MB.
_STRETCH: Final = 4096


class FlowTable(Protocol):
    """Points and where flow puts them in the frames beside: columns of `extract`'s `Detections`."""

    @property
    def landmarks(self) -> FloatRows: ...
    @property
    def ahead(self) -> FloatRows: ...
    @property
    def ahead_error(self) -> FloatRows: ...
    @property
    def back(self) -> FloatRows: ...
    @property
    def back_error(self) -> FloatRows: ...


def smooth_with_flow(found: FlowTable, run: Rows) -> Iterator[tuple[Rows, Floats]]:
    """Smooth the points of a run by flow: the mean of a pass forward and a pass backward.

    Args:
        found: The points and their flow.
        run: Rows of one face in frames next to each other.

    Yields:
        Rows and their points (K, 68, 2) float32; some rows come twice, with the same points.
    """
    # Neighbours share a row, in which a pass goes on where it stood.
    parts = [
        run[first : first + _STRETCH + 1] for first in range(0, max(len(run) - 1, 1), _STRETCH)
    ]
    starts: list[Doubles | None] = [None]
    for part in parts[:-1]:
        # A copy: a view would hold the whole stretch.
        starts.append(
            tracking_smooth.forward_pass(found.landmarks[part], _ahead(found, part), starts[-1])[
                -1
            ].copy()
        )
    end: Doubles | None = None
    for part, start in zip(reversed(parts), reversed(starts), strict=True):
        points = found.landmarks[part]
        there, back = (
            tracking_smooth.forward_pass(points, _ahead(found, part), start),
            tracking_smooth.backward_pass(points, _back(found, part), end),
        )
        end = back[0]
        yield part, np.asarray((there + back) / 2, np.float32)


def smooth_savgol_in_parts(landmarks: FloatRows, run: Rows) -> Iterator[tuple[Rows, Floats]]:
    """Smooth the points of a run by `smooth.smooth_savgol`, in 544 bytes a face.

    Args:
        landmarks: (N, 68, 2).
        run: Rows of one face in frames next to each other.

    Yields:
        Rows and their points (K, 68, 2) float32.
    """
    if len(run) <= _STRETCH:
        yield run, tracking_smooth.smooth_savgol(landmarks[run])
        return
    taken = np.empty((len(run), 68))
    for rows in iter_row_blocks(len(run), _STRETCH):
        points, smooth = _smooth_rows(landmarks, run, rows)
        taken[rows] = tracking_smooth.filter_residual(points, smooth)
    usual = float(np.median(taken, overwrite_input=True))
    for rows in iter_row_blocks(len(run), _STRETCH):
        yield (
            run[rows],
            tracking_smooth.restore_fast_moves(*_smooth_rows(landmarks, run, rows), usual),
        )


def _smooth_rows(landmarks: FloatRows, run: Rows, rows: Rows) -> tuple[Doubles, Doubles]:
    """The points of those rows of a run, and their smooth points, (K, 68, 2) each."""
    # At the ends of the run the first and the last fit of the filter serve, so these are whole.
    first = max(
        min(
            int(rows[0]) - tracking_smooth.HALF_WINDOW,
            len(run) - 2 * tracking_smooth.HALF_WINDOW - 1,
        ),
        0,
    )
    around = np.asarray(
        landmarks[run[first : rows[-1] + 1 + tracking_smooth.HALF_WINDOW]], np.float64
    )
    smooth = tracking_smooth.savgol_filter(around.reshape(len(around), -1)).reshape(around.shape)
    return around[rows - first], smooth[rows - first]


def _ahead(found: FlowTable, part: Rows) -> TrackedPoints:
    return TrackedPoints(found.ahead[part[:-1]], found.ahead_error[part[:-1]])


def _back(found: FlowTable, part: Rows) -> TrackedPoints:
    return TrackedPoints(found.back[part[1:]], found.back_error[part[1:]])
