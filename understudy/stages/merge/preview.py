"""`merge --preview`: a few frames on sheets to look at, before anything is encoded."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from understudy.core.drawing.contact_sheet import draw_contact_sheet, fit_within
from understudy.io import atomic
from understudy.io.footage.base import Footage
from understudy.io.provenance.manifest import Claim
from understudy.stages.events import Event, Order, Progress, Saved, Stop
from understudy.stages.merge.chosen_options import ChosenOptions
from understudy.stages.merge.predict import MergeFrame
from understudy.types import Array, Bytes, Frame

Box = tuple[int, int, int, int]

# Frames on a sheet, and the largest picture there in pixels.
ROWS: Final = 6
_WIDTH, _HEIGHT = 800, 800
# Room around the mask, in shares of its box.
_ROOM: Final = 0.35


def write_previews(
    folder: Path,
    footage: Footage,
    merged: Iterable[MergeFrame],
    count: int,
    claim: Claim,
    chosen: ChosenOptions,
) -> Generator[Event, Order | None, bool]:
    """Write the frames of a merge to the next free sheets NNN.jpg; False when told to stop.

    A row for each frame, cut to where the masks of the sheet are: plate, result, mask. Other runs
    may do the same at once: each sheet has a number of its own.

    Args:
        folder: Of the sheets.
        footage: The plates.
        merged: The frames.
        count: How many they are.
        claim: What is signed into the sheets.
        chosen: What the sheets say of the options; behind the number it is in their names, too.
    """
    rows, done = iter(merged), 0
    with atomic.explain_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    while some := list(itertools.islice(rows, ROWS)):
        plates = footage.iter_frames_or_bad([each.frame.index for each in some])
        sheet = make_sheet(
            [plate.image if isinstance(plate, Frame) else None for plate in plates],
            some,
            chosen.heading,
        )
        numbers = (folder / f"{number:03d}" for number in itertools.count(_last(folder) + 1))
        with atomic.first_free(numbers, lambda path: _last(folder) >= int(path.name)) as free:
            path = folder / chosen.name_of(free.name, ".jpg")
            claim.write_picture(path, sheet)
        done += len(some)
        yield Saved(what="preview", path=path)
        if isinstance((yield Progress(stage="preview", done=done, total=count)), Stop):
            return False
    return True


def make_sheet(
    plates: Sequence[Array | None], merged: Sequence[MergeFrame], heading: Sequence[str] = ()
) -> Bytes:
    """Draw a row for each frame: its number, its plate, the result, its mask.

    Args:
        plates: (H, W, 3) each; None where it could not be read: then it is black.
        merged: The frames, one a plate.
        heading: Lines above them.

    Returns:
        (h, w, 3) uint8.
    """
    x0, y0, x1, y1 = _box(merged)
    rows = {}
    for plate, each in zip(plates, merged, strict=True):
        image = each.frame.image
        matte = np.zeros(image.shape[:2], np.float32) if each.matte is None else each.matte
        pictures = (np.zeros_like(image) if plate is None else plate, image, matte)
        size = (min(_WIDTH, x1 - x0), min(_HEIGHT, y1 - y0))
        rows[f"frame {each.frame.index}"] = [
            fit_within(picture[y0:y1, x0:x1], size) for picture in pictures
        ]
    return draw_contact_sheet(rows, ["plate", "result", "mask"], heading)


def _box(merged: Sequence[MergeFrame]) -> Box:
    """Where any of the masks is, x0 y0 x1 y1, with room around.

    The whole frame where there is none.
    """
    height, width = merged[0].frame.image.shape[:2]
    seen = np.zeros((height, width), bool)
    for each in merged:
        seen |= False if each.matte is None else each.matte > 0
    columns, rows = np.flatnonzero(seen.any(0)), np.flatnonzero(seen.any(1))
    if not len(columns):
        return 0, 0, width, height
    room = _ROOM * max(np.ptp(columns), np.ptp(rows))
    x0, y0 = max(int(columns[0] - room), 0), max(int(rows[0] - room), 0)
    return x0, y0, min(int(columns[-1] + room) + 1, width), min(int(rows[-1] + room) + 1, height)


def _last(folder: Path) -> int:
    """The highest number of a sheet that is there; 0 without one."""
    numbers = (path.stem.split("_")[0] for path in folder.glob("*.jpg"))
    return max((int(number) for number in numbers if number.isdecimal()), default=0)
