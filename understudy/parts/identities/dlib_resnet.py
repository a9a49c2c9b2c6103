"""dlib's face recognition ResNet: 128 numbers a face.

Two pictures of one person lie about 0.3 apart, two people 0.8. By Davis King, dlib-models,
"dlib_face_recognition_resnet_model_v1". It tells East Asian people apart far worse than others: 13
% false accepts at a distance of 0.5 against none. So compare distances within one footage only.
"""

from __future__ import annotations

import numpy as np

from understudy.core import affine
from understudy.core.image import warp
from understudy.io.weights.fetch import weight_path
from understudy.options import option
from understudy.parts.dlib_extra import import_dlib
from understudy.parts.identities import Embed, Identity, identities
from understudy.types import Bytes, Floats

_SIDE, _CHIP = 400, 150
_PADDING = 0.25  # what the network was trained with


@identities.register("dlib-resnet")
class DlibResnet(Identity):
    """Needs the extra `dlib`. Its vectors are not of unit length: distances are as published."""

    jitter: int = option(
        0, "Average over so many slightly moved crops, 0 for the crop as it is", low=0, high=100
    )

    def build(self) -> Embed:
        """The network as a function: (128,) float32. Raises MissingExtra, WeightsMissing."""
        dlib = import_dlib("identity dlib-resnet")
        network = dlib.face_recognition_model_v1(str(weight_path("dlib-resnet")))
        jitter = self.jitter

        def embed(image: Bytes, landmarks: Floats) -> Floats:
            crop, points = _large(image, landmarks)
            everything = dlib.rectangle(0, 0, _SIDE - 1, _SIDE - 1)
            shape = dlib.full_object_detection(
                everything, [dlib.point(int(x), int(y)) for x, y in np.rint(points)]
            )
            chip = dlib.get_face_chip(crop, shape, size=_CHIP, padding=_PADDING)
            return np.array(network.compute_face_descriptor(chip, jitter), np.float32)

        return embed


def _large(image: Bytes, landmarks: Floats) -> tuple[Bytes, Floats]:
    """The face on a large crop, since dlib takes points at whole pixels only."""
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    crop_from_frame = affine.square_crop(
        (low + high) / 2, 2.2 * float((high - low).max()), 0.0, _SIDE
    )
    crop = np.ascontiguousarray(warp(image, crop_from_frame, (_SIDE, _SIDE)), np.uint8)
    return crop, affine.apply(crop_from_frame, landmarks).astype(np.float32)
