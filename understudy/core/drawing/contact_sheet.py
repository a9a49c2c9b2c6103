"""Contact sheets: labelled rows of pictures side by side, so that a person can judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from understudy.core import affine
from understudy.core.image import as_bytes, as_float, resize, warp
from understudy.types import Array, Bytes, Floats

_GAP, _HEADER = 6, 26
_PAPER, _INK = 24, (225, 225, 225)
_GRID_HEADER, _GRID_INK = 22, (40, 40, 40)


def draw_contact_sheet(rows: dict[str, list[Bytes]], captions: list[str] | None = None) -> Bytes:
    """Draw a labelled row of pictures for each entry.

    Args:
        rows: Pictures (H, W, 3) uint8 RGB by the name of their row, all of one size.
        captions: One for each column, above the first row.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    height, width = next(iter(rows.values()))[0].shape[:2]
    columns = max(len(pictures) for pictures in rows.values())
    label = 30 + 11 * max(len(name) for name in rows)
    top = _HEADER if captions else _GAP
    paper = np.full(
        (top + len(rows) * (height + _GAP), label + columns * (width + _GAP), 3), _PAPER, np.uint8
    )
    for column, text in enumerate(captions or []):
        _write(paper, text, label + column * (width + _GAP) + 2, top - 9)
    for row, (name, pictures) in enumerate(rows.items()):
        y = top + row * (height + _GAP)
        _write(paper, name, 12, y + height // 2)
        for column, picture in enumerate(pictures):
            x = label + column * (width + _GAP)
            paper[y : y + height, x : x + width] = picture
    return paper


def draw_tiles(pictures: Sequence[tuple[str, Array]], columns: int, side: int) -> Bytes:
    """Draw named pictures of any size, each as large as it can be in its tile, its name above.

    Args:
        pictures: (H, W) or (H, W, 3), uint8, uint16, or float32 in 0..1.
        columns: Tiles in a row.
        side: Side of a tile in pixels.

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
    return paper


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


def _write(paper: Bytes, text: str, x: int, y: int) -> None:
    cv2.putText(paper, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _INK, 1, cv2.LINE_AA)
