"""What mesh landmarkers share: crop, locate, crop again, and average over jittered views."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np

from understudy.core import affine
from understudy.core.face.pose import HEAD_MODEL
from understudy.core.image import warp
from understudy.options import option
from understudy.parts.detectors import Detection
from understudy.parts.landmarkers import FaceLandmarks, Landmarker, Locate
from understudy.parts.landmarkers.mesh_as_68 import FROM_MESH, FROM_MIRRORED_MESH, VERTICES
from understudy.types import Bytes, Doubles, Floats


@dataclass(frozen=True, slots=True)
class MeshNetwork:
    """A network that lays a mesh on a face.

    side: of its input, in pixels. certain: the score that only upright heads reach. run: takes a
    crop (side, side, 3) float32 RGB in 0..1. It gives a mesh (V, 2) in pixels of the crop, V >=
    468, and how sure it is, 0..1.
    """

    side: int
    certain: float
    run: Callable[[Floats], tuple[Doubles, float]]


class MeshLandmarker(Landmarker):
    """The options of every landmarker with a mesh."""

    score: float = option(0.8, "How sure the mesh must be that it sits on a face", low=0, high=1)
    passes: int = option(
        3, "How often to look; every pass crops by the points of the one before", low=1, high=5
    )
    crops: int = option(
        4,
        "How many slightly different crops the last pass averages, half of them mirrored",
        low=1,
        high=8,
    )
    threads: int = option(1, "CPU threads", low=1, high=64, affects="nothing")

    def network(self) -> MeshNetwork:
        """The network, ready to run. Raises WeightsMissing."""
        raise NotImplementedError

    def build(self) -> Locate:
        """The landmarker as a function. Raises WeightsMissing."""
        network = self.network()

        def look(image: Bytes, detection: Detection, quarters: int) -> FaceLandmarks | None:
            unit_from_frame = find_crop(network, image, detection, quarters, self.passes - 1)
            return (
                None
                if unit_from_frame is None
                else _averaged(network, image, unit_from_frame, self.crops)
            )

        def locate(image: Bytes, detection: Detection) -> FaceLandmarks | None:
            found = look(image, detection, 0)
            if found is None or found.score < network.certain:
                # The detector may have been wrong about which way is up.
                others = [look(image, detection, quarters) for quarters in (1, 2, 3)]
                found = max(
                    filter(None, [found, *others]), key=lambda each: each.score, default=None
                )
            if (found is None or found.score < self.score) and np.ptp(detection.box[::2]) < _COARSE:
                # A wider square may have all of the face in it; and where the mesh sees too little,
                # the detector's points must do.
                found = look(image, _wider(detection), 0)
                if found is None or found.score < self.score:
                    found = _mean_face(detection)
            return found if found is not None and found.score >= self.score else None

        return locate


def find_crop(
    network: MeshNetwork, image: Bytes, detection: Detection, quarters: int, looks: int
) -> Doubles | None:
    """Find the square around a face, turned so that the eyes lie level.

    Args:
        network: Lays the mesh.
        image: (H, W, 3) uint8 RGB.
        detection: The face.
        quarters: Right angles by which the head is turned beyond what the detector says.
        looks: How often to mend the square.

    Returns:
        unit_from_frame (2, 3), or None when there is no face after all.
    """
    low, high = detection.box[:2].astype(np.float64), detection.box[2:].astype(np.float64)
    angle = detection.angle + quarters * math.pi / 2
    unit_from_frame = affine.square_crop(
        (low + high) / 2, _MARGIN * float((high - low).max()), angle, 1
    )
    for _ in range(looks):
        frame_from_crop = affine.invert(
            affine.compose(affine.scaling(network.side), unit_from_frame)
        )
        # Not low-passed, which would cost as much as the network: this look only says where to crop
        # for the next.
        rough = cv2.warpAffine(
            image,
            frame_from_crop,
            (network.side, network.side),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        )
        mesh, score = network.run(to_network_input(np.asarray(rough, np.uint8)))
        if score < _HOPELESS:
            return None
        unit_from_frame = _around(affine.apply(frame_from_crop, mesh[:VERTICES]))
    return unit_from_frame


def _mean_face(detection: Detection) -> FaceLandmarks | None:
    """The mean head laid onto the eyes and the nose that a sure detector saw."""
    if detection.score < _SURE or len(detection.keypoints) < 3:
        return None
    head = HEAD_MODEL[:, :2]
    frame_from_head = affine.fit_similarity(
        [head[36:42].mean(0), head[42:48].mean(0), head[30]], detection.keypoints[:3]
    )
    return FaceLandmarks(affine.apply(frame_from_head, head).astype(np.float32), 1.0)


def _wider(detection: Detection) -> Detection:
    low, high = detection.box[:2], detection.box[2:]
    middle, half = (low + high) / 2, _WIDER * (high - low) / 2
    return replace(detection, box=np.concatenate([middle - half, middle + half]))


def to_network_input(crop: Bytes) -> Floats:
    """The crop as the networks want it: float32 in 0..1."""
    return np.multiply(crop, np.float32(1 / 255), dtype=np.float32)


def _averaged(
    network: MeshNetwork, image: Bytes, unit_from_frame: Doubles, crops: int
) -> FaceLandmarks:
    """The mean of several looks.

    Their crops are cut from one picture of the face: each from the frame would cost too much.
    """
    side = network.side
    room = math.ceil(_ROOM * side) if crops > _UNMOVED else 0
    crop_from_frame = affine.compose(affine.scaling(side), unit_from_frame)
    wide_from_crop = np.array([[1.0, 0, room], [0, 1, room]])
    wide = warp(
        image, affine.compose(wide_from_crop, crop_from_frame), (side + 2 * room, side + 2 * room)
    )
    points, scores = [], []
    for nudge in _NUDGES[:crops]:
        nudged_from_crop = nudge.crop(side)
        if nudge.scale == 1 and nudge.degrees == 0:
            crop = wide[room : room + side, room : room + side]
        else:
            crop = warp(
                wide,
                affine.compose(nudged_from_crop, affine.invert(wide_from_crop)),
                (side, side),
                filter="linear",
            )
        mesh, score = network.run(to_network_input(crop[:, ::-1] if nudge.mirrored else crop))
        if nudge.mirrored:
            mesh = mesh * (-1, 1) + (side - 1, 0)
        seen = (FROM_MIRRORED_MESH if nudge.mirrored else FROM_MESH) @ mesh[:VERTICES]
        points.append(affine.apply(affine.invert(nudged_from_crop), seen))
        scores.append(score)
    landmarks = affine.apply(affine.invert(crop_from_frame), np.mean(points, axis=0))
    return FaceLandmarks(landmarks.astype(np.float32), float(np.mean(scores)))


def _around(mesh: Doubles) -> Doubles:
    """unit_from_frame of the square around a mesh, turned so that the eyes lie level."""
    across = mesh[_EYES[1]] - mesh[_EYES[0]]
    angle = math.atan2(across[1], across[0])
    upright_from_frame = affine.square_crop((0, 0), 1, angle, 1)
    upright = affine.apply(upright_from_frame, mesh)
    low, high = upright.min(0), upright.max(0)
    centre = affine.apply(affine.invert(upright_from_frame), (low + high) / 2)
    return affine.square_crop(centre, _MARGIN * float((high - low).max()), angle, 1)


@dataclass(frozen=True, slots=True)
class _Nudge:
    """A crop moved by shares of its side, grown, turned clockwise, and perhaps mirrored."""

    right: float
    down: float
    scale: float
    degrees: float
    mirrored: bool

    def crop(self, side: int) -> Doubles:
        """nudged_from_crop, but for the mirroring."""
        centre = np.array([self.right, self.down]) * side + (side - 1) / 2
        return affine.square_crop(centre, self.scale * side, math.radians(self.degrees), side)


# How much wider than the box the crop is, as the networks were trained.
_MARGIN: Final = 1.5
# Boxes narrower than this many pixels are coarse; by so much is the second look wider (on larger
# ones it sees faces in leaves), and so sure must the detector be if nothing else is.
_COARSE: Final = 24
_WIDER: Final = 1.5
_SURE: Final = 0.7
_HOPELESS: Final = 0.01
# Outer corners of the eyes.
_EYES: Final = (33, 263)

# Crops that differ a little: their errors differ too, and the mean keeps still. A mirrored look
# beside each plain one cancels what the network does differently left and right.
_NUDGES: Final = (
    _Nudge(0.0, 0.0, 1.0, 0.0, False),
    _Nudge(0.0, 0.0, 1.0, 0.0, True),
    _Nudge(0.015, 0.015, 1.04, 3.0, False),
    _Nudge(-0.015, 0.015, 1.04, -3.0, True),
    _Nudge(-0.015, -0.015, 0.96, -3.0, False),
    _Nudge(0.015, -0.015, 0.96, 3.0, True),
    _Nudge(0.015, -0.015, 1.0, -1.5, False),
    _Nudge(-0.015, -0.015, 1.0, 1.5, True),
)
# So many at the front lie where the crop does.
_UNMOVED: Final = 2
# How far beyond the crop the nudged ones reach, as a share of its side.
_ROOM: Final = 0.065
