"""MediaPipe's selfie segmenter of six classes: needs no training of one's own."""

from __future__ import annotations

from typing import Final

import numpy as np

from understudy.core import image
from understudy.errors import WeightsMissing
from understudy.io import tflite
from understudy.io.model_files.segmenter_file import SegmenterFile
from understudy.io.weights.fetch import weight_path
from understudy.parts.segmenters import Segment, Segmenter, segmenters
from understudy.types import Floats

_SIZE: Final = 256
# Background, hair, skin of the body, skin of the face, clothes, other things worn.
_CLASSES, _FACE_SKIN = 6, 3


@segmenters.register("multiclass")
class Multiclass(Segmenter):
    """What is skin of a face; hair, hands, glasses and all that is worn are not.

    On the CPU, whatever the device: that is what such networks run on here.
    """

    is_pretrained = True

    def pretrained_file(self) -> SegmenterFile:
        # It learnt from people before their own cameras, so it is shown the whole head.
        origin = "MediaPipe's selfie segmenter"
        return SegmenterFile(weight_path("multiclass"), "multiclass", "head", _SIZE, origin, {})

    def build(self, file: SegmenterFile, device: str) -> Segment:
        network = tflite.load(file.path)

        def segment(faces: Floats) -> Floats:
            masks = np.empty(faces.shape[:3], np.float32)
            for face, mask in zip(faces, masks, strict=True):
                seen = np.clip(image.resize(face, (_SIZE, _SIZE)), 0, 1)
                logits = network(seen[None])[0]
                if logits.shape != (1, _SIZE, _SIZE, _CLASSES):
                    raise WeightsMissing(
                        f"{file.path}: another network than MediaPipe's of six classes. Remove the"
                        " file."
                    )
                # The softmax of one class; beyond e to the 80th float32 has no number.
                found = 1 / np.exp(
                    np.minimum(logits[0] - logits[0, :, :, _FACE_SKIN, None], 80)
                ).sum(-1)
                mask[:] = np.clip(image.resize(found, mask.shape[::-1]), 0, 1)
            return masks

        return segment
