"""A portrait that is moved by its landmarks: lids close, lips part, the jaw drops.

Skin is warped by thin-plate splines (Bookstein 1989) through the landmarks. Upper lids and upper
lip use one spline, lower lids and lower lip another. The two meet on one line when an eye or the
mouth closes: a single smooth map would tear there. What lies between them (eyeball, teeth, dark of
the mouth) is a layer of its own that moves with the skull.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from understudy.types import Bytes, Doubles, Floats

# iBUG rows of (corner, upper rim, corner, lower rim), rims in reading order.
EYES = (((36, 37, 38, 39), (36, 41, 40, 39)), ((42, 43, 44, 45), (42, 47, 46, 45)))
# 68..71 are four points more that we keep between the 68: inner lips halfway to the corners, upper
# then lower.
MOUTH = ((60, 68, 61, 62, 63, 69, 64), (60, 70, 67, 66, 65, 71, 64))
_UPPER_ONLY = (37, 38, 43, 44, 49, 50, 51, 52, 53, 61, 62, 63, 68, 69)
_LOWER_ONLY = (40, 41, 46, 47, 55, 56, 57, 58, 59, 65, 66, 67, 70, 71)
_STEP = 3.0  # px between the nodes at which the splines are evaluated
_CAVITY = np.array([46.0, 20.0, 20.0], np.float32)
_TONGUE = np.array([132.0, 68.0, 66.0], np.float32)
_LIP_LINE = np.array([96.0, 44.0, 42.0], np.float32)


@dataclass(frozen=True)
class FaceRig:
    """A portrait with its landmarks, and the rest shape it takes.

    Attributes:
        picture: (H, W, 3) uint8.
        picture_points: (72, 2) where the points lie in `picture`.
        rest: (72, 2) where they lie on this person. The portrait is reshaped to that for good, so
            one portrait can play different people.
    """

    picture: Bytes
    picture_points: Doubles
    rest: Doubles

    def render(self, moved: Doubles, frame_from_person: Doubles, size: tuple[int, int]) -> Bytes:
        """Render the person as a camera sees it, with one resampling per layer.

        Args:
            moved: (72, 2) where the points are now, person pixels like `rest`.
            frame_from_person: (2, 3).
            size: (width, height) of the frame.

        Returns:
            (height, width, 3) uint8.
        """
        where = _person_pixels(frame_from_person, size)
        skin = where + self._skin(moved, _UPPER_ONLY, where)
        # Both splines agree away from lids and lips, so the second one is needed on the face only.
        face = _box(moved[:68] @ frame_from_person[:, :2].T + frame_from_person[:, 2], margin=0.1)
        part, place = skin[face], where[face]
        part += _above(moved, place)[..., None] * (
            place + self._skin(moved, _LOWER_ONLY, place) - part
        )
        source = self._picture_place(skin)
        image = self._sample(source)
        for rims in EYES:
            self._paint_inside(image, rims, moved, where, frame_from_person)
        self._paint_inside(image, MOUTH, moved, where, frame_from_person)
        return np.asarray(np.clip(np.rint(image), 0, 255), np.uint8)

    @cached_property
    def _bounds(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of the part that moves, in person pixels."""
        centre = self.rest[:68].mean(axis=0)
        reach = 2.1 * np.ptp(self.rest[:17, 0]) / 2
        return (
            centre[0] - reach,
            centre[1] - 1.15 * reach,
            centre[0] + reach,
            centre[1] + 1.05 * reach,
        )

    @cached_property
    def _ring(self) -> Doubles:
        left, top, right, bottom = self._bounds
        xs, ys = np.linspace(left, right, 7), np.linspace(top, bottom, 7)
        return np.array(
            [(x, y) for x in xs for y in ys if x in (left, right) or y in (top, bottom)]
        )

    @cached_property
    def _reshape(self) -> Floats:
        """Offsets picture - person on the nodes, (rows, columns, 2)."""
        return self._field(self.rest, self.picture_points)

    def _field(self, at: Doubles, goal: Doubles) -> Floats:
        """Offsets on the nodes that carry `at` to `goal`, 0 at the rim of the moving part."""
        left, top, right, bottom = self._bounds
        columns = np.arange(left, right + _STEP, _STEP)
        rows = np.arange(top, bottom + _STEP, _STEP)
        nodes = np.stack(np.meshgrid(columns, rows), axis=-1)
        anchors = np.concatenate([at, self._ring])
        offsets = np.concatenate([goal - at, np.zeros_like(self._ring)])
        field = _thin_plate_spline(anchors, offsets, nodes.reshape(-1, 2)).reshape(nodes.shape)
        across = np.minimum(columns - left, right - columns) / (0.15 * (right - left))
        down = np.minimum(rows - top, bottom - rows) / (0.15 * (bottom - top))
        return np.asarray(
            field * (_smoothstep(down)[:, None] * _smoothstep(across)[None])[..., None], np.float32
        )

    def _skin(self, moved: Doubles, left_out: tuple[int, ...], where: Floats) -> Floats:
        kept = np.setdiff1d(np.arange(len(moved)), left_out)
        return self._look_up(self._field(moved[kept], self.rest[kept]), where)

    def _sample(self, source: Floats) -> Floats:
        across, down = np.ascontiguousarray(source[..., 0]), np.ascontiguousarray(source[..., 1])
        found = cv2.remap(
            self.picture, across, down, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT_101
        )
        return np.asarray(found, np.float32)

    def _picture_place(self, where: Floats) -> Floats:
        return where + self._look_up(self._reshape, where)

    def _look_up(self, field: Floats, where: Floats) -> Floats:
        # Offsets, not positions, are looked up: OpenCV rounds coordinates to 1/32 of a node.
        origin = np.array(self._bounds[:2], np.float32)
        nodes = np.asarray((where - origin) / np.float32(_STEP), np.float32)
        return np.asarray(
            cv2.remap(field, nodes[..., 0], nodes[..., 1], cv2.INTER_CUBIC), np.float32
        )

    def _paint_inside(
        self,
        image: Floats,
        rims: tuple[tuple[int, ...], ...],
        moved: Doubles,
        where: Floats,
        frame_from_person: Doubles,
    ) -> None:
        upper, lower = (_curve(moved[list(rim)]) for rim in rims)
        outline = (
            np.concatenate([upper, lower[::-1]]) @ frame_from_person[:, :2].T
            + frame_from_person[:, 2]
        )
        box = _box(outline, margin=0.1)
        origin = (box[1].start, box[0].start)
        part, place = image[box], where[box]
        if not part.size:
            return
        mouth = rims is MOUTH
        still = self._skull(place, rims, moved)
        layer = self._sample(self._picture_place(still))
        gap = float(np.linalg.norm(moved[62] - moved[66]))
        if mouth:
            edge = _height(_curve(self.rest[list(rims[1])]), still[..., 0])
            behind = _smoothstep((still[..., 1] - edge + 2.2) / 2.6)[..., None]
            tongue = _smoothstep((place[..., 1] - _height(lower, place[..., 0]) + 6) / 7)[..., None]
            layer *= 0.6 + 0.4 * min(
                1.0, gap / 3
            )  # little light falls through lips that are nearly closed
            layer += behind * (_CAVITY + tongue * (_TONGUE - _CAVITY) - layer)
        matte = _fill(outline - origin, part.shape[:2])
        part += matte[..., None] * (layer - part)
        if mouth:
            line = _stroke(
                (outline[: len(upper)] + outline[: len(upper) - 1 : -1]) / 2 - origin,
                part.shape[:2],
            )
            part += (0.7 * np.exp(-0.5 * (gap / 2) ** 2) * line)[..., None] * (_LIP_LINE - part)

    def _skull(self, place: Floats, rims: tuple[tuple[int, ...], ...], moved: Doubles) -> Floats:
        """Where, at rest, lies what is seen at `place` between the rims."""
        if rims is MOUTH:
            return np.asarray(place - (moved[33] - self.rest[33]), np.float32)
        corners = [rims[0][0], rims[0][-1]]
        height = self._opening(self.rest, rims)
        scale = max(1.0, self._opening(moved, rims) / height)
        centre = moved[corners].mean(axis=0)
        return np.asarray(
            (place - centre) / (1.0, scale) + self.rest[corners].mean(axis=0), np.float32
        )

    @staticmethod
    def _opening(points: Doubles, rims: tuple[tuple[int, ...], ...]) -> float:
        return float(np.mean(points[list(rims[1][1:-1]), 1] - points[list(rims[0][1:-1]), 1]))


