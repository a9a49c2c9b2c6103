"""Faces marked by hand: their points as the landmarker sees them, or a head laid onto the mark."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from understudy.core import affine
from understudy.core.face import align, mean_head
from understudy.core.face.landmarks import face_size
from understudy.core.image import brighten
from understudy.core.tracking.places import SAME_PLACE
from understudy.errors import BadMedia
from understudy.io.faceset.manual_marks import Mark, Marks
from understudy.parts.detectors import Detection
from understudy.parts.landmarkers import Locate
from understudy.stages.extract.detection_store import DetectionStore
from understudy.stages.extract.detections import DetectedFace
from understudy.types import Bytes, Doubles, Floats, Marking

# How far points that the landmarker found may lie from the marked ones, in outer eye distances. On
# clear pictures, with marks 3 % off, they lay within 0.08; on a wrong face, or none, beyond 0.3.
_NEAR: Final = 0.12
# How large, beside a head laid into a marked box, a face in it may be, and how far from the middle
# of the box its own may lie, in sides of the box.
_SIZES: Final = (0.5, 1.6)
_APART: Final = 0.3


def place_mark(index: int, image: Bytes, mark: Mark, locate: Locate) -> DetectedFace:
    """Return the face that a mark stands for. mark: of a face. Raises BadMedia."""
    height, width = image.shape[:2]
    require_inside(f"frame {index}", mark, (width, height))
    laid = _lay(mark)
    box, score, points, how = _outline(mark), 1.0, laid, Marking.POINTS
    if mark.kind != "points":
        if mark.kind != "box":
            box = _detection_of_points(laid).box
        found, how = _refine(image, mark, laid, locate), Marking.LAID
        if found is not None:
            (points, score), how = found, Marking.REFINED
    return DetectedFace(index, box, points, score, (width, height), marked=how)


def require_inside(where: str, mark: Mark, size: tuple[int, int]) -> None:
    """Raise BadMedia for a mark of which nothing lies in its frame.

    where: the frame, for the message. size: its (width, height).
    """
    outline = _outline(mark)
    if (outline[2:] < -0.5).any() or (outline[:2] > np.subtract(size, 0.5)).any():
        edges = ", ".join(f"{edge:.0f}" for edge in outline)
        raise BadMedia(
            f"{where}: the mark at {edges} lies outside the picture, which has"
            f" {size[0]} x {size[1]} pixels. Measure it anew, on the picture of that frame (--fix)."
        )


def drop_marked(found: list[DetectedFace], marks: Sequence[Mark]) -> list[DetectedFace]:
    """Return what was found, without what lies where a face, or none, is marked."""
    return [each for each in found if not is_marked_place(each.landmarks, marks)]


def is_marked_place(landmarks: Floats, marks: Sequence[Mark]) -> bool:
    """Whether a face with these points (68, 2) lies where one of the marks does."""
    box = affine.bounding_box(landmarks)
    middle = (box[:2] + box[2:]) / 2
    return any(
        bool(((middle >= outline[:2]) & (middle <= outline[2:])).all())
        or bool(affine.iou(box, outline) > SAME_PLACE)
        for outline in map(_outline, marks)
    )


def shape_after_tracks(found: DetectionStore, track: NDArray[np.int64], marks: Marks) -> None:
    """Give heads laid onto eyes or five points the shape that the face has elsewhere on its track.

    That of the nearest faces before and after, the nearer the more. It came twice as near to the
    true points as the mean head. On a box, which tells the place less well, it did not.

    Args:
        found: Its points are changed.
        track: (N,) of each face.
        marks: That were found.
    """
    laid = found.marked == Marking.LAID
    for row in np.flatnonzero(laid & (track >= 0)).tolist():
        mark = _mark_of(found, row, marks)
        others = np.flatnonzero((track == track[row]) & ~laid)
        if mark is None or mark.kind == "box" or not len(others):
            continue
        points = _shape_between(found, row, others, mean_head.order_places(mark.places))
        moved = points - found.landmarks[np.array([row])]
        for column in (found.landmarks, found.ahead, found.back):
            column[np.array([row])] = column[np.array([row])] + moved


def _shape_between(
    found: DetectionStore, row: int, others: NDArray[np.int64], places: Doubles
) -> Floats:
    """The faces before and after a row, (68, 2), moved onto the places and mixed by distance."""
    away = found.frame[others] - found.frame[row]
    sides = [np.flatnonzero(side) for side in (away < 0, away > 0)]
    near = [side[np.argmin(np.abs(away[side]))] for side in sides if len(side)]
    weights = 1 / np.abs(away[near]).astype(np.float64)
    shapes = [mean_head.move_onto_places(each, places) for each in found.landmarks[others[near]]]
    return np.asarray(np.average(shapes, axis=0, weights=weights), np.float32)


def _mark_of(found: DetectionStore, row: int, marks: Marks) -> Mark | None:
    """The mark that a face comes from: both stand in the same order within their frame."""
    frame = int(found.frame[row])
    rows = np.flatnonzero((found.frame == frame) & (found.marked != Marking.NONE))
    faces = [mark for mark in marks.at(frame) or () if mark.kind != "no_face"]
    return faces[int(np.searchsorted(rows, row))] if len(rows) == len(faces) else None


def _refine(image: Bytes, mark: Mark, laid: Floats, locate: Locate) -> tuple[Floats, float] | None:
    """The points of the landmarker and its score; None where it does not see the marked face."""
    # Most marked faces that nothing detects are in the dark.
    image, none = brighten(image, _outline(mark)), np.zeros((0, 2), np.float32)
    is_box = mark.kind == "box"
    seen = locate(
        image, Detection(_outline(mark), 1.0, 0.0, none) if is_box else _detection_of_points(laid)
    )
    if seen is None:
        return None
    # A box does not say how the head is turned; the points do, and the second look starts from
    # there.
    seen = locate(image, _detection_of_points(seen.landmarks)) or seen
    return (seen.landmarks, seen.score) if _agrees(seen.landmarks, mark, laid) else None


def _agrees(points: Floats, mark: Mark, laid: Floats) -> bool:
    """Whether the points that were found are those of the marked face."""
    if mark.kind == "box":
        outline = _outline(mark)
        low, high = outline[:2], outline[2:]
        middle = affine.bounding_box(points).reshape(2, 2).mean(axis=0)
        apart = np.abs(middle - (low + high) / 2) / (high - low)
        ratio = float(face_size(points) / face_size(laid))
        return bool((apart < _APART).all()) and _SIZES[0] < ratio < _SIZES[1]
    places = mean_head.order_places(mark.places)
    apart = np.linalg.norm(mean_head.find_places(points, len(places)) - places, axis=-1).mean()
    return bool(apart < _NEAR * np.linalg.norm(laid[45] - laid[36]))


@functools.lru_cache(maxsize=256)
def _lay(mark: Mark) -> Floats:
    """The 68 points by the mark alone."""
    if mark.kind == "points":
        return mark.places.astype(np.float32)
    if mark.kind == "box":
        return mean_head.lay_into_box(_outline(mark))
    return mean_head.lay_onto_places(mean_head.order_places(mark.places))


def _outline(mark: Mark) -> Floats:
    """The upright rectangle that a mark, or the face that it is of, takes up, (4,)."""
    if mark.kind in ("box", "no_face"):
        return mark.places.reshape(4).astype(np.float32)
    return affine.bounding_box(_lay(mark))


def _detection_of_points(points: Floats) -> Detection:
    """The half-face square of points, as a detection turned as they are."""
    frame_from_half = affine.invert(align.face_from_frame(points, "half", 1))
    angle = float(np.arctan2(frame_from_half[1, 0], frame_from_half[0, 0]))
    square = affine.bounding_box(affine.apply(frame_from_half, affine.corners((1, 1))))
    return Detection(square, 1.0, angle, np.zeros((0, 2), np.float32))
