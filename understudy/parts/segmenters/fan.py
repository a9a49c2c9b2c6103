"""FANSeg: the segmenter of DeepFaceLab 1, with its weights where somebody has them."""

from __future__ import annotations

from typing import Final

from understudy.io.model_files.segmenter_file import SegmenterFile
from understudy.parts.segmenters import Segment, Segmenter, segmenters
from understudy.parts.segmenters.xseg import segment_by

FAN: Final = "fan"


@segmenters.register(FAN)
class Fan(Segmenter):
    """A U-Net on the layers of VGG 11, at 256 px, of full faces: (tanh + 1) / 2 is face."""

    def build(self, file: SegmenterFile, device: str) -> Segment:
        """The network with the file's weights. Raises WeightsMissing, BadOption."""
        # Late: --help need not wait for torch.
        from understudy.nets.pretrained.fanseg import FanSeg

        return segment_by(FanSeg, lambda found: (found.tanh() + 1) / 2, file, device)
