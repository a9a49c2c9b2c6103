"""Pictures for people: labelled grids of faces, and curves of losses. RGB uint8."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from understudy.core.image import as_bytes
from understudy.types import Array, Bytes, Floats

INK, PAPER, LINE, MARK = (40, 40, 40), (255, 255, 255), (222, 222, 222), (150, 150, 150)
COLORS = (
    *(
        (31, 119, 180),
        (214, 89, 13),
        (44, 140, 44),
        (180, 40, 40),
        (120, 90, 170),
        (110, 80, 70),
        (40, 150, 160),
    ),
    *((205, 160, 20), (225, 105, 175), (95, 95, 95), (150, 185, 50), (10, 50, 110)),
)
FONT = cv2.FONT_HERSHEY_SIMPLEX
LEFT, RIGHT, TOP, BOTTOM = 76, 150, 44, 46


def grid(columns: Mapping[str, Floats | Bytes], gap: int = 2) -> Bytes:
    """Pictures (n, S, S, 3) or masks (n, S, S) of equal size, a column each, its name above."""
    shown = []
    for name, pictures in columns.items():
        tiles = [_tile(picture, gap) for picture in pictures]
        head = np.full((22, tiles[0].shape[1], 3), PAPER, np.uint8)
        shown.append(np.vstack([_written(head, name, (3, 16)), *tiles]))
    return np.hstack(shown)


def curves(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    title: str,
    size: tuple[int, int] = (960, 480),
    marks: Sequence[tuple[float, str]] = (),
) -> Bytes:
    """Named lines of (x, y), y on a logarithmic axis, x from 0. Values that are not above 0 are
    left out.

    marks: x and name of what happened there.
    """
    width, height = size
    picture = np.full((height, width, 3), PAPER, np.uint8)
    kept = {name: _positive(*line) for name, line in lines.items()}
    kept = {name: line for name, line in kept.items() if len(line)}
    _written(picture, title, (LEFT, 26), 0.55)
    if not kept:
        return _written(picture, "nothing measured yet", (LEFT, height // 2))
    every = np.concatenate(list(kept.values()))
    end = max(float(every[:, 0].max()), *(x for x, _ in marks), 1.0)
    low, high = _decades(float(every[:, 1].min()), float(every[:, 1].max()))

    def at(x: float, y: float) -> tuple[int, int]:
        across = LEFT + x / end * (width - LEFT - RIGHT)
        down = TOP + (high - math.log10(y)) / (high - low) * (height - TOP - BOTTOM)
        return round(across), round(down)

    for value in _log_ticks(low, high):
        _, down = at(0, value)
        cv2.line(picture, (LEFT, down), (width - RIGHT, down), LINE)
        _written(picture, f"{value:.4g}".rjust(7), (6, down + 5))
    for value in _ticks(end):
        across, floor = at(value, 10**low)
        cv2.line(picture, (across, TOP), (across, floor), LINE)
        _written(picture, f"{value:g}", (across - 5 * len(f"{value:g}"), height - BOTTOM + 20))
    _written(picture, "iteration", (width - RIGHT + 12, height - BOTTOM + 20))
    for place, (value, name) in enumerate(marks):
        across, floor = at(value, 10**low)
        cv2.line(picture, (across, TOP), (across, floor), MARK)
        _written(picture, name, (across + 4, floor - 6 - 14 * (place % 3)), 0.38)
    for place, (name, line) in enumerate(kept.items()):
        color = COLORS[place % len(COLORS)]
        points = np.array([at(x, y) for x, y in line], np.int32)
        cv2.polylines(picture, [points], False, color, 2 if len(points) < 400 else 1, cv2.LINE_AA)
        row = TOP + 12 + 22 * place
        cv2.line(picture, (width - RIGHT + 12, row - 4), (width - RIGHT + 30, row - 4), color, 3)
        _written(picture, name, (width - RIGHT + 36, row))
    return picture


def png(picture: Array) -> bytes:
    """The picture as a PNG file."""
    done, data = cv2.imencode(".png", cv2.cvtColor(as_bytes(picture), cv2.COLOR_RGB2BGR))
    assert done
    return data.tobytes()


def _tile(picture: Array, gap: int) -> Bytes:
    flat = as_bytes(np.clip(picture, 0, 1) if picture.dtype != np.uint8 else picture)
    color = flat if flat.ndim == 3 else np.repeat(flat[..., None], 3, 2)
    return cv2.copyMakeBorder(color, 0, gap, 0, gap, cv2.BORDER_CONSTANT, value=PAPER).astype(
        np.uint8
    )


def _written(picture: Bytes, text: str, at: tuple[int, int], scale: float = 0.45) -> Bytes:
    cv2.putText(picture, text, at, FONT, scale, INK, 1, cv2.LINE_AA)
    return picture


def _positive(x: Sequence[float], y: Sequence[float]) -> Floats:
    line = np.stack([np.asarray(x, np.float64), np.asarray(y, np.float64)], 1)
    return line[np.isfinite(line[:, 1]) & (line[:, 1] > 0)]  # type: ignore[return-value]


def _decades(low: float, high: float) -> tuple[float, float]:
    """The axis's ends as powers of ten, with a little air and never too thin a slice."""
    bottom, top = math.log10(low), math.log10(high)
    air = max(0.05 * (top - bottom), (0.5 - (top - bottom)) / 2, 0.02)
    return bottom - air, top + air


def _log_ticks(low: float, high: float) -> list[float]:
    steps = (1, 2, 5) if high - low < 3 else (1,)
    if high - low < 0.8:
        steps = (1, 1.5, 2, 3, 4, 5, 6, 8)  # type: ignore[assignment]
    values = [
        step * 10.0**power for power in range(math.floor(low), math.ceil(high)) for step in steps
    ]
    return [value for value in values if low <= math.log10(value) <= high]


def _ticks(end: float) -> list[float]:
    rough = end / 6
    power = 10 ** math.floor(math.log10(rough))
    step = next(each * power for each in (1, 2, 5, 10) if each * power >= rough)
    return [step * number for number in range(math.floor(end / step) + 1)]
