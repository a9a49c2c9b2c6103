"""The search that detectors share: the whole frame, turned by quarters, then from nearer by."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import numpy as np
from pydantic import BeforeValidator

from understudy.core import affine
from understudy.core.image import warp
from understudy.options import option
from understudy.parts.detectors import Detect, Detection, Detector
from understudy.types import Bytes, Doubles, Floats


@dataclass(frozen=True, slots=True)
class ViewFaces:
    """The upright faces of one view, in view pixels.

    boxes: (N, 4) x0 y0 x1 y1. scores: (N,) 0..1. keypoints: (N, k, 2), the eyes first, of them the
    left one on screen first; k = 0: this network has none.
    """

    boxes: Doubles
    scores: Doubles
    keypoints: Doubles


@dataclass(frozen=True, slots=True)
class ViewDetector:
    """A network that finds upright faces.

    look: view (H, W, 3) uint8 RGB -> its faces. side: longer side of the views that it wants,
    pixels. is_square: whether they must be square, with black beside the frame. small: faces
    narrower than this share of the side may be missed, so that a nearer look is worth its time.
    sure: most faces that stand upright score as high, few of those that lie.
    """

    look: Callable[[Bytes], ViewFaces]
    side: int
    is_square: bool
    small: float
    sure: float


@dataclass(frozen=True, slots=True)
class _Region:
    """A part of the frame: its middle in frame pixels, its width and height."""

    middle: tuple[float, float]
    size: tuple[float, float]


def _number(value: object) -> object:
    # The command line gives every choice as text.
    return int(value) if isinstance(value, str) and value.isdecimal() else value


class SearchDetector(Detector):
    """A detector that looks at views of the frame.

    Those who inherit only say what one view shows.
    """

    score: float = option(0.5, "How sure a detection must be", low=0.05, high=1)
    rotations: Literal["auto", "none", "all"] = option(
        "auto",
        "Look at the frame turned by quarters: auto = when not every face is plainly upright, none"
        " = never, all = always",
    )
    tiles: Annotated[Literal["auto", 0, 1, 2], BeforeValidator(_number)] = option(
        "auto",
        "Look at overlapping parts of the frame too, for small faces and crowds: 1 = halves, 2 ="
        " halves and quarters of its longer side, 0 for none; auto = halves when no face was found,"
        " or a small one",
    )
    smallest: float = option(
        0.02, "Drop faces narrower than this share of the frame's longer side", low=0, high=1
    )
    most: int | None = option(
        None, "Keep only the largest so many faces of a frame; not set = all", low=1, formerly=0
    )

    def view_detector(self) -> ViewDetector:
        """The network. Raises WeightsMissing, MissingExtra."""
        raise NotImplementedError

    def build(self) -> Detect:
        """The detector as a function. Raises WeightsMissing, MissingExtra."""
        network = self.view_detector()

        def detect(image: Bytes) -> list[Detection]:
            size = (image.shape[1], image.shape[0])
            found = _distinct(
                self._whole(network, image, _whole(size, network.is_square)), network.sure
            )
            turns = self._turns(found, network.sure)
            standing = [face for face in found if _turn(face) in turns]
            for level in range(1, 1 + self._levels(standing, network, max(size))):
                side = max(size) / 2**level
                near = _faces(
                    network, image, [(tile, turn) for turn in turns for tile in _tiles(size, side)]
                )
                # What fills much of a tile is a piece of a face that a wider view has seen.
                found += [face for face in near if _width(face) < _TILE_SHARE * side]
            large = [face for face in found if _width(face) >= self.smallest * max(size)]
            return sorted(_distinct(large, network.sure), key=lambda face: -_area(face.box))[
                : self.most
            ]

        return detect

    def _whole(self, network: ViewDetector, image: Bytes, whole: _Region) -> list[Detection]:
        """Detect faces in the whole frame.

        It is turned only if need be, so that a plain frame costs one look.
        """
        found = list(_faces(network, image, [(whole, 0)]))
        # Seen upright, a lying head shows as a doubtful one, or not at all.
        plain = found and all(face.score >= network.sure and _turn(face) == 0 for face in found)
        if self.rotations == "all" or (self.rotations == "auto" and not plain):
            found += _faces(network, image, [(whole, turn) for turn in _TURNS[1:]])
        return found

    def _turns(self, found: list[Detection], sure: float) -> tuple[int, ...]:
        """The quarter turns in which to look from nearer by.

        Most heads in a frame stand the same way as the surest one.
        """
        if self.rotations == "all":
            return _TURNS
        if self.rotations == "none" or not found:
            return _TURNS[:1]
        surest = max(found, key=lambda face: face.score)
        return (_turn(surest),) if surest.score >= sure else _TURNS

    def _levels(self, found: list[Detection], network: ViewDetector, side: int) -> int:
        """How often to look from nearer by.

        auto: once, if that can find faces which the whole frame may have hidden.
        """
        if self.tiles != "auto":
            return self.tiles
        small = network.small * side
        # Doubt about a face that is not large either: others like it may have gone unseen.
        clear = found and all(
            _width(face) >= (small if face.score >= network.sure else 1.5 * small) for face in found
        )
        return int(not clear and self.smallest < network.small)


def merge_overlapping(boxes: Doubles, scores: Doubles, keypoints: Doubles) -> ViewFaces:
    """Merge overlapping detections of one view: their mean, weighted by score.

    The mean is steadier than the best alone.
    """
    left, faces = np.argsort(-scores, kind="stable"), []
    while len(left):
        same = affine.iou(boxes[left[0]], boxes[left]) > _SAME
        same[0] = True
        group = left[same]
        weights = scores[group] / scores[group].sum()
        faces.append(
            (
                weights @ boxes[group],
                scores[group[0]],
                np.einsum("n,nkc->kc", weights, keypoints[group]),
            )
        )
        left = left[~same]
    means, best, points = zip(*faces, strict=True) if faces else ([], [], [])
    count = len(faces)
    return ViewFaces(
        np.reshape(means, (count, 4)),
        np.array(best),
        np.reshape(points, (count, *keypoints.shape[1:])),
    )


def _faces(
    network: ViewDetector, image: Bytes, views: Iterable[tuple[_Region, int]]
) -> Iterator[Detection]:
    """Detect faces in areas of the frame, each turned by so many quarters; in frame pixels."""
    for area, quarters in views:
        view_from_frame, size = _view(area, quarters, network.side)
        seen = network.look(warp(image, view_from_frame, size))
        frame_from_view = affine.invert(view_from_frame)
        for box, score, keypoints in zip(seen.boxes, seen.scores, seen.keypoints, strict=True):
            points = affine.apply(frame_from_view, keypoints).astype(np.float32)
            # A view is turned by quarters only, so the box stays upright in the frame.
            corners = affine.apply(frame_from_view, box.reshape(2, 2))
            yield Detection(
                affine.bounding_box(corners), float(score), _angle(points, quarters), points
            )


def _angle(points: Floats, quarters: int) -> float:
    """The angle of the eyes; without key points that at which the view was turned."""
    if not len(points):
        return math.remainder(quarters * math.pi / 2, 2 * math.pi)
    across = points[1] - points[0]
    return math.atan2(across[1], across[0])


def _view(area: _Region, quarters: int, side: int) -> tuple[Doubles, tuple[int, int]]:
    """view_from_frame for an area seen after quarter turns, and the view's (width, height).

    The longer side is `side`.
    """
    scale = side / max(area.size)
    width, height = (max(1, round(length * scale)) for length in area.size)
    size = (height, width) if quarters % 2 else (width, height)
    view_from_frame = affine.square_crop(area.middle, side / scale, quarters * math.pi / 2, side)
    # `square` puts the area's middle into the middle of a square; a narrower view is cut out of it.
    view_from_frame[:, 2] -= (side - size[0]) / 2, (side - size[1]) / 2
    return view_from_frame, size


def _whole(size: tuple[int, int], is_square: bool) -> _Region:
    return _Region(
        (size[0] / 2 - 0.5, size[1] / 2 - 0.5), (max(size), max(size)) if is_square else size
    )


def _tiles(size: tuple[int, int], side: float) -> list[_Region]:
    """Squares that cover the frame.

    They overlap by half, so that a face on a seam lies whole in another of them.
    """
    columns, rows = (_middles(length, side) for length in size)
    return [_Region((x, y), (side, side)) for y in rows for x in columns]


def _middles(length: int, tile: float) -> list[float]:
    """Where tiles that overlap by half, or more, lie along a side: their centres, in pixels."""
    if length <= tile:
        return [length / 2 - 0.5]
    count = math.ceil(2 * (length - tile) / tile) + 1
    return [tile / 2 - 0.5 + step * (length - tile) / (count - 1) for step in range(count)]


def _turn(face: Detection) -> int:
    """How many quarters the head is turned, to the nearest: 0 = upright."""
    return round(face.angle / (math.pi / 2)) % 4


def _distinct(found: list[Detection], sure: float) -> list[Detection]:
    """The detections of all views, each face once.

    The surer one stays: heads are surest when they are upright in their view.
    """

    def worth(face: Detection) -> tuple[bool, float]:
        return face.score >= sure, face.score + (_UPRIGHT_FIRST if _turn(face) == 0 else 0)

    kept: list[Detection] = []
    for face in sorted(found, key=worth, reverse=True):
        if all(
            affine.iou(face.box, other.box) < _SAME and not _inside(face.box, other.box)
            for other in kept
        ):
            kept.append(face)
    return kept


def _inside(box: Floats, other: Floats) -> bool:
    """Whether most of the smaller box lies in the larger: a tile may show only a part of a face."""
    sides = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
    return float(np.clip(sides, 0, None).prod()) > 0.7 * min(_area(box), _area(other))


def _width(face: Detection) -> float:
    return float(face.box[2] - face.box[0])


def _area(box: Floats) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


# Boxes that overlap by more show one face.
_SAME: Final = 0.3
# Quarter turns, the likeliest first.
_TURNS: Final = (0, 1, 3, 2)
# Upside down, a head in doubt may score a little higher than upright; heads in film are mostly
# upright.
_UPRIGHT_FIRST: Final = 0.1
# Widest face that a tile may find, as a share of its side.
_TILE_SHARE: Final = 0.35
