"""What the pixels of a faceset show: measured by several processes, and kept beside it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterator

import numpy as np
from numpy.typing import NDArray

from understudy.core.face.pixel_measures import (
    PixelMeasures,
    empty_columns,
    measure_picture,
    share_outside,
)
from understudy.errors import BadMedia, DegeneratePoints
from understudy.io.faceset import face_image
from understudy.io.faceset.faceset import Faceset
from understudy.io.faceset.pixel_cache import MeasuredPictures
from understudy.stages.events import Event, Finished, Order, Progress, Started, Stop
from understudy.stages.parallel.workers import map_unordered
from understudy.types import Array, Doubles

# Faces that one process measures in one go: half a second's work.
_CHUNK = 64
# For fewer it is not worth while to start processes.
_FEW = 256
# What was measured is kept after so many seconds: no more is lost by a run that is killed.
_SAVE_SECONDS = 20

Measured = tuple[dict[str, Array], dict[int, str]]


def measure_pixels(
    faceset: Faceset, workers: int | None = None, frame_sizes: Doubles | None = None
) -> Generator[Event, Order | None, PixelMeasures | None]:
    """Measure the pixels of all pictures of a faceset, or read what was measured before.

    Returns the measures; None when told to stop. What was measured is kept either way.

    Args:
        faceset: Its pictures.
        workers: Processes; None = one a core.
        frame_sizes: (N, 2) width and height of the frames that the faces are of; NaN, None = not
            known.
    """
    known = MeasuredPictures(faceset.folder, faceset.names, faceset.facts)
    reasons: dict[int, str] = {}
    missing = np.flatnonzero(~known.is_known)
    if len(missing):
        is_through = yield from _measure_missing(faceset, missing, workers, known, reasons)
        known.save()
        if not is_through:
            return None
    columns = dict(known.columns)
    screen = np.asarray(columns.pop("screen"), np.float64)
    columns["black"] = share_outside(
        screen, faceset.face_from_frame, faceset.sides, faceset.faces.footage, frame_sizes
    )
    return PixelMeasures(**columns, reasons=reasons)  # type: ignore[arg-type]


def _measure_missing(
    faceset: Faceset,
    missing: NDArray[np.int64],
    workers: int | None,
    known: MeasuredPictures,
    reasons: dict[int, str],
) -> Generator[Event, Order | None, bool]:
    """Measure those rows; returns whether all are through."""
    total, done = len(faceset), len(faceset) - len(missing)
    yield Started(stage="look", total=total, done=done, unit="face")
    chunks = list(_chunks(faceset, missing))
    saved = time.monotonic()
    work = map_unordered(_measure_chunk, chunks, 1 if len(missing) <= _FEW else workers)
    with contextlib.closing(work):
        for (rows, _), (columns, failed) in work:
            known.set_rows(rows, columns)
            known.is_known[rows[list(failed)]] = False
            reasons.update({int(rows[place]): reason for place, reason in failed.items()})
            done += len(rows)
            if time.monotonic() - saved > _SAVE_SECONDS:
                known.save()
                saved = time.monotonic()
            if isinstance((yield Progress(stage="look", done=done, total=total)), Stop):
                return False
    yield Finished(stage="look")
    return True


def _chunks(
    faceset: Faceset, rows: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], Faceset]]:
    """Some of these rows at a time, and a faceset of just them: it travels to another process."""
    for start in range(0, len(rows), _CHUNK):
        some, chosen = rows[start : start + _CHUNK], np.zeros(len(faceset), bool)
        chosen[some] = True
        yield some, faceset.select(chosen)


def _measure_chunk(chunk: tuple[NDArray[np.int64], Faceset]) -> Measured:
    """The columns of a chunk, and by their place in it why pictures could not be measured."""
    _, faceset = chunk
    columns, failed = empty_columns(len(faceset)), dict[int, str]()
    names, sides, to_face = faceset.names, faceset.sides.tolist(), faceset.face_from_frame
    for row, landmarks in enumerate(faceset.faces.landmarks):
        where = str(faceset.folder / names[row])
        try:
            pixels = face_image.decode_pixels(faceset.read_bytes(row), sides[row], where)
            found = measure_picture(pixels, landmarks, to_face[row])
        except (BadMedia, DegeneratePoints) as error:
            failed[row] = str(error).removeprefix(f"{where}: ")
            continue
        for name, value in found.items():
            columns[name][row] = value
    return columns, failed
