"""Plots as SVG text, for a page or as a file; `STYLE` gives them colours in light and in dark.

Marks take the classes `c0` … `c7` (colours), `none` (no colour) and `bad`; lines and letters are
`axis`, `tick`, `name` and `title`.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from understudy.printable import printable

Lines = Mapping[str, tuple[Sequence[float], Sequence[float]]]
Markers = Sequence[tuple[float, str]]

WIDTH = 960
COLOR_COUNT = 8
_LEFT, _RIGHT = 60, 12
_LANES = 40
# Of curves: where axes lie, and how much room title, legend and its rows take in a file.
_CURVES_HEIGHT, _CURVES_TOP, _CURVES_FLOOR = 300, 10, 260
_TITLE, _LEGEND, _LEGEND_ROW = 38, 220, 20
_MARKER_LETTERS = 24
_NOTHING = "nothing measured yet"

# Colours and line styles of plots, in light and in dark: for a page, or inside a file.
STYLE: Final = """
:root{color-scheme:light dark;--card:#fff;--ink:#1c1d1f;--soft:#66696e;--line:#e3e3de;
--fill:#f0f0ec;--bad:#c8322b;
--c0:#2a78d6;--c1:#eb6834;--c2:#1b9f78;--c3:#c98a00;--c4:#d0528d;--c5:#3f8a2c;--c6:#5b4bc0;
--c7:#7a6a5a}
@media(prefers-color-scheme:dark){:root{--card:#1e2024;--ink:#e9e9e6;--soft:#9b9ea5;
--line:#33363c;--fill:#26282d;--bad:#ef6a60;
--c0:#5a9df0;--c1:#f08a5b;--c2:#3cc09a;--c3:#dfae3e;--c4:#e681b1;--c5:#7cc05f;--c6:#9d90ee;
--c7:#b9a48e}}
.c0{--c:var(--c0)}.c1{--c:var(--c1)}.c2{--c:var(--c2)}.c3{--c:var(--c3)}.c4{--c:var(--c4)}
.c5{--c:var(--c5)}.c6{--c:var(--c6)}.c7{--c:var(--c7)}.none{--c:var(--soft)}
svg g{fill:var(--c)}svg .pale{fill-opacity:.28}svg .bad{fill:var(--bad)}
svg .line path{fill:none;stroke:var(--c);stroke-width:1.6}
svg .dashed path{stroke-dasharray:6 3}
svg .track{fill:var(--fill)}svg .ground{fill:var(--card)}
svg .axis{stroke:var(--line);fill:none}svg .middle{stroke:var(--ink);stroke-dasharray:3 3;fill:none}
svg .tick{fill:var(--soft);font:12px system-ui,sans-serif}
svg .name{fill:var(--ink);font:13px system-ui,sans-serif}
svg .title{fill:var(--ink);font:600 16px system-ui,sans-serif}
"""


@dataclass(frozen=True)
class CurvePlot:
    """One plot of a file.

    lines, markers, is_logarithmic: as for `draw_curves`. x_name: what x counts.
    """

    title: str
    lines: Lines
    markers: Markers = ()
    is_logarithmic: bool = True
    x_name: str = "iteration"


@dataclass(frozen=True)
class Bar:
    """What lasts on a timeline.

    solid, pale: positions (frames) where it is there, and where it is only supposed to be.
    """

    name: str
    color: int
    solid: NDArray[np.int64]
    pale: NDArray[np.int64]


def draw_timeline(
    bars: Sequence[Bar], bad: NDArray[np.int64], span: tuple[int, int], label: str
) -> str:
    """Draw bars over positions, and a strip of the bad positions below them.

    Bars that overlap lie above each other. However long, the plot stays small: what falls on one of
    its columns is drawn once.

    Args:
        bars: In the order of their starts.
        bad: Positions.
        span: First and last position.
        label: What the strip of bad ones is called.

    Returns:
        An SVG element.
    """
    lanes = _lanes(bars)
    count = max(lanes, default=0) + 1
    tall = min(max(220 / count, 4.0), 20.0)
    floor = 8 + count * tall
    axis = Axis(span[0] - 0.5, span[1] + 0.5)
    parts = []
    for bar, lane in zip(bars, lanes, strict=True):
        y = 8 + lane * tall
        for positions, shade in ((bar.pale, " pale"), (bar.solid, "")):
            rects = "".join(
                draw_rect(x, y, width, tall - 1.5) for x, width in axis.columns(positions)
            )
            parts.append(
                f'<g class="{_color_class(bar.color)}{shade}">'
                f"<title>{escape_text(bar.name)}</title>{rects}</g>"
            )
    strip = "".join(draw_rect(x, floor + 4, width, 8) for x, width in axis.columns(bad))
    parts.append(draw_rect(_LEFT, floor + 4, WIDTH - _LEFT - _RIGHT, 8, "track"))
    parts.append(f'<g class="bad"><title>{escape_text(label)}</title>{strip}</g>')
    parts.append(
        f'<text class="tick" x="{_LEFT - 8}" y="{floor + 12}"'
        f' text-anchor="end">{escape_text(label)}</text>'
    )
    parts.append(axis.drawn(floor + 20))
    return wrap_svg(WIDTH, floor + 44, "timeline", parts)


def draw_histogram(
    values: ArrayLike,
    unit: str,
    bins: int = 24,
    low: float | None = None,
    high: float | None = None,
) -> str:
    """Draw how often each value occurs.

    Args:
        values: (N,); what is not finite is left out.
        unit: Of the values, for the tooltips.
        bins: How many.
        low: Left end of the axis; None = the lowest value.
        high: Right end; None = the highest value.

    Returns:
        An SVG element, or a paragraph where there is nothing to draw.
    """
    each = np.asarray(values, np.float64)
    each = each[np.isfinite(each)]
    if not len(each):
        return '<p class="none">nothing measured</p>'
    start = float(each.min()) if low is None else low
    end = max(float(each.max()) if high is None else high, start + 1e-6)
    counts, edges = np.histogram(np.clip(each, start, end), bins, (start, end))
    width, height, top = 320, 130, 8
    axis = Axis(start, end, width, left=10)
    scale = (height - top - 24) / max(int(counts.max()), 1)
    parts = []
    for number, count in enumerate(counts):
        x0, x1, tall = axis.at(edges[number]), axis.at(edges[number + 1]), count * scale
        told = f"{edges[number]:.3g} to {edges[number + 1]:.3g} {unit}: {count}"
        parts.append(
            f'<g class="c0"><title>{escape_text(told)}</title>'
            f"{draw_rect(x0 + 0.5, height - 24 - tall, x1 - x0 - 1, tall)}</g>"
        )
    middle = axis.at(float(np.clip(np.median(each), start, end)))
    parts.append(
        f'<path class="middle" d="M{middle:.1f} {top}V{height - 24}"><title>median'
        f" {np.median(each):.3g} {escape_text(unit)}</title></path>"
    )
    return wrap_svg(width, height, f"histogram, {unit}", [*parts, axis.drawn(height - 24)])


def draw_heatmap(
    x: ArrayLike,
    y: ArrayLike,
    step: float,
    least: tuple[float, float],
    sides: tuple[str, str, str, str],
) -> str:
    """Draw how often each pair (x, y) occurs, in squares.

    Both axes run from high to low, so that left is +x and up +y.

    Args:
        x: (N,).
        y: (N,).
        step: Side of a square.
        least: So far each axis reaches at least, both ways.
        sides: What lies at the left, right, top and bottom.

    Returns:
        An SVG element.
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
    parts = [draw_rect(40, 22, width - 80, height - 44, "track")]
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
        square = draw_rect(left + 0.5, top + 0.5, cell - 1, cell - 1)
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
            f' text-anchor="{anchor}">{escape_text(side)}</text>'
        )
    return wrap_svg(width, height, "heat map", parts)


def draw_curves(lines: Lines, markers: Markers, is_logarithmic: bool) -> str:
    """Draw named lines of (x, y), x from 0, each in the colour of its place.

    Args:
        lines: x and y by name. On a logarithmic axis what is not above 0 is left out.
        markers: x and text of what happened there; the text shows as a tooltip.
        is_logarithmic: Whether the y axis is.

    Returns:
        An SVG element, or a paragraph where there is nothing to draw.
    """
    parts = _curve_parts(lines, markers, is_logarithmic, is_labelled=False)
    if not parts:
        return f'<p class="none">{_NOTHING}</p>'
    return wrap_svg(WIDTH, _CURVES_HEIGHT, "curves", parts)


def draw_curves_file(plots: Sequence[CurvePlot]) -> str:
    """Draw plots below one another as an SVG file with its own colours, titles and legends."""
    width, parts, y = WIDTH + _LEGEND, [], 0.0
    for plot in plots:
        drawn = _curve_parts(plot.lines, plot.markers, plot.is_logarithmic, is_labelled=True)
        if not drawn:
            drawn = [f'<text class="tick" x="{_LEFT}" y="40">{_NOTHING}</text>']
        title = f'<text class="title" x="{_LEFT}" y="28">{escape_text(plot.title)}</text>'
        x_name = (
            f'<text class="tick" x="{WIDTH + 6}" y="{_CURVES_FLOOR + 17}">'
            f"{escape_text(plot.x_name)}</text>"
        )
        inside = "".join([*drawn, x_name, *_legend(plot.lines)])
        parts.append(f'<g transform="translate(0 {y:.0f})">{title}')
        parts.append(f'<g transform="translate(0 {_TITLE})">{inside}</g></g>')
        y += _TITLE + max(_CURVES_HEIGHT, 10 + _LEGEND_ROW * len(plot.lines)) + 10
    style = f"<style>{STYLE}</style>"
    ground = draw_rect(0, 0, width, y, "ground")
    return wrap_svg(width, y, "curves", [style, ground, *parts]) + "\n"


def _curve_parts(
    lines: Lines, markers: Markers, is_logarithmic: bool, is_labelled: bool
) -> list[str]:
    """Axes, markers and lines; empty where there is nothing to draw."""
    kept = {name: _points(*line, is_logarithmic) for name, line in lines.items()}
    if not any(len(line) for line in kept.values()):
        return []
    every = np.concatenate(list(kept.values()))
    across = Axis(0, max(float(every[:, 0].max()), *(x for x, _ in markers), 1))
    low, high = float(every[:, 1].min()), float(every[:, 1].max())
    high = max(high, low + 1e-3)
    up = Axis(low, high, _CURVES_FLOOR - _CURVES_TOP, left=0, right=0)
    parts = []
    for value in _log_ticks(low, high) if is_logarithmic else _ticks(low, high):
        y = _CURVES_FLOOR - up.at(value)
        shown = 10**value if is_logarithmic else value
        parts.append(f'<path class="axis" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>')
        parts.append(
            f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}"'
            f' text-anchor="end">{shown:.3g}</text>'
        )
    for place, (x, text) in enumerate(markers):
        parts.append(_marker(across.at(x), text, place, is_labelled))
    for place, (name, line) in enumerate(kept.items()):
        path = "L".join(f"{across.at(x):.1f} {_CURVES_FLOOR - up.at(y):.1f}" for x, y in line)
        if path:
            parts.append(
                f'<g class="{_line_class(place)}"><title>{escape_text(name)}</title><path'
                f' d="M{path}"/></g>'
            )
    return [*parts, across.drawn(_CURVES_FLOOR)]


def _marker(x: float, text: str, place: int, is_labelled: bool) -> str:
    """A line at x with its text as a tooltip; is_labelled: also beside it, cut where it is long."""
    line = (
        f'<path class="middle" d="M{x:.1f} {_CURVES_TOP}V{_CURVES_FLOOR}">'
        f"<title>{escape_text(text)}</title></path>"
    )
    if not is_labelled:
        return line
    short = text if len(text) <= _MARKER_LETTERS else f"{text[: _MARKER_LETTERS - 1]}…"
    # Near the right edge it stands on the other side of its line.
    anchor, side = ("end", -4) if x > WIDTH - 160 else ("start", 4)
    y = _CURVES_FLOOR - 6 - 14 * (place % 6)
    return (
        f'{line}<text class="tick" x="{x + side:.1f}" y="{y}"'
        f' text-anchor="{anchor}">{escape_text(short)}</text>'
    )


def _legend(names: Iterable[str]) -> list[str]:
    parts = []
    for place, name in enumerate(names):
        y = _CURVES_TOP + 8 + _LEGEND_ROW * place
        parts.append(
            f'<g class="{_line_class(place)}"><path d="M{WIDTH + 6} {y - 4}h18"/></g>'
            f'<text class="name" x="{WIDTH + 32}" y="{y}">{escape_text(name)}</text>'
        )
    return parts


def _line_class(place: int) -> str:
    # After as many lines as there are colours they come again, dashed.
    return f"{_color_class(place)} line{' dashed' if place >= COLOR_COUNT else ''}"


class Axis:
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
        """Where a value lies, in pixels."""
        return self._left + (value - self._low) / (self._high - self._low) * self._width

    def columns(self, positions: NDArray[np.int64]) -> list[tuple[float, float]]:
        """(x, width) of the runs of whole positions, each at least a unit wide."""
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
        """The axis with its ticks, at this height."""
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


def _points(x: Sequence[float], y: Sequence[float], is_logarithmic: bool) -> NDArray[np.float64]:
    """What of a line can be drawn, (n, 2); y as its power of ten on a logarithmic axis."""
    line = np.stack([np.asarray(x, np.float64), np.asarray(y, np.float64)], 1)
    line = line[np.isfinite(line[:, 1]) & ((line[:, 1] > 0) | (not is_logarithmic))]
    return np.stack([line[:, 0], np.log10(line[:, 1])], 1) if is_logarithmic else line


def _lanes(bars: Sequence[Bar]) -> list[int]:
    """The lowest lane that is free for each bar, at most `_LANES`."""
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


def _log_ticks(low: float, high: float) -> list[float]:
    """Round values between two powers of ten, as powers of ten."""
    steps: tuple[float, ...] = (1, 2, 5) if high - low < 3 else (1,)
    if high - low < 0.8:
        steps = (1, 1.5, 2, 3, 4, 5, 6, 8)
    powers = range(math.floor(low), math.ceil(high) + 1)
    values = [power + math.log10(step) for power in powers for step in steps]
    inside = [value for value in values if low <= value <= high]
    # A span in which no round value lies.
    return inside if len(inside) > 1 else [low, high]


def _color_class(color: int) -> str:
    return f"c{color % COLOR_COUNT}" if color >= 0 else "none"


def draw_rect(x: float, y: float, width: float, height: float, kind: str = "") -> str:
    """A rectangle of a class, or of none."""
    named = f' class="{kind}"' if kind else ""
    return (
        f'<rect{named} x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}"'
        f' height="{max(height, 0):.1f}"/>'
    )


def wrap_svg(width: float, height: float, name: str, parts: Sequence[str]) -> str:
    """An SVG element of so many pixels with these parts. name: what is read out in its place."""
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img"'
        f' aria-label="{escape_text(name)}">{"".join(parts)}</svg>'
    )


def escape_text(text: str) -> str:
    """Text as XML has it, which knows no control characters."""
    return html.escape(printable(text))
