"""Contact sheets: labelled rows of pictures side by side, so that a person can judge."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Final

import cv2
import numpy as np

from understudy.core import affine
from understudy.core.image import as_bytes, as_float, resize, warp
from understudy.types import Array, Bytes, Floats

_GAP, _HEADER = 6, 26
_PAPER, _INK = 24, (225, 225, 225)
_GRID_HEADER, _GRID_INK = 22, (40, 40, 40)
# A sheet is looked at on a screen of so many pixels, whatever its size: its text grows with it.
_SCREEN: Final = (1600, 1000)
# Pixels that a line of text takes at size 1, and a sheet with a heading at least.
_LINE, _LEAST_WIDTH = 22, 620


def draw_contact_sheet(
    rows: dict[str, list[Bytes]],
    captions: list[str] | None = None,
    heading: Sequence[str] = (),
) -> Bytes:
    """Draw a labelled row of pictures for each entry.

    Args:
        rows: Pictures (H, W, 3) uint8 RGB by the name of their row, all of one size.
        captions: One for each column, above the first row.
        heading: Lines above all, wrapped where they are too long.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    height, width = next(iter(rows.values()))[0].shape[:2]
    columns = max(len(pictures) for pictures in rows.values())
    size = _text_size(columns * (width + _GAP), len(rows) * (height + _GAP))
    label = round((30 + 11 * max(len(name) for name in rows)) * size)
    top = round(_HEADER * size) if captions else _GAP
    paper = np.full(
        (top + len(rows) * (height + _GAP), label + columns * (width + _GAP), 3), _PAPER, np.uint8
    )
    for column, text in enumerate(captions or []):
        _write(paper, text, label + column * (width + _GAP) + 2, top - round(9 * size), size)
    for row, (name, pictures) in enumerate(rows.items()):
        y = top + row * (height + _GAP)
        _write(paper, name, 12, y + height // 2, size)
        for column, picture in enumerate(pictures):
            x = label + column * (width + _GAP)
            paper[y : y + height, x : x + width] = picture
    return _add_heading(paper, heading)


def draw_tiles(
    pictures: Sequence[tuple[str, Array]], columns: int, side: int, heading: Sequence[str] = ()
) -> Bytes:
    """Draw named pictures of any size, each as large as it can be in its tile, its name above.

    Args:
        pictures: (H, W) or (H, W, 3), uint8, uint16, or float32 in 0..1.
        columns: Tiles in a row.
        side: Side of a tile in pixels.
        heading: Lines above all, wrapped where they are too long.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    down, across = side + _HEADER, side + _GAP
    paper = np.full(
        (
            -(-len(pictures) // columns) * down + _GAP,
            min(columns, len(pictures)) * across + _GAP,
            3,
        ),
        _PAPER,
        np.uint8,
    )
    for place, (name, picture) in enumerate(pictures):
        x, y = _GAP + place % columns * across, _HEADER + place // columns * down
        shown = fit_within(picture, (side, side))
        paper[y : y + shown.shape[0], x : x + shown.shape[1]] = shown
        _write(paper, name, x + 2, y - 9)
    return _add_heading(paper, heading)


def draw_grid(columns: Mapping[str, Floats | Bytes], gap: int = 2) -> Bytes:
    """Draw a column of pictures for each name, on white, the name above.

    Args:
        columns: Pictures (N, S, S, 3) or masks (N, S, S), of one size; float32 in 0..1 or uint8.
        gap: Pixels between them.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    shown = []
    for name, pictures in columns.items():
        cells = [_cell(picture, gap) for picture in pictures]
        head = np.full((_GRID_HEADER, cells[0].shape[1], 3), 255, np.uint8)
        cv2.putText(head, name, (3, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, _GRID_INK, 1, cv2.LINE_AA)
        shown.append(np.vstack([head, *cells]))
    return np.hstack(shown)


def fit_within(picture: Array, size: tuple[int, int]) -> Bytes:
    """Resize the whole picture to be as large as it can be within a size.

    Args:
        picture: (H, W) or (H, W, 3), uint8, uint16, or float32 in 0..1.
        size: (width, height) that it may have at most.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    scale = min(size[0] / picture.shape[1], size[1] / picture.shape[0])
    wanted = (max(round(picture.shape[1] * scale), 1), max(round(picture.shape[0] * scale), 1))
    shown = as_bytes(np.clip(resize(as_float(picture), wanted), 0, 1))
    return shown if shown.ndim == 3 else np.repeat(shown[..., None], 3, 2)


def crop_head(image: Bytes, landmarks: Floats, side: int = 240, room: float = 1.75) -> Bytes:
    """Crop the head around a face, upright as it stands in the frame.

    Args:
        image: (H, W, 3) uint8.
        landmarks: (68, 2) pixels of the image.
        side: Side of the crop in pixels.
        room: Width of the crop in heights of the face.

    Returns:
        (side, side, 3) uint8.
    """
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    reach = room * float(max(high - low))
    centre = (low + high) / 2 - (0, 0.08 * reach)
    crop_from_frame = affine.square_crop(centre, reach, 0.0, side)
    return np.asarray(warp(image, crop_from_frame, (side, side)), np.uint8)


def _cell(picture: Array, gap: int) -> Bytes:
    flat = as_bytes(np.clip(picture, 0, 1) if picture.dtype != np.uint8 else picture)
    color = flat if flat.ndim == 3 else np.repeat(flat[..., None], 3, 2)
    return np.pad(color, ((0, gap), (0, gap), (0, 0)), constant_values=255)


def _add_heading(paper: Bytes, lines: Sequence[str]) -> Bytes:
    """The sheet with these lines above it, on as many as they need."""
    if not lines:
        return paper
    size = _text_size(paper.shape[1], paper.shape[0])
    missing = max(round(_LEAST_WIDTH * size) - paper.shape[1], 0)
    paper = np.pad(paper, ((0, 0), (0, missing), (0, 0)), constant_values=_PAPER)
    wrapped = [part for line in lines for part in _wrap(line, paper.shape[1] - 24, size)]
    line = round(_LINE * size)
    head = np.full((len(wrapped) * line + line // 2, paper.shape[1], 3), _PAPER, np.uint8)
    for number, text in enumerate(wrapped, start=1):
        _write(head, text, 12, number * line - line // 4, size)
    return np.vstack([head, paper])


def _wrap(text: str, width: int, size: float) -> list[str]:
    """The text in lines of so many pixels; a no-break space holds together what is beside it."""
    (needed, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.5 * size, 1)
    letters = max(int(0.95 * width * len(text) / max(needed, 1)), 1)
    return textwrap.wrap(text, letters, break_on_hyphens=False) or [""]


def _text_size(width: int, height: int) -> float:
    """How large the text of a sheet is, so that it is read where the whole sheet is looked at."""
    return max(width / _SCREEN[0], height / _SCREEN[1], 1.0)


def _write(paper: Bytes, text: str, x: int, y: int, size: float = 1.0) -> None:
    plain = text.replace("\N{NO-BREAK SPACE}", " ")
    cv2.putText(
        paper,
        plain,
        (x, y),
        cv2.FONT_HERSHEY_SIMPLEX,
        0.5 * size,
        _INK,
        max(round(size), 1),
        cv2.LINE_AA,
    )