def _thin_plate_spline(anchors: Doubles, values: Doubles, at: Doubles) -> Doubles:
    """The thin-plate spline through `values` (N, 2) at `anchors` (N, 2), evaluated at (M, 2)."""
    count = len(anchors)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _spline_kernel(anchors, anchors)
    system[:count, count:] = np.column_stack([np.ones(count), anchors])
    system[count:, :count] = system[:count, count:].T
    weights = np.linalg.solve(system, np.vstack([values, np.zeros((3, 2))]))
    return np.asarray(
        _spline_kernel(at, anchors) @ weights[:count] + weights[count] + at @ weights[count + 1 :]
    )


def _spline_kernel(points: Doubles, anchors: Doubles) -> Doubles:
    squared = (points**2).sum(axis=1)[:, None] + (anchors**2).sum(axis=1) - 2 * points @ anchors.T
    squared = np.maximum(squared, 1e-9)  # zero but for rounding at the anchors themselves
    return np.asarray(squared * np.log(squared))


def _person_pixels(frame_from_person: Doubles, size: tuple[int, int]) -> Floats:
    """For every pixel of the frame the person pixel it shows, (H, W, 2)."""
    back = cv2.invertAffineTransform(frame_from_person)
    grid = np.stack(np.meshgrid(np.arange(size[0]), np.arange(size[1])), axis=-1).astype(np.float64)
    return np.asarray(grid @ back[:, :2].T + back[:, 2], np.float32)


