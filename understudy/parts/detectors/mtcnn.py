"""MTCNN (Zhang et al. 2016): three small networks, each stricter than the one before.

The weights are those of facenet-pytorch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from understudy.core import affine
from understudy.core.image import resize, warp
from understudy.io.weights.fetch import weight_path
from understudy.options import option
from understudy.parts.detectors import detectors
from understudy.parts.detectors.search import SearchDetector, ViewDetector, ViewFaces
from understudy.types import Bytes, Doubles

if TYPE_CHECKING:
    from torch import Tensor

    from understudy.nets.pretrained.mtcnn import MTCNN


@detectors.register("mtcnn")
class Mtcnn(SearchDetector):
    """Finds turned and laughing faces too, with 5 key points.

    Finds faces from a thirtieth of the frame's longer side upwards.
    """

    score: float = option(0.8, "How sure a detection must be", low=0.05, high=1)
    side: int = option(
        640,
        "Longer side at which the frame is looked at; time grows with its square",
        low=128,
        high=4096,
    )

    def view_detector(self) -> ViewDetector:
        """The three networks. Raises WeightsMissing."""
        # Late, here and below: --help need not wait for torch.
        import torch

        from understudy.nets.pretrained.load import load_pretrained, parse_torch_file
        from understudy.nets.pretrained.mtcnn import MTCNN

        tensors = {}
        for net in ("pnet", "rnet", "onet"):
            path = weight_path(f"mtcnn-{net}")
            for name, tensor in parse_torch_file(path.read_bytes(), str(path)).items():
                tensors[f"{net}.{name}"] = tensor
        nets = load_pretrained(MTCNN(), tensors, "the package facenet-pytorch")

        @torch.inference_mode()
        def look(view: Bytes) -> ViewFaces:
            boxes = _refined(nets, view, _proposed(nets, view))
            return _settled(nets, view, boxes, self.score)

        return ViewDetector(
            look, self.side, is_square=False, small=1.5 * _SMALLEST / self.side, sure=0.98
        )


def _proposed(nets: MTCNN, view: Bytes) -> Doubles:
    """Boxes that may hold a face, from a pyramid of ever smaller views: (N, 4) view pixels."""
    boxes, scores = [np.zeros((0, 4))], [np.zeros(0)]
    scale = _WINDOW / _SMALLEST
    while min(view.shape[:2]) * scale >= _WINDOW:
        width, height = (round(length * scale) for length in (view.shape[1], view.shape[0]))
        score, shifts = (
            each[0].double().numpy() for each in nets.pnet(_input([resize(view, (width, height))]))
        )
        rows, columns = np.nonzero(score >= _LEAST[0])
        # Edges of the windows, of which one begins at every second pixel.
        corner = 2.0 * np.stack([columns, rows], 1) - 0.5
        windows = (
            np.concatenate([corner, corner + _WINDOW], 1) + _WINDOW * shifts[:, rows, columns].T
        )
        view_from_scaled = affine.scaling(view.shape[1] / width, view.shape[0] / height)
        grown = affine.apply(view_from_scaled, windows.reshape(-1, 2, 2)).reshape(-1, 4)
        best = _surest(grown, score[rows, columns], 0.5)
        boxes.append(grown[best])
        scores.append(score[rows, columns][best])
        scale *= _STEP
    every, sure = np.concatenate(boxes), np.concatenate(scores)
    kept: Doubles = every[_surest(every, sure, 0.7)]
    return kept


def _refined(nets: MTCNN, view: Bytes, boxes: Doubles) -> Doubles:
    """The boxes that hold up at a second look, better placed."""
    if not len(boxes):
        return boxes
    squares = _squares(boxes)
    score, shifts = (each.double().numpy() for each in nets.rnet(_input(_crops(view, squares, 24))))
    sure = score >= _LEAST[1]
    placed = _shifted(squares, shifts)[sure]
    kept: Doubles = placed[_surest(placed, score[sure], 0.7)]
    return kept


def _settled(nets: MTCNN, view: Bytes, boxes: Doubles, least: float) -> ViewFaces:
    """The faces among the boxes, with their points."""
    if not len(boxes):
        return ViewFaces(boxes, np.zeros(0), np.zeros((0, 5, 2)))
    squares = _squares(boxes)
    score, shifts, points = (
        each.double().numpy() for each in nets.onet(_input(_crops(view, squares, 48)))
    )
    sides = (squares[:, 2:] - squares[:, :2])[:, None]
    placed, keypoints = _shifted(squares, shifts), squares[:, None, :2] + points * sides
    sure = np.flatnonzero(score >= least)
    best = sure[_surest(placed[sure], score[sure], 0.5)]
    return ViewFaces(placed[best], score[best], keypoints[best])


def _input(pictures: list[Bytes]) -> Tensor:
    import torch

    stacked = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float()
    return (stacked - 127.5) / 128


def _crops(view: Bytes, squares: Doubles, size: int) -> list[Bytes]:
    middles, sides = (squares[:, :2] + squares[:, 2:]) / 2, squares[:, 2] - squares[:, 0]
    return [
        warp(
            view, affine.square_crop(middle, float(side), 0.0, size), (size, size), filter="linear"
        )
        for middle, side in zip(middles, sides, strict=True)
    ]


def _squares(boxes: Doubles) -> Doubles:
    """The squares around the boxes' middles that are as long as the boxes' longer sides."""
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    halves = np.maximum((boxes[:, 2:] - boxes[:, :2]).max(1, keepdims=True), 1) / 2
    return np.concatenate([middles - halves, middles + halves], 1)


def _shifted(squares: Doubles, shifts: Doubles) -> Doubles:
    sides = squares[:, 2:] - squares[:, :2]
    moved: Doubles = squares + shifts * np.concatenate([sides, sides], 1)
    return moved


def _surest(boxes: Doubles, scores: Doubles, overlap: float) -> list[int]:
    """Rows of the boxes of which none overlaps a surer one by more."""
    sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
    return [int(row) for row in cv2.dnn.NMSBoxes(sides.tolist(), scores.tolist(), 0.0, overlap)]


# The first network's window and the narrowest face looked for, in pixels; how much smaller each
# view of the pyramid is.
_WINDOW: Final = 12
_SMALLEST: Final = 20
_STEP: Final = 0.709
# How sure the first two networks must be.
_LEAST: Final = (0.6, 0.7)
