"""Plots that lay one set of faces over another, as SVG: where they look, what they do, their shape.

src has colour 0, dst colour 1, both together 2; what dst has and src lacks is `bad`.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from understudy.core.drawing.svg import Axis, draw_rect, escape_text, wrap_svg
from understudy.types import Doubles

_BIN: Final = 5
# The lines of the 68 points, first and last, and whether they are closed.
_LINES: Final = (
    (0, 17, False),
    (17, 22, False),
    (22, 27, False),
    (27, 31, False),
    (31, 36, False),
    (36, 42, True),
    (42, 48, True),
    (48, 60, True),
    (60, 68, True),
)


def draw_pose_map(
    src: tuple[ArrayLike, ArrayLike],
    dst: tuple[ArrayLike, ArrayLike],
    lacks: ArrayLike,
    least: tuple[float, float] = (45, 30),
) -> str:
    """Draw where the heads of both sides turn, in squares of 5 degrees; left is +yaw, up +pitch.

    Args:
        src: Yaw and pitch, (N,) degrees each.
        dst: The same, (M,).
        lacks: (M,) bool, which of dst's faces show what src lacks.
        least: So far each axis reaches at least, both ways.

    Returns:
        An SVG element.
    """
    pairs = [np.column_stack(each).astype(np.float64).reshape(-1, 2) for each in (src, dst)]
    every = np.abs(np.concatenate(pairs))
    reach = [
        math.ceil(max(float(far), each) / _BIN) * _BIN
        for far, each in zip(every.max(axis=0, initial=0), least, strict=True)
    ]
    edges = [np.arange(-each, each + _BIN / 2, _BIN) for each in reach]
    missing = pairs[1][np.asarray(lacks, bool)]
    ours, theirs, lacking = (
        np.histogram2d(each[:, 0], each[:, 1], bins=edges)[0].astype(int)
        for each in (*pairs, missing)
    )
    cell = min(560 / ours.shape[0], 300 / ours.shape[1])
    width, height = cell * ours.shape[0] + 80, cell * ours.shape[1] + 44
    parts = [draw_rect(40, 22, width - 80, height - 44, "track")]
    for column, row in np.argwhere(ours + theirs):
        left = 40 + cell * (ours.shape[0] - 1 - column)
        top = 22 + cell * (ours.shape[1] - 1 - row)
        here, there = edges[0][column : column + 2], edges[1][row : row + 2]
        counts = (int(each[column, row]) for each in (theirs, ours, lacking))
        told = "yaw {:+.0f}..{:+.0f}, pitch {:+.0f}..{:+.0f}: ".format(*here, *there)
        parts.append(_pose_square(left, top, cell, told, *counts))
    middle, centre = width / 2, height / 2
    parts.append(
        f'<path class="axis" d="M{middle:.1f} 22V{height - 22:.1f}M40 {centre:.1f}'
        f'H{width - 40:.1f}"/>'
    )
    for x, y, anchor, side in (
        (34, centre + 4, "end", "left"),
        (width - 34, centre + 4, "start", "right"),
        (middle, 14, "middle", "up"),
        (middle, height - 8, "middle", "down"),
    ):
        parts.append(_text(x, y, side, anchor))
    return wrap_svg(width, height, "where both look", parts)


def draw_two_histograms(
    src: ArrayLike, dst: ArrayLike, lacks: ArrayLike, factor: float, unit: str, bins: int = 30
) -> str:
    """Draw how often each value occurs on both sides, dst upwards and src downwards.

    Args:
        src: (N,); what is not finite is left out.
        dst: (M,).
        lacks: (M,) bool: dst's faces that src lacks by this value.
        factor: Of the values, before they are drawn.
        unit: Of the values then.
        bins: How many.

    Returns:
        An SVG element, or a paragraph where there is nothing to draw.
    """
    wanted = np.asarray(dst, np.float64) * factor
    known = np.isfinite(wanted)
    ours = np.asarray(src, np.float64) * factor
    ours = ours[np.isfinite(ours)]
    every = np.concatenate([ours, wanted[known]])
    if not len(ours) or not known.any():
        return '<p class="none">nothing measured</p>'
    start, end = float(every.min()), max(float(every.max()), float(every.min()) + 1e-6)
    upper, edges = np.histogram(wanted[known], bins, (start, end))
    missing = np.histogram(wanted[known & np.asarray(lacks, bool)], bins, (start, end))[0]
    lower = np.histogram(ours, bins, (start, end))[0]
    width, half, middle = 320, 56, 64
    axis = Axis(start, end, width, left=10)
    parts = []
    for number in range(bins):
        x0, x1 = axis.at(edges[number]), axis.at(edges[number + 1])
        up, down = upper[number] / upper.max(), lower[number] / lower.max()
        told = (
            f"{edges[number]:.3g} to {edges[number + 1]:.3g} {unit}: dst {upper[number]},"
            f" src {lower[number]}"
        )
        kind = "bad" if 2 * missing[number] > upper[number] else "c1"
        bars = (
            _group(kind, draw_rect(x0 + 0.5, middle - half * up, x1 - x0 - 1, half * up)),
            _group("c0", draw_rect(x0 + 0.5, middle + 1, x1 - x0 - 1, half * down)),
        )
        parts.append(f"<g><title>{escape_text(told)}</title>{''.join(bars)}</g>")
    return wrap_svg(width, 2 * half + 36, f"histograms, {unit}", [*parts, axis.drawn(124)])


def draw_two_shapes(src: Doubles, dst: Doubles) -> str:
    """Draw the 68 points of src's face over those of dst's, (68, 2) each in the same square."""
    every = np.concatenate([src, dst])
    low, high = every.min(axis=0), every.max(axis=0)
    scale = 260 / float((high - low).max())
    parts = [
        _group(f"{color} line", _path((shape - low) * scale + 10))
        for color, shape in (("c1", dst), ("c0", src))
    ]
    width, height = (high - low) * scale + 20
    return wrap_svg(float(width), float(height), "both faces", parts)


def _path(points: Doubles) -> str:
    lines = []
    for first, end, is_closed in _LINES:
        each = "L".join(f"{x:.1f} {y:.1f}" for x, y in points[first:end])
        lines.append(f"M{each}{'Z' if is_closed else ''}")
    return f'<path d="{"".join(lines)}"/>'


def _pose_square(
    left: float, top: float, cell: float, told: str, dst: int, src: int, lacking: int
) -> str:
    """A square: where both show it, pale where src alone does, bad where src lacks it."""
    kind = "c0 pale" if not dst else "bad" if 2 * lacking > dst else "c2"
    share = 1.0 if not dst else min(0.35 + 0.2 * math.log10(dst), 1.0)
    square = draw_rect(left + 0.5, top + 0.5, cell - 1, cell - 1)
    title = escape_text(f"{told}dst {dst}, src {src}")
    opacity = "" if not dst else f' fill-opacity="{share:.2f}"'
    return f'<g class="{kind}"{opacity}><title>{title}</title>{square}</g>'


def _group(kind: str, inside: str) -> str:
    return f'<g class="{kind}">{inside}</g>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return (
        f'<text class="tick" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
        f"{escape_text(text)}</text>"
    )