def _box(points: Doubles, margin: float) -> tuple[slice, slice]:
    """Rows and columns that hold the points and, around them, `margin` of their extent."""
    low, high = points.min(axis=0), points.max(axis=0)
    room = margin * (high - low).max() + 3
    (x0, y0), (x1, y1) = (
        np.maximum(np.floor(low - room), 0).astype(int),
        np.maximum(np.ceil(high + room), 0).astype(int) + 1,
    )
    return slice(y0, y1), slice(x0, x1)


def _above(points: Doubles, where: Floats) -> Floats:
    """1 where the upper spline holds, 0 where the lower one does; hard inside lids and lips."""
    x, y = where[..., 0], where[..., 1]
    eyes = [_side(points, rims, x, y) for rims in EYES]
    middle = (points[39, 0] + points[42, 0]) / 2
    beside = _smoothstep((x - middle) / (points[42, 0] - points[39, 0]) + 0.5)
    at_eyes = eyes[0] + beside * (eyes[1] - eyes[0])
    eye_line, mouth_line = points[36:48, 1].mean(), points[60:68, 1].mean()
    down = _smoothstep((y - eye_line) / (mouth_line - eye_line) * 1.6 - 0.3)
    return np.asarray(at_eyes + down * (_side(points, MOUTH, x, y) - at_eyes), np.float32)


def _side(points: Doubles, rims: tuple[tuple[int, ...], ...], x: Floats, y: Floats) -> Floats:
    upper, lower = (_curve(points[list(rim)]) for rim in rims)
    seam = (upper + lower) / 2
    beyond = np.maximum(np.maximum(seam[0, 0] - x, x - seam[-1, 0]), 0)
    return _smoothstep(0.5 + (_height(seam, x) - y) / (0.01 + 1.5 * beyond))


def _height(curve: Doubles, x: Floats) -> Floats:
    order = np.argsort(curve[:, 0])
    return np.asarray(np.interp(x, curve[order, 0], curve[order, 1]), np.float32)


def _curve(points: Doubles, pieces: int = 8) -> Doubles:
    """A Catmull-Rom curve through the points, `pieces` steps between neighbours."""
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    steps = np.linspace(0, 1, pieces, endpoint=False)[None, :, None]
    a, b, c, d = (padded[start : len(points) - 1 + start, None] for start in range(4))
    inner = b + 0.5 * steps * (
        c - a + steps * (2 * a - 5 * b + 4 * c - d + steps * (3 * (b - c) + d - a))
    )
    return np.concatenate([inner.reshape(-1, 2), points[-1:]])


def _fill(outline: Doubles, shape: tuple[int, ...]) -> Floats:
    matte = np.zeros(shape, np.uint8)
    cv2.fillPoly(matte, [np.rint(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return np.asarray(cv2.GaussianBlur(matte, (3, 3), 0) / np.float32(255), np.float32)


def _stroke(line: Doubles, shape: tuple[int, ...]) -> Floats:
    matte = np.zeros(shape, np.uint8)
    cv2.polylines(matte, [np.rint(line * 16).astype(np.int32)], False, 255, 2, cv2.LINE_AA, 4)
    return np.asarray(cv2.GaussianBlur(matte, (3, 3), 0) / np.float32(255), np.float32)


def _smoothstep(x: Floats | Doubles) -> Floats:
    t: Doubles = np.clip(np.asarray(x, np.float64), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
