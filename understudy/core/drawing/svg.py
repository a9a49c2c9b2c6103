"""Plots for a page, as SVG text: the page's style sheet gives them their colours, so they follow
light and dark.

Marks take the classes `c0` … `c7` (kinds), `none` (no kind) and `bad`; lines and letters are
`axis`, `tick` and `name`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import ArrayLike, NDArray

WIDTH = 960
KINDS = 8
_LEFT, _RIGHT = 60, 12
_LANES = 40


@dataclass(frozen=True)
class Bar:
    """What lasts on a timeline. solid, pale: positions (frames) where it is there, and where it is
    only supposed to be.
    """

    name: str
    kind: int
    solid: NDArray[np.int64]
    pale: NDArray[np.int64]


def timeline(bars: Sequence[Bar], bad: NDArray[np.int64], span: tuple[int, int], label: str) -> str:
    """Bars over positions, as many above each other as overlap; below them a strip of the bad
    positions.

    span: first and last position. label: what the strip of bad ones is called. However long, the
    plot stays small: what falls on one of its columns is drawn once.
    """
    lanes = _lanes(bars)
    count = max(lanes, default=0) + 1
    tall = min(max(220 / count, 4.0), 20.0)
    floor = 8 + count * tall
    axis = _Axis(span[0] - 0.5, span[1] + 0.5)
    parts = []
    for bar, lane in zip(bars, lanes, strict=True):
        y = 8 + lane * tall
        for positions, shade in ((bar.pale, " soft"), (bar.solid, "")):
            rects = "".join(_rect(x, y, width, tall - 1.5) for x, width in axis.columns(positions))
            parts.append(
                f'<g class="{_kind(bar.kind)}{shade}"><title>{escape(bar.name)}</title>{rects}</g>'
            )
    strip = "".join(_rect(x, floor + 4, width, 8) for x, width in axis.columns(bad))
    parts.append(_rect(_LEFT, floor + 4, WIDTH - _LEFT - _RIGHT, 8, "track"))
    parts.append(f'<g class="bad"><title>{escape(label)}</title>{strip}</g>')
    parts.append(
        f'<text class="tick" x="{_LEFT - 8}" y="{floor + 12}"'
        f' text-anchor="end">{escape(label)}</text>'
    )
    parts.append(axis.drawn(floor + 20))
    return _svg(WIDTH, floor + 44, "timeline", parts)


def histogram(
    values: ArrayLike,
    unit: str,
    bins: int = 24,
    low: float | None = None,
    high: float | None = None,
) -> str:
    """How often each value occurs; low, high: ends of the axis, else those of the values."""
    each = np.asarray(values, np.float64)
    each = each[np.isfinite(each)]
    if not len(each):
        return '<p class="none">nothing measured</p>'
    start = float(each.min()) if low is None else low
    end = max(float(each.max()) if high is None else high, start + 1e-6)
    counts, edges = np.histogram(np.clip(each, start, end), bins, (start, end))
    width, height, top = 320, 130, 8
    axis = _Axis(start, end, width, left=10)
    scale = (height - top - 24) / max(int(counts.max()), 1)
    parts = []
    for number, count in enumerate(counts):
        x0, x1, tall = axis.at(edges[number]), axis.at(edges[number + 1]), count * scale
        told = f"{edges[number]:.3g} to {edges[number + 1]:.3g} {unit}: {count}"
        parts.append(
            f'<g class="c0"><title>{escape(told)}</title>'
            f"{_rect(x0 + 0.5, height - 24 - tall, x1 - x0 - 1, tall)}</g>"
        )
    middle = axis.at(float(np.clip(np.median(each), start, end)))
    parts.append(
        f'<path class="middle" d="M{middle:.1f} {top}V{height - 24}"><title>median'
        f" {np.median(each):.3g} {unit}</title></path>"
    )
    return _svg(width, height, f"histogram, {unit}", [*parts, axis.drawn(height - 24)])


def heatmap(
    x: ArrayLike,
    y: ArrayLike,
    step: float,
    least: tuple[float, float],
    sides: tuple[str, str, str, str],
) -> str:
    """How often each pair (x, y) occurs, in squares of `step`; both axes run from high to low, so
    that left is +x and up +y.

    least: so far each axis reaches at least, both ways. sides: what lies at the left, right, top
    and bottom.
    """
    across, up = np.asarray(x, np.float64), np.asarray(y, np.float64)
    reach = [
        math.ceil(max(float(np.abs(v).max(initial=0)), m) / step) * step
        for v, m in zip((across, up), least, strict=True)
    ]
    edges = [np.arange(-each, each + step / 2, step) for each in reach]
    counts = np.histogram2d(across, up, bins=edges)[0].astype(int)
    cell = min(420 / counts.shape[0], 260 / counts.shape[1])
    width, height = cell * counts.shape[0] + 80, cell * counts.shape[1] + 44
    parts = [_rect(40, 22, width - 80, height - 44, "track")]
    for column, row in np.argwhere(counts):
        share = 0.25 + 0.75 * math.sqrt(counts[column, row] / counts.max())
        here, there = edges[0][column : column + 2], edges[1][row : row + 2]
        told = (
            f"{here[0]:+.0f}..{here[1]:+.0f}, {there[0]:+.0f}..{there[1]:+.0f}:"
            f" {counts[column, row]}"
        )
        left, top = (
            40 + cell * (counts.shape[0] - 1 - column),
            22 + cell * (counts.shape[1] - 1 - row),
        )
        square = _rect(left + 0.5, top + 0.5, cell - 1, cell - 1)
        parts.append(f'<g class="c0" fill-opacity="{share:.2f}"><title>{told}</title>{square}</g>')
    middle, centre = width / 2, height / 2
    parts.append(
        f'<path class="axis" d="M{middle:.1f} 22V{height - 22:.1f}M40'
        f' {centre:.1f}H{width - 40:.1f}"/>'
    )
    places = (
        (34, centre + 4, "end"),
        (width - 34, centre + 4, "start"),
        (middle, 14, "middle"),
        (middle, height - 8, "middle"),
    )
    for (left, top, anchor), side in zip(places, sides, strict=True):
        parts.append(
            f'<text class="tick" x="{left:.1f}" y="{top:.1f}"'
            f' text-anchor="{anchor}">{escape(side)}</text>'
        )
    return _svg(width, height, "heat map", parts)


def curves(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    marks: Sequence[tuple[float, str]],
    logarithmic: bool,
) -> str:
    """Named lines of (x, y), x from 0, each in the colour of its place. marks: x and name of what
    happened there.

    On a logarithmic axis what is not above 0 is left out.
    """
    kept = {name: _points(*line, logarithmic) for name, line in lines.items()}
    if not any(len(line) for line in kept.values()):
        return '<p class="none">nothing measured yet</p>'
    every = np.concatenate(list(kept.values()))
    height, top, floor = 300, 10, 260
    across = _Axis(0, max(float(every[:, 0].max()), *(x for x, _ in marks), 1))
    low, high = float(every[:, 1].min()), float(every[:, 1].max())
    up = _Axis(low, max(high, low + 1e-3), floor - top, left=0, right=0)
    parts = []
    for value in _ticks(low, max(high, low + 1e-3)):
        y = floor - up.at(value)
        shown = 10**value if logarithmic else value
        parts.append(f'<path class="axis" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>')
        parts.append(
            f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}"'
            f' text-anchor="end">{shown:.3g}</text>'
        )
    for x, name in marks:
        parts.append(
            f'<path class="middle" d="M{across.at(x):.1f}'
            f' {top}V{floor}"><title>{escape(name)}</title></path>'
        )
    for place, (name, line) in enumerate(kept.items()):
        track = "L".join(f"{across.at(x):.1f} {floor - up.at(y):.1f}" for x, y in line)
        parts.append(
            f'<g class="c{place % KINDS} line"><title>{escape(name)}</title><path'
            f' d="M{track}"/></g>'
            if track
            else ""
        )
    return _svg(WIDTH, height, "curves", [*parts, across.drawn(floor)])


class _Axis:
    """Values from `low` to `high` along the width of a plot."""

    def __init__(
        self,
        low: float,
        high: float,
        width: float = WIDTH,
        left: float = _LEFT,
        right: float = _RIGHT,
    ) -> None:
        self._low, self._high = low, max(high, low + 1e-9)
        self._left, self._width = left, width - left - right

    def at(self, value: float) -> float:
        return self._left + (value - self._low) / (self._high - self._low) * self._width

    def columns(self, positions: NDArray[np.int64]) -> list[tuple[float, float]]:
        """(x, width) of the runs of whole positions, none narrower than a unit, those that touch
        joined.
        """
        if not len(positions):
            return []
        unit = (self._high - self._low) / self._width
        each = np.unique(positions)
        ends = np.flatnonzero(np.diff(each) > max(1, unit)) + 1
        runs = [(float(run[0]), float(run[-1])) for run in np.split(each, ends)]
        return [
            (self.at(first - 0.5), max(self.at(last + 0.5) - self.at(first - 0.5), 1.0))
            for first, last in runs
        ]

    def drawn(self, y: float) -> str:
        end = self._left + self._width
        parts = [f'<path class="axis" d="M{self._left} {y:.1f}H{end}"/>']
        for value in _ticks(self._low, self._high):
            x = self.at(value)
            parts.append(f'<path class="axis" d="M{x:.1f} {y:.1f}v4"/>')
            parts.append(
                f'<text class="tick" x="{x:.1f}" y="{y + 17:.1f}"'
                f' text-anchor="middle">{value:g}</text>'
            )
        return "".join(parts)


def _points(x: Sequence[float], y: Sequence[float], logarithmic: bool) -> NDArray[np.float64]:
    """What of a line can be drawn, (n, 2); y as its power of ten on a logarithmic axis."""
    line = np.stack([np.asarray(x, np.float64), np.asarray(y, np.float64)], 1)
    line = line[np.isfinite(line[:, 1]) & ((line[:, 1] > 0) | (not logarithmic))]
    return np.stack([line[:, 0], np.log10(line[:, 1])], 1) if logarithmic else line


def _lanes(bars: Sequence[Bar]) -> list[int]:
    """The lowest lane that is free for each bar, at most `_LANES`; bars come in the order of their
    starts.
    """
    ends: list[int] = []
    lanes = []
    for bar in bars:
        every = np.concatenate([bar.solid, bar.pale])
        start, end = (int(every.min()), int(every.max())) if len(every) else (0, 0)
        free = next((lane for lane, taken in enumerate(ends) if taken < start), len(ends))
        lane = min(free, _LANES - 1)
        ends[lane : lane + 1] = [max(end, ends[lane] if lane < len(ends) else end)]
        lanes.append(lane)
    return lanes


def _ticks(low: float, high: float) -> list[float]:
    rough = (high - low) / 6
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(each * power for each in (1, 2, 5, 10) if each * power >= rough)
    return [
        round(step * number, 10)
        for number in range(math.ceil(low / step), math.floor(high / step) + 1)
    ]


def _kind(kind: int) -> str:
    return f"c{kind % KINDS}" if kind >= 0 else "none"


def _rect(x: float, y: float, width: float, height: float, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return (
        f'<rect{named} x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}"'
        f' height="{max(height, 0):.1f}"/>'
    )


def _svg(width: float, height: float, name: str, parts: Sequence[str]) -> str:
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img"'
        f' aria-label="{escape(name, quote=True)}">{"".join(parts)}</svg>'
    )
