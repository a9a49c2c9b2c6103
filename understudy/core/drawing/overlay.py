"""Draws what was found onto the frame, or onto a face picture: why a face is right or wrong."""

from __future__ import annotations

import colorsys
import math
from dataclasses import replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from understudy.core import affine
from understudy.core.face import align
from understudy.core.face.mask import hull_mask
from understudy.core.image import as_bytes, resize
from understudy.types import AlignedFace, Bytes, Doubles, Face, Faces, Floats

Rgb = tuple[int, int, int]

# Lines are one pixel wide on a picture of this height and on a face of this width, and grow with
# the lesser of both.
_FRAME, _FACE = 480, 100
# Sub-pixel places for OpenCV: sixteenths.
_SHIFT: Final = 4
_INK: Final = (12, 12, 12)
_NOBODY: Final = (200, 200, 200)
_IN: Final = (60, 220, 60)
_OUT: Final = (235, 60, 60)
# Side from which on lines and points can be told apart.
_READABLE: Final = 384
_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
# Size of the letters, in units of the pen.
_LETTERS: Final = 0.42
# The lines that the 68 points lie on; True: closed.
_LINES: Final = (
    (range(17), False),
    (range(17, 22), False),
    (range(22, 27), False),
    (range(27, 31), False),
    (range(31, 36), False),
    (range(36, 42), True),
    (range(42, 48), True),
    (range(48, 60), True),
    (range(60, 68), True),
)


def draw_overlay(
    image: Bytes, faces: Faces, face_from_frame: Doubles | None = None, size: int = 0
) -> Bytes:
    """Draw every face onto a copy of the frame, in its track's colour.

    Smoothed landmarks are white dots on their lines, raw ones dark behind them. The hull of the
    points and the detector's box have a darker shade. The outline of the face picture has an arrow
    at its top. A label tells track, person, score, and what became of a mark by hand, or "filled"
    where no detector saw the face: its box then shows corners only. Lines grow with frame and face.

    Args:
        image: (H, W, 3) uint8.
        faces: N faces.
        face_from_frame: (N, 2, 3) to the face pictures; without it no outline is drawn.
        size: Side of the face pictures.

    Returns:
        (H, W, 3) uint8.
    """
    drawn = image.copy()
    labels = _Labels(drawn)
    for row, face in enumerate(faces):
        pen, color = _Pen(drawn, _unit(face, image)), track_color(face.track)
        _box(pen, affine.box_corners(face.box), face.filled, _darker(color))
        _points(pen, face, color)
        around = face.box.reshape(2, 2).astype(np.float64)
        if face_from_frame is not None:
            around = np.vstack(
                [around, _crop(pen, affine.invert(face_from_frame[row]), size, color)]
            )
        labels.add(face, around, color, pen.unit)
    # Labels last: nothing may hide them.
    labels.draw()
    return drawn


