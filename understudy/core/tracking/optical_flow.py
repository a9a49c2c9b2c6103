"""Where the points of a face lie in the next frame, by dense flow (DIS, Kroeger et al. 2016)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

import cv2
import numpy as np

from understudy.core import affine
from understudy.errors import DegeneratePoints
from understudy.types import Bytes, Doubles, Floats

if TYPE_CHECKING:
    from cv2.typing import MatLike

# Side of the square around the face on which flow is measured, in pixels, and how much wider it is
# than the points. With the synthetic people, whose movement is known, flow errs by 0.18 % of the
# eye distance at 160 and takes 2.6 ms a pair of frames both ways; at 224 by 0.15 % in 4.8 ms; the
# preset as it is (finest scale 2), at 192, by 0.22 % in 1.4 ms.
_SIDE: Final = 160
_MARGIN: Final = 1.5


@dataclass(frozen=True, slots=True)
class TrackedPoints:
    """Points followed by flow from one frame into another.

    points: (68, 2) float32 pixels of the other frame. error: (68,) float32, how many pixels from
    its start a point comes back when flow carries it there and back. It is small where the picture
    is clear, large where something was hidden or left the frame.
    """

    points: Floats
    error: Floats


def track_points(before: Bytes, after: Bytes, points: Floats) -> TrackedPoints:
    """Follow points of one frame into another.

    Args:
        before: (H, W, 3) uint8 frame in which the points lie.
        after: (H, W, 3) uint8 frame into which they are followed.
        points: (68, 2) pixels of `before`.

    Returns:
        The points in `after`.

    Raises:
        DegeneratePoints: The points are not finite.
    """
    views = _compute_flow(before, after, points, points)
    return _carry_points(views, points, 0)


def track_both_ways(
    before: Bytes, after: Bytes, points_before: Floats, points_after: Floats
) -> tuple[TrackedPoints, TrackedPoints]:
    """Follow the points of one face in two frames, each into the other frame.

    Both ways share their two flow fields. The squares follow the face, so a fast move is no large
    flow.

    Args:
        before: (H, W, 3) uint8 frame.
        after: (H, W, 3) uint8 frame.
        points_before: (68, 2) pixels of `before`.
        points_after: (68, 2) pixels of `after`.

    Returns:
        The points of `before` in `after`, and those of `after` in `before`.

    Raises:
        DegeneratePoints: The points are not finite.
    """
    views = _compute_flow(before, after, points_before, points_after)
    return _carry_points(views, points_before, 0), _carry_points(views, points_after, 1)


def track_through(frames: Iterable[Bytes], points: Floats) -> Floats:
    """Follow points from frame to frame.

    Args:
        frames: T frames (H, W, 3) uint8.
        points: (68, 2) pixels of the first frame.

    Returns:
        (T - 1, 68, 2) float32, in the frames after the first.
    """
    result: list[Floats] = []
    before: Bytes | None = None
    for frame in frames:
        if before is not None:
            points = track_points(before, frame, points).points
            result.append(points)
        before = frame
    return np.stack(result) if result else np.zeros((0, 68, 2), np.float32)


@dataclass(frozen=True, slots=True)
class _FlowPair:
    """Two squares of equal size, each in its frame, and the flow between them both ways.

    flows: (S, S, 2) view pixels each. view_from_frame: for each of the two frames.
    """

    flows: tuple[Floats, Floats]
    view_from_frame: tuple[Doubles, Doubles]


def _compute_flow(
    before: Bytes, after: Bytes, points_before: Floats, points_after: Floats
) -> _FlowPair:
    boxes = [
        affine.bounding_box(points).astype(np.float64) for points in (points_before, points_after)
    ]
    if not np.isfinite(boxes).all():
        raise DegeneratePoints(
            "Points that are not finite cannot be carried on. Detect this face again or drop it."
        )
    # Corners at whole pixels, so that one resize is all that happens to the picture.
    side = math.ceil(_MARGIN * max(float((box[2:] - box[:2]).max()) for box in boxes)) + 1
    corners = [
        tuple(np.floor((box[:2] + box[2:] - side + 1) / 2).astype(int).tolist()) for box in boxes
    ]
    one, other = (
        _crop_square(frame, corner, side)
        for frame, corner in zip((before, after), corners, strict=True)
    )
    there, back = _flow(one, other), _flow(other, one)
    view = affine.scaling(_SIDE / side)
    maps = [affine.compose(view, np.array([[1.0, 0, -x], [0, 1, -y]])) for x, y in corners]
    return _FlowPair((there, back), (maps[0], maps[1]))


def _flow(start: MatLike, goal: MatLike) -> Floats:
    """How far every pixel of `start` has moved in `goal`, (S, S, 2)."""
    # Made anew each time: it keeps the pictures it works on, so threads must not share it.
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    dis.setFinestScale(1)
    return np.asarray(dis.calc(start, goal, np.zeros((*start.shape, 2), np.float32)), np.float32)


def _crop_square(frame: Bytes, corner: tuple[int, int], side: int) -> MatLike:
    """The square of `side` frame pixels at `corner`, grey, (160, 160), padded by its edge."""
    x, y = corner
    height, width = frame.shape[:2]
    x0, x1 = (min(max(at, 0), width - 1) for at in (x, x + side - 1))
    y0, y1 = (min(max(at, 0), height - 1) for at in (y, y + side - 1))
    grey = cv2.cvtColor(cast("MatLike", frame[y0 : y1 + 1, x0 : x1 + 1]), cv2.COLOR_RGB2GRAY)
    top, left = min(max(y0 - y, 0), side - 1), min(max(x0 - x, 0), side - 1)
    below, right = side - top - grey.shape[0], side - left - grey.shape[1]
    if max(top, left, below, right) > 0:
        grey = cv2.copyMakeBorder(grey, top, below, left, right, cv2.BORDER_REPLICATE)
    return cv2.resize(
        grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA if side > _SIDE else cv2.INTER_LINEAR
    )


def _carry_points(views: _FlowPair, points: Floats, way: int) -> TrackedPoints:
    view_from_start, view_from_goal = views.view_from_frame[way], views.view_from_frame[1 - way]
    start = affine.apply(view_from_start, points)
    goal = start + _sample_flow(views.flows[way], start)
    error = np.linalg.norm(
        goal + _sample_flow(views.flows[1 - way], goal) - start, axis=-1
    ) / affine.scale_of(view_from_start)
    there = affine.apply(affine.invert(view_from_goal), goal)
    return TrackedPoints(there.astype(np.float32), error.astype(np.float32))


def _sample_flow(flow: Floats, points: Doubles) -> Doubles:
    """The flow (S, S, 2) at points (N, 2), (N, 2); beyond the picture that of its edge."""
    across, down = (points[:, None, axis].astype(np.float32) for axis in (0, 1))
    found = cv2.remap(
        cast("MatLike", flow), across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(found[:, 0], np.float64)
