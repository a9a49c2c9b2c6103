"""MediaPipe's FaceLandmarker: a mesh of 478 vertices, run by LiteRT.

From the mesh follow 52 measures of what a face does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from understudy.core import affine
from understudy.core.image import warp
from understudy.io import tflite
from understudy.io.weights.fetch import weight_path
from understudy.parts.detectors import Detection
from understudy.parts.landmarkers import landmarkers
from understudy.parts.landmarkers.mesh import (
    MeshLandmarker,
    MeshNetwork,
    find_crop,
    to_network_input,
)
from understudy.types import Bytes, Doubles, Floats

Express = Callable[[Bytes, Detection], Floats | None]


@landmarkers.register("mediapipe")
class MediaPipe(MeshLandmarker):
    """68 points from a mesh of 478.

    It follows lids and lips more closely than `facemesh`, and takes three times as long.
    """

    def network(self) -> MeshNetwork:
        """The network, ready to run. Raises WeightsMissing."""
        network = tflite.load(
            weight_path("mediapipe"), self.threads, "face_landmarks_detector.tflite"
        )

        def run(crop: Floats) -> tuple[Doubles, float]:
            points, flag, _ = network(crop[None])
            return points.reshape(-1, 3)[:, :2].astype(np.float64) - 0.5, tflite.sigmoid(
                flag.item()
            )

        return MeshNetwork(_SIDE, _CERTAIN, run)

    def build_expression(self) -> Express:
        """A function that measures what a face does.

        Returns:
            A function to (52,) float32 in 0..1, named in `EXPRESSIONS`; None = no face after all.

        Raises:
            WeightsMissing: The weights are not there.
        """
        network = self.network()
        measure = tflite.load(weight_path("mediapipe"), self.threads, "face_blendshapes.tflite")

        def express(image: Bytes, detection: Detection) -> Floats | None:
            unit_from_frame = find_crop(network, image, detection, 0, self.passes - 1)
            if unit_from_frame is None:
                return None
            crop = warp(
                image, affine.compose(affine.scaling(_SIDE), unit_from_frame), (_SIDE, _SIDE)
            )
            mesh, score = network.run(to_network_input(crop))
            # Neither place nor size matter to this network, but roll does; in the crop the eyes lie
            # level.
            return measure(mesh[_SEEN][None].astype(np.float32))[0] if score >= self.score else None

        return express


_SIDE: Final = 256
# Of 54 real faces, 95 % scored above 0.99997 the right way up, half of them above 0.99999999;
# turned by a quarter or half, 98 % scored below this.
_CERTAIN: Final = 0.999999

# The vertices that the network of expressions asks for, and the names of what it gives, in its
# order. Left and right are the person's. After MediaPipe's face_blendshapes_graph (Apache-2.0).
# fmt: off
_SEEN: Final = [
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65,
    66, 67, 70, 78, 80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136,
    144, 145, 146, 148, 149, 150, 152, 153, 154, 155, 157, 158, 159, 160, 161, 162, 163, 168,
    172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263, 267, 269, 270, 276,
    282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318,
    321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380,
    381, 382, 384, 385, 386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466,
    *range(468, 478),

]
EXPRESSIONS: Final = (
    "neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft",
    "browOuterUpRight", "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft",
    "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight",
    "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft",
    "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen",
    "jawRight", "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft",
    "mouthFrownRight", "mouthFunnel", "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight",
    "mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight", "mouthRollLower",
    "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight",
    "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "noseSneerLeft", "noseSneerRight",

)
# fmt: on