def draw_face(face: AlignedFace) -> Bytes:
    """Draw what is known of a face onto a copy of its picture, with a line of text below it.

    Landmarks, raw ones, hull and box are as in `draw_overlay`; the box is turned with the face.
    What the mask leaves out, or without one the hull, is darker, and its edge is white. Outlines
    drawn by hand are green where they include and red where they exclude. A whole frame
    (mark-only) shows the square of the full face. Small pictures are enlarged.

    Returns:
        (H, W, 3) uint8: W is the side of the picture or a multiple of it, H is more by the text.
    """
    times = max(1, math.ceil(_READABLE / face.size))
    side = face.size * times
    larger = affine.scaling(times)
    to_picture = affine.compose(larger, face.face_from_frame)
    carried = replace(
        face.face,
        landmarks=_carry(to_picture, face.face.landmarks),
        raw=None if face.face.raw is None else _carry(to_picture, face.face.raw),
    )
    drawn = resize(face.image, (side, side)).copy()
    mask = hull_mask(carried.landmarks, (side, side)) if face.mask is None else face.mask
    mask = resize(mask, (side, side))
    drawn = as_bytes((drawn * ((1 + mask) / 2 / 255)[:, :, None]).astype(np.float32))
    unit = max(_unit(carried, drawn), 1)
    pen, color = _Pen(drawn, unit), track_color(face.face.track)
    edges, _ = cv2.findContours(as_bytes(mask) // 128, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    for edge in edges:
        pen.line(edge[:, 0], (255, 255, 255), 0.75, closed=True, rim=False)
    corners = affine.apply(to_picture, affine.box_corners(face.face.box))
    _box(pen, corners, face.face.filled, _darker(color))
    if face.face_type == "mark-only":
        full = align.face_from_frame(carried.landmarks, "full", side)
        _crop(pen, affine.invert(full), side, color)
    _points(pen, carried, color)
    for outline in face.polygons:
        pen.line(
            affine.apply(larger, outline.points),
            _IN if outline.includes else _OUT,
            1.5,
            closed=True,
        )
    return np.vstack([drawn, _caption(face, side)])


def track_color(track: int) -> Rgb:
    """Return a bright colour, unlike those of the tracks before and after; grey without a track."""
    if track < 0:
        return _NOBODY
    # Steps of the golden ratio around the colour wheel never meet again soon.
    red, green, blue = colorsys.hls_to_rgb((0.33 + track * 0.618034) % 1, 0.65, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)


def _darker(color: Rgb) -> Rgb:
    return color[0] * 5 // 8, color[1] * 5 // 8, color[2] * 5 // 8


def _unit(face: Face, image: Bytes) -> float:
    """The pen's width for a face, in pixels."""
    width = float(np.ptp(face.landmarks[:, 0]))
    return float(np.clip(min(min(image.shape[:2]) / _FRAME, width / _FACE), 0.5, None))


def _crop(pen: _Pen, frame_from_face: Doubles, size: int, color: Rgb) -> Doubles:
    """Draw the outline of the face picture and its arrow; returns their corners."""
    outline = affine.apply(frame_from_face, affine.corners((size, size)))
    # From the middle of the top edge upwards, a twelfth of the picture long.
    middle, step = size / 2 - 0.5, size / 12
    arrow = np.array(
        [
            [middle, -0.5],
            [middle, -0.5 - step],
            [middle - step / 2, -0.5 - step / 2],
            [middle + step / 2, -0.5 - step / 2],
        ]
    )
    foot, tip, left, right = affine.apply(frame_from_face, arrow)
    pen.line(outline, color, 1.5, closed=True)
    pen.line([foot, tip], color, 1.5)
    pen.line([left, tip, right], color, 1.5)
    return np.vstack([outline, tip])


def _carry(to_from: Doubles, points: Floats) -> Floats:
    return affine.apply(to_from, points).astype(np.float32)


def _caption(face: AlignedFace, width: int) -> Bytes:
    """A strip as wide as the picture: of what it is, in as many lines as that takes."""
    pitch, yaw, roll = np.degrees(face.face.pose)
    parts = [
        f"{face.source} frame {face.face.frame}".strip(),
        _label_text(face.face, short=False),
        f"pitch {pitch:+.0f} yaw {yaw:+.0f} roll {roll:+.0f}",
        f"{face.face_type} {face.size}",
    ]
    lines = [parts[0]]
    for part in parts[1:]:
        if _label_size(joined := f"{lines[-1]}  {part}", 1)[0] <= width:
            lines[-1] = joined
        else:
            lines.append(part)
    height = _label_size("Ag", 1)[1]
    strip = np.full((height * len(lines), width, 3), _INK, np.uint8)
    for number, line in enumerate(lines):
        # The letters that OpenCV has; others come out as question marks.
        cv2.putText(
            strip,
            line,
            (4, height * (number + 1) - 8),
            _FONT,
            _LETTERS,
            track_color(face.face.track),
            1,
            cv2.LINE_AA,
        )
    return strip


def _box(pen: _Pen, corners: Doubles, is_filled: bool, color: Rgb) -> None:
    """corners: (4, 2) of the detector's box, in order."""
    if is_filled:
        # Nobody saw this face: only the corners of its box are drawn.
        for corner in range(4):
            before, here, after = corners[corner - 1], corners[corner], corners[(corner + 1) % 4]
            pen.line([here + 0.15 * (before - here), here, here + 0.15 * (after - here)], color, 1)
    else:
        pen.line(corners, color, 1, closed=True)


def _points(pen: _Pen, face: Face, color: Rgb) -> None:
    hull = cv2.convexHull(np.asarray(face.landmarks, np.float32))[:, 0]
    pen.line(hull, _darker(color), 1, closed=True, rim=False)
    if face.raw is not None:
        pen.dots(face.raw, _INK, 1.25)
    for rows, closed in _LINES:
        pen.line(face.landmarks[list(rows)], color, 0.75, closed=closed, rim=False)
    pen.dots(face.landmarks, (255, 255, 255), 1.0)


class _Pen:
    """Draws on one picture, anti-aliased, with a dark rim so that every colour shows everywhere."""

    def __init__(self, picture: Bytes, unit: float) -> None:
        self._picture, self.unit = picture, unit

    def line(
        self, points: ArrayLike, color: Rgb, width: float, closed: bool = False, rim: bool = True
    ) -> None:
        """A line through (N, 2) points; width in units of the pen."""
        corners = [_fixed_point(points)]
        thick = max(round(width * self.unit), 1)
        if rim:
            cv2.polylines(
                self._picture,
                corners,
                closed,
                _INK,
                thick + max(round(self.unit), 1) * 2,
                cv2.LINE_AA,
                _SHIFT,
            )
        cv2.polylines(self._picture, corners, closed, color, thick, cv2.LINE_AA, _SHIFT)

    def dots(self, points: ArrayLike, color: Rgb, radius: float) -> None:
        """A dot at each of (N, 2) points."""
        reach = round(radius * self.unit * (1 << _SHIFT))
        for x, y in _fixed_point(points):
            cv2.circle(self._picture, (int(x), int(y)), reach, color, -1, cv2.LINE_AA, _SHIFT)


class _Labels:
    """Texts on dark plates, each above or below its face, none upon another."""

    def __init__(self, picture: Bytes) -> None:
        self._picture = picture
        self._placed: list[tuple[tuple[int, int, int, int], str, Rgb, float]] = []

    def add(self, face: Face, around: Doubles, color: Rgb, unit: float) -> None:
        """Find a place for the label of a face.

        around: (N, 2) points that the face reaches over. unit: the pen's.
        """
        (left, top), (right, bottom) = around.min(axis=0), around.max(axis=0)
        unit = max(unit, 0.8)
        text = _label_text(face, short=False)
        if _label_size(text, unit)[0] > 1.3 * (right - left):
            text = _label_text(face, short=True)
        width, height = _label_size(text, unit)
        x = int(np.clip(left, 0, max(self._picture.shape[1] - width, 0)))
        tries = [top - height * step for step in range(1, 6)] + [
            bottom + height * step for step in range(5)
        ]
        inside = [int(y) for y in tries if 0 <= y <= self._picture.shape[0] - height] or [0]
        free = (
            y
            for y in inside
            if not any(_overlap((x, y, width, height), plate) for plate, *_ in self._placed)
        )
        self._placed.append(((x, next(free, inside[0]), width, height), text, color, unit))

    def draw(self) -> None:
        """Draw them all."""
        for (x, y, width, height), text, color, unit in self._placed:
            edge, thick = round(4 * unit), max(round(unit), 1)
            below = cv2.getTextSize(text, _FONT, _LETTERS * unit, thick)[1]
            cv2.rectangle(self._picture, (x, y), (x + width - 1, y + height - 1), _INK, -1)
            place = (x + edge, y + height - edge - below)
            cv2.putText(
                self._picture, text, place, _FONT, _LETTERS * unit, color, thick, cv2.LINE_AA
            )


def _label_text(face: Face, short: bool) -> str:
    track, person = ("t", "p") if short else ("track ", "person ")
    parts = [f"{track}{face.track}" if face.track >= 0 else "no track"]
    if face.person >= 0:
        parts.append(f"{person}{face.person}")
    how = ["filled"] if face.filled else [f"by hand: {face.marked.text}"] if face.marked else []
    return " ".join([*parts, f"{face.score:.2f}", *how])


def _label_size(text: str, unit: float) -> tuple[int, int]:
    """Width and height of a label's plate."""
    (across, up), below = cv2.getTextSize(text, _FONT, _LETTERS * unit, max(round(unit), 1))
    edge = round(4 * unit)
    return across + 2 * edge, up + below + 2 * edge


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return (
        one[0] < other[0] + other[2]
        and other[0] < one[0] + one[2]
        and one[1] < other[1] + other[3]
        and other[1] < one[1] + one[3]
    )


def _fixed_point(points: ArrayLike) -> NDArray[np.int32]:
    # Far outside the picture OpenCV's fixed-point numbers would overflow.
    bounded = np.clip(np.asarray(points, np.float64), -1e5, 1e5)
    return np.rint(bounded * (1 << _SHIFT)).astype(np.int32)
