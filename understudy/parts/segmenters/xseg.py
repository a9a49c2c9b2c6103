"""XSeg: the segmenter of DeepFaceLab 2, with weights that somebody trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np

from understudy.core import image
from understudy.io.model_files.segmenter_file import SegmenterFile
from understudy.parts.segmenters import Segment, Segmenter, segmenters
from understudy.types import Floats

if TYPE_CHECKING:
    from torch import Tensor, nn

# What is less sure than this is no face.
_SURE: Final = 0.1
_BATCH: Final = 8
_SIZE: Final = 256


@segmenters.register("xseg")
class Xseg(Segmenter):
    """A U-Net at 256 px that learns from painted outlines.

    Faces of another size are resized (areas averaged where they shrink, cubic where they grow), and
    so are their masks.
    """

    def build(self, file: SegmenterFile, device: str) -> Segment:
        """The network with the file's weights.

        Raises:
            WeightsMissing: A tensor is not of this network; the message names it.
            BadOption: The device is not there.
        """
        # Late: --help need not wait for torch.
        import torch

        from understudy.nets.pretrained.xseg import XSeg

        return segment_by(XSeg, torch.sigmoid, file, device)


def segment_by(
    network: Callable[[], nn.Module],
    activation: Callable[[Tensor], Tensor],
    file: SegmenterFile,
    device: str,
) -> Segment:
    """A network of BGR faces at 256 px with the weights of a file, as a segmenter.

    activation: from its output to 0..1. Raises as `Xseg.build`.
    """
    import torch

    from understudy.nets.device import resolve_device, to_numpy, to_tensor
    from understudy.nets.pretrained.load import load_pretrained

    place = resolve_device(device)
    with torch.device("meta"):
        empty = network()
    net = load_pretrained(empty.to_empty(device=place), file.tensors, str(file.path))

    def segment(faces: Floats) -> Floats:
        masks = np.empty(faces.shape[:3], np.float32)
        for start in range(0, len(faces), _BATCH):
            some = faces[start : start + _BATCH]
            seen = np.stack([image.resize(face, (_SIZE, _SIZE)) for face in some])
            with torch.inference_mode():
                # It learnt from BGR.
                found = to_numpy(activation(net(to_tensor(seen[..., ::-1], place))))
            found[found < _SURE] = 0
            for row, mask in enumerate(found, start):
                masks[row] = np.clip(image.resize(mask, faces.shape[2:0:-1]), 0, 1)
        return masks

    return segment
