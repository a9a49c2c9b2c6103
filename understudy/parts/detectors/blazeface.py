"""BlazeFace, full range: a face detector of 0.7 MB (Bazarevsky et al. 2019), run by LiteRT."""

from __future__ import annotations

import math
from typing import Final, Literal

import numpy as np

from understudy.core import geometry
from understudy.core.image import warp
from understudy.io import tflite
from understudy.io.weights import weight_path
from understudy.options import option
from understudy.parts.detectors import Detect, Detection, Detector, detectors
from understudy.types import Bytes, Doubles, Floats


@detectors.register("blazeface")
class BlazeFace(Detector):
    """Finds faces from about a twentieth of the frame's longer side upwards, in any rotation; fast, 6 key points each."""

    score: float = option(0.4, "How sure a detection must be", low=0.05, high=1)
    rotations: Literal["auto", "none", "all"] = option(
        "auto", "Look at the frame turned by quarters: auto = when not every face is plainly upright, none = never, all = always"
    )
    smallest: float = option(0.02, "Drop faces narrower than this share of the frame's longer side", low=0, high=1)
    most: int = option(0, "Keep only the largest so many faces of a frame; 0 = all", low=0)
    tiles: int = option(0, "Also look at the frame in overlapping halves: finds faces half as large, takes longer", low=0, high=1)
    threads: int = option(1, "CPU threads", low=1, high=64)

    def build(self) -> Detect:
        """The detector as a function. Raises WeightsMissing."""
        network = tflite.load(weight_path("blazeface-full"), self.threads)

        def detect(image: Bytes) -> list[Detection]:
            size = (image.shape[1], image.shape[0])
            found: list[Detection] = []
            for turn in _TURNS[: 1 if self.rotations == "none" else None]:
                # The first turn is upright, where a lying head shows as a doubtful one, or not at all.
                if turn == _TURNS[1] and self.rotations == "auto" and found and all(_is_plain(face) for face in found):
                    break
                whole, *tiles = _views(size, turn, self.tiles)
                found += _in_view(network, image, whole, self.score)
                for tile in tiles:
                    # Tiles are for small faces; what fills much of one is a piece of a face that the whole view has seen.
                    faces = _in_view(network, image, tile, self.score)
                    found += [face for face in faces if face.box[2] - face.box[0] < _TILE_SHARE * max(size)]
            return self._kept(found, max(image.shape[:2]))

        return detect

    def _kept(self, found: list[Detection], longer_side: int) -> list[Detection]:
        large = [face for face in found if face.box[2] - face.box[0] >= self.smallest * longer_side]
        faces = sorted(_distinct(large), key=lambda face: -_area(face.box))
        return faces[: self.most or None]


def _is_plain(face: Detection) -> bool:
    # On our clips 95 % of upright heads score as high, and 2 % of those that lie or stand on their head.
    return face.score >= 0.75 and _is_level(face)


def _is_level(face: Detection) -> bool:
    return abs(face.angle) < math.pi / 4


def _views(size: tuple[int, int], angle: float, tiles: int) -> list[Doubles]:
    """The squares of the frame to look at, each as view_from_frame: the whole, then overlapping tiles of half its side."""
    side = max(size)
    views = [geometry.square((size[0] / 2 - 0.5, size[1] / 2 - 0.5), side, angle, _SIDE)]
    if not tiles:
        return views
    half = side / 2
    # Tiles overlap by half, so that a face on a seam lies whole in another tile.
    columns, rows = (_middles(length, half) for length in size)
    return views + [geometry.square((x, y), half, angle, _SIDE) for y in rows for x in columns]


def _middles(length: int, tile: float) -> list[float]:
    """Where tiles that overlap by half, or more, lie along a side: their centres, in pixels."""
    if length <= tile:
        return [length / 2 - 0.5]
    count = math.ceil(2 * (length - tile) / tile) + 1
    return [tile / 2 - 0.5 + step * (length - tile) / (count - 1) for step in range(count)]


def _in_view(network: tflite.Network, image: Bytes, view_from_frame: Doubles, least: float) -> list[Detection]:
    view = warp(image, view_from_frame, (_SIDE, _SIDE)).astype(np.float32) / 127.5 - 1
    raw, logits = network(view[None])
    scores = 1 / (1 + np.exp(-np.clip(logits[0, :, 0].astype(np.float64), -100, 100)))
    sure = scores >= least
    # Eight points: centre and size of the box, then eyes, nose, mouth, ears; all but the size are relative to the anchor.
    points = raw[0, sure].reshape(-1, 8, 2).astype(np.float64)
    size = points[:, 1].copy()
    points += _ANCHORS[sure][:, None]
    boxes = np.concatenate([points[:, 0] - size / 2, points[:, 0] + size / 2], axis=1)
    frame_from_view = geometry.invert(view_from_frame)
    merged = _merged(boxes, points[:, 2:], scores[sure])
    return [_detection(box, keypoints, score, frame_from_view) for box, keypoints, score in merged]


def _merged(boxes: Doubles, points: Doubles, scores: Doubles) -> list[tuple[Doubles, Doubles, float]]:
    """Overlapping detections of one view as one: their mean, weighted by score, which is steadier than the best alone."""
    left, faces = np.argsort(-scores, kind="stable"), []
    while len(left):
        same = geometry.overlap(boxes[left[0]], boxes[left]) > 0.3
        same[0] = True
        group = left[same]
        weights = scores[group] / scores[group].sum()
        faces.append((weights @ boxes[group], np.einsum("n,nkc->kc", weights, points[group]), float(scores[group[0]])))
        left = left[~same]
    return faces


def _detection(box: Doubles, keypoints: Doubles, score: float, frame_from_view: Doubles) -> Detection:
    # A view is turned by quarters only, so the box stays upright in the frame.
    corners = geometry.apply(frame_from_view, box.reshape(2, 2) - 0.5)
    points = geometry.apply(frame_from_view, keypoints - 0.5).astype(np.float32)
    across = points[1] - points[0]
    return Detection(geometry.box(corners), score, math.atan2(across[1], across[0]), points)


def _distinct(found: list[Detection]) -> list[Detection]:
    """The detections of all views without repetitions: the surer stays, as heads are surest when upright in their view."""
    kept: list[Detection] = []
    for face in sorted(found, key=lambda face: -(face.score + (_UPRIGHT_FIRST if _is_level(face) else 0))):
        if all(geometry.overlap(face.box, other.box) < 0.3 and not _inside(face.box, other.box) for other in kept):
            kept.append(face)
    return kept


def _inside(box: Floats, other: Floats) -> bool:
    """Whether most of the smaller box lies in the larger: a tile may show only a part of a face."""
    return bool(_common(box, other[None])[0] > 0.7 * min(_area(box), _area(other)))


def _common(box: Doubles | Floats, others: Doubles | Floats) -> Doubles:
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    return np.asarray(np.clip(sides, 0, None).prod(1), np.float64)


def _area(box: Doubles | Floats) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


# Side of the network's input in pixels; the sparse full-range model has one anchor in every fourth pixel.
_SIDE: Final = 192
_CELLS: Final = 48
_ANCHORS: Final = np.stack(np.meshgrid(*[(np.arange(_CELLS) + 0.5) * (_SIDE / _CELLS)] * 2), -1).reshape(-1, 2)
# Upside down, a head in doubt may score a little higher than upright; heads in film are mostly upright.
_UPRIGHT_FIRST: Final = 0.1
# Widest face that a tile may find, as a share of the frame's longer side.
_TILE_SHARE: Final = 0.175
_TURNS: Final = (0.0, math.pi / 2, -math.pi / 2, math.pi)
