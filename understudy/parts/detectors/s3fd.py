"""S3FD, a large and thorough face detector (Zhang et al. 2017).

The weights are those of the face-alignment project.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from understudy.io.weights.fetch import weight_path
from understudy.options import option
from understudy.parts.detectors import detectors
from understudy.parts.detectors.search import (
    SearchDetector,
    ViewDetector,
    ViewFaces,
    merge_overlapping,
)
from understudy.types import Bytes, Doubles

if TYPE_CHECKING:
    from torch import Tensor

    from understudy.nets.pretrained.s3fd import S3FD


@detectors.register("s3fd")
class S3fd(SearchDetector):
    """Finds half hidden faces too; slow without a GPU.

    Finds faces from about a fiftieth of the frame's longer side upwards.
    """

    side: int = option(
        640,
        "Longer side at which the frame is looked at; time grows with its square",
        low=128,
        high=4096,
    )
    device: str = option(
        "auto", "Where to compute: auto, cpu, cuda, cuda:1, mps, …", affects="nothing"
    )

    def view_detector(self) -> ViewDetector:
        """The network with its weights, fetched from their publisher (90 MB).

        Raises WeightsMissing, BadOption.
        """
        # Late, here and below: --help need not wait for torch.
        from understudy.nets.pretrained.load import load_pretrained, parse_torch_file
        from understudy.nets.pretrained.s3fd import S3FD

        path = weight_path("s3fd")
        return self.with_network(
            load_pretrained(S3FD(), parse_torch_file(path.read_bytes(), str(path)), str(path))
        )

    def with_network(self, network: S3FD) -> ViewDetector:
        """What a network sees. Raises BadOption for a device that is not there."""
        import torch

        from understudy.nets.device import resolve_device, to_tensor
        from understudy.nets.pretrained.s3fd import MEAN, STRIDES

        device = resolve_device(self.device)
        network = network.to(device)
        mean = torch.tensor(MEAN, device=device).view(1, 3, 1, 1)

        @torch.inference_mode()
        def look(view: Bytes) -> ViewFaces:
            seen = network(to_tensor(view[None, ..., ::-1], device) * 255 - mean)
            scales = [
                _decoded(score, box, stride, self.score)
                for (score, box), stride in zip(seen, STRIDES, strict=True)
            ]
            boxes, scores = (np.concatenate(each) for each in zip(*scales, strict=True))
            return merge_overlapping(boxes, scores, np.zeros((len(scores), 0, 2)))

        return ViewDetector(look, self.side, is_square=False, small=10 / self.side, sure=0.95)


def _decoded(score: Tensor, box: Tensor, stride: int, least: float) -> tuple[Doubles, Doubles]:
    """Decode the sure boxes (N, 4) and scores (N,) of one scale, after Liu et al. (2016)."""
    rows, columns = (score[0] >= least).nonzero(as_tuple=True)
    shifts = box[0, :, rows, columns].double().cpu().numpy().T
    # Pixel centres lie at whole numbers, so a cell's middle lies half a pixel before (i + 0.5) *
    # stride.
    middles = (np.stack([columns.cpu().numpy(), rows.cpu().numpy()], 1) + 0.5) * stride - 0.5
    anchor = 4.0 * stride
    middles += 0.1 * anchor * shifts[:, :2]
    halves = anchor / 2 * np.exp(np.clip(0.2 * shifts[:, 2:], -5, 5))
    return (
        np.concatenate([middles - halves, middles + halves], 1),
        score[0, rows, columns].double().cpu().numpy(),
    )
