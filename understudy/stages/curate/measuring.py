"""What the pictures of a faceset show: measured by several processes, and kept beside it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
from understudy.types import Array, Bytes, Doubles, Floats

# What was measured is kept after so many seconds: no more is lost by a run that is killed.
_SAVE_SECONDS = 20

Measured = tuple[dict[str, Array], dict[int, str]]


@dataclass(frozen=True, slots=True)
class Measurement:
    """Something that can be measured on a face picture, kept beside the set as `name`.

    empty: the columns of so many pictures of which nothing is known. measure: a row of each, from
    the picture (S, S, 3) uint8, its landmarks (68, 2) in frame pixels and its `face_from_frame`.
    chunk: faces that one process measures in one go, half a second's work; for fewer than four of
    these it is not worth while to start processes.
    """

    name: str
    empty: Callable[[int], dict[str, Array]]
    measure: Callable[[Bytes, Floats, Doubles], Mapping[str, ArrayLike]]
    chunk: int = 64


_Chunk = tuple[Measurement, NDArray[np.int64], Faceset]

PIXELS = Measurement("pixels", empty_columns, measure_picture)


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
    if not (yield from measure_missing(PIXELS, faceset, missing, workers, known, reasons)):
        return None
    columns = dict(known.columns)
    screen = np.asarray(columns.pop("screen"), np.float64)
    columns["black"] = share_outside(
        screen, faceset.face_from_frame, faceset.sides, faceset.faces.footage, frame_sizes
    )
    return PixelMeasures(**columns, reasons=reasons)  # type: ignore[arg-type]


def measure_missing(
    what: Measurement,
    faceset: Faceset,
    missing: NDArray[np.int64],
    workers: int | None,
    known: MeasuredPictures,
    reasons: dict[int, str],
) -> Generator[Event, Order | None, bool]:
    """Measure those rows and keep what was found; returns whether all are through.

    Args:
        what: Is measured.
        faceset: The pictures.
        missing: (M,) rows of which it is not known.
        workers: Processes; None = one a core.
        known: What is known; the rows are filled.
        reasons: By row, why pictures could not be measured; filled, too.
    """
    if not len(missing):
        return True
    try:
        return (yield from _measure_missing(what, faceset, missing, workers, known, reasons))
    finally:
        known.save()


def _measure_missing(
    what: Measurement,
    faceset: Faceset,
    missing: NDArray[np.int64],
    workers: int | None,
    known: MeasuredPictures,
    reasons: dict[int, str],
) -> Generator[Event, Order | None, bool]:
    total, done = len(faceset), len(faceset) - len(missing)
    yield Started(stage="look", total=total, done=done, unit="face")
    chunks = list(_chunks(what, faceset, missing))
    saved = time.monotonic()
    is_few = len(missing) <= 4 * what.chunk
    work = map_unordered(_measure_chunk, chunks, 1 if is_few else workers)
    with contextlib.closing(work):
        for (_, rows, _), (columns, failed) in work:
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


def _chunks(what: Measurement, faceset: Faceset, rows: NDArray[np.int64]) -> Iterator[_Chunk]:
    """Some of these rows at a time, and a faceset of just them: it travels to another process."""
    for start in range(0, len(rows), what.chunk):
        some, chosen = rows[start : start + what.chunk], np.zeros(len(faceset), bool)
        chosen[some] = True
        yield what, some, faceset.select(chosen)


def _measure_chunk(chunk: _Chunk) -> Measured:
    """The columns of a chunk, and by their place in it why pictures could not be measured."""
    what, _, faceset = chunk
    columns, failed = what.empty(len(faceset)), dict[int, str]()
    names, sides, to_face = faceset.names, faceset.sides.tolist(), faceset.face_from_frame
    for row, landmarks in enumerate(faceset.faces.landmarks):
        where = str(faceset.folder / names[row])
        try:
            pixels = face_image.decode_pixels(faceset.read_bytes(row), sides[row], where)
            found = what.measure(pixels, landmarks, to_face[row])
        except (BadMedia, DegeneratePoints) as error:
            failed[row] = str(error).removeprefix(f"{where}: ")
            continue
        for name, value in found.items():
            columns[name][row] = value
    return columns, failed
