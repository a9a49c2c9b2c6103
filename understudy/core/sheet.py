"""Contact sheets: labelled rows of pictures side by side, so that a person can judge."""

from __future__ import annotations

import cv2
import numpy as np

from understudy.core import geometry
from understudy.core.image import warp
from understudy.types import Bytes, Floats

_GAP, _HEADER = 6, 26
_PAPER, _INK = 24, (225, 225, 225)


def contact_sheet(rows: dict[str, list[Bytes]], captions: list[str] | None = None) -> Bytes:
    """One picture with a labelled row for each entry; all pictures (S, S, 3) uint8 RGB of one size.

    captions: one for each column, drawn above the first row.
    """
    side = next(iter(rows.values()))[0].shape[0]
    columns = max(len(pictures) for pictures in rows.values())
    label = 30 + 11 * max(len(name) for name in rows)
    top = _HEADER if captions else _GAP
    paper = np.full((top + len(rows) * (side + _GAP), label + columns * (side + _GAP), 3), _PAPER, np.uint8)
    for column, text in enumerate(captions or []):
        _write(paper, text, label + column * (side + _GAP) + 2, top - 9)
    for row, (name, pictures) in enumerate(rows.items()):
        y = top + row * (side + _GAP)
        _write(paper, name, 12, y + side // 2)
        for column, picture in enumerate(pictures):
            x = label + column * (side + _GAP)
            paper[y : y + side, x : x + side] = picture
    return paper


def portrait(image: Bytes, landmarks: Floats, side: int = 240, room: float = 1.75) -> Bytes:
    """The head around a face, upright as it stands in the frame: (side, side, 3); `room` times the face's height."""
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    reach = room * float(max(high - low))
    centre = (low + high) / 2 - (0, 0.08 * reach)
    crop_from_frame = geometry.square(centre, reach, 0.0, side)
    return np.asarray(warp(image, crop_from_frame, (side, side)), np.uint8)


def _write(paper: Bytes, text: str, x: int, y: int) -> None:
    cv2.putText(paper, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _INK, 1, cv2.LINE_AA)
