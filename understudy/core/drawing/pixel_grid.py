"""A frame to measure on: a grid with the numbers of its pixels, and dark pictures made visible."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from understudy.core.image import brighten
from understudy.types import Bytes

# About so many numbered lines lie along the longer side, each in so many parts.
_LINES: Final = 12
_PARTS: Final = 5
# How strongly the lines cover the picture.
_THIN: Final = 0.12
_PLAIN: Final = 0.45
_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX


def draw_pixel_grid(image: Bytes) -> Bytes:
    """Draw a grid onto a copy of the picture, its lines numbered in pixels.

    A line is one pixel wide and lies on the pixels whose number it bears; it is light where the
    picture is dark, and dark where it is light. No pixel moves: what a viewer says of the cursor
    holds for the frame.

    Args:
        image: (H, W, 3) uint8.

    Returns:
        (H, W, 3) uint8.
    """
    drawn = brighten(image)
    height, width = drawn.shape[:2]
    step = _step(max(width, height))
    away = np.where(drawn.mean(axis=2, keepdims=True) > 128, 0, 255)
    for part, strength in ((max(step // _PARTS, 1), _THIN), (step, _PLAIN)):
        on_line = np.zeros((height, width, 1), bool)
        on_line[::part] = on_line[:, ::part] = True
        mixed = drawn + strength * (away - drawn)
        drawn = np.where(on_line, np.rint(mixed), drawn).astype(np.uint8)
    _write_numbers(drawn, step)
    return drawn


def _step(side: int) -> int:
    """The round number of pixels between numbered lines."""
    wanted = side / _LINES
    return min((10, 20, 50, 100, 200, 500, 1000, 2000), key=lambda each: abs(each - wanted))


def _write_numbers(drawn: Bytes, step: int) -> None:
    """Number the lines along all four edges."""
    height, width = drawn.shape[:2]
    letters = float(np.clip(min(height, width) / 1200, 0.3, 1.2))
    for x in range(0, width, step):
        for y in (0, height):
            _write(drawn, str(x), x, y, letters)
    for y in range(step, height, step):
        for x in (0, width):
            _write(drawn, str(y), x, y, letters)


def _write(drawn: Bytes, text: str, x: int, y: int, letters: float) -> None:
    """A number on a dark plate, its middle at (x, y) as far as it stays in the picture."""
    (across, up), below = cv2.getTextSize(text, _FONT, letters, 1)
    wide, high = across + 4, up + below + 2
    left = int(np.clip(x - wide // 2, 0, max(drawn.shape[1] - wide, 0)))
    top = int(np.clip(y - high // 2, 0, max(drawn.shape[0] - high, 0)))
    cv2.rectangle(drawn, (left, top), (left + wide - 1, top + high - 1), (12, 12, 12), -1)
    place = (left + 2, top + 1 + up)
    cv2.putText(drawn, text, place, _FONT, letters, (255, 255, 255), 1, cv2.LINE_AA)
