"""FaceMesh: 468 points on the skin (Kartynnik et al. 2019), read as the 68 of iBUG; run by LiteRT."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from understudy.core import geometry
from understudy.core.image import warp
from understudy.core.landmarks import COUNT, MIRROR
from understudy.io import tflite
from understudy.io.weights import weight_path
from understudy.options import option
from understudy.parts.detectors import Detection
from understudy.parts.landmarkers import Found, Landmarker, Locate, landmarkers
from understudy.types import Bytes, Doubles


@landmarkers.register("facemesh")
class FaceMesh(Landmarker):
    """68 points from a mesh of 468: steady from frame to frame, in any rotation, through blur and noise."""

    score: float = option(0.8, "How sure the mesh must be that it sits on a face", low=0, high=1)
    passes: int = option(3, "How often to look; every pass crops by the points of the one before", low=1, high=5)
    crops: int = option(4, "How many slightly different crops the last pass averages, half of them mirrored", low=1, high=8)
    threads: int = option(1, "CPU threads", low=1, high=64)

    def build(self) -> Locate:
        """The landmarker as a function. Raises WeightsMissing."""
        network = tflite.load(weight_path("facemesh"), self.threads)

        def locate(image: Bytes, detection: Detection) -> Found | None:
            found = self._look(network, image, _around(detection, detection.angle))
            if found.score < _CERTAIN:
                # The detector may have been wrong about which way is up.
                turns = [detection.angle + quarters * math.pi / 2 for quarters in (1, 2, 3)]
                others = [self._look(network, image, _around(detection, angle)) for angle in turns]
                found = max([found, *others], key=lambda each: each.score)
            return found if found.score >= self.score else None

        return locate

    def _look(self, network: tflite.Network, image: Bytes, frame_from_crop: Doubles) -> Found:
        for _ in range(self.passes - 1):
            mesh, score = _mesh(network, image, frame_from_crop)
            if score < _HOPELESS:
                return Found((_68_FROM_MESH @ mesh).astype(np.float32), score)
            frame_from_crop = _around_mesh(mesh)
        looks = [_mesh(network, image, geometry.compose(frame_from_crop, nudge)) for nudge in _NUDGES[: self.crops]]
        points = np.mean([_as_68(mesh, look) for look, (mesh, _) in enumerate(looks)], axis=0)
        return Found(points.astype(np.float32), float(np.mean([score for _, score in looks])))


def _mesh(network: tflite.Network, image: Bytes, frame_from_crop: Doubles) -> tuple[Doubles, float]:
    """The mesh seen in a crop, (468, 2) frame pixels, and how sure the network is that the crop shows a face, 0..1."""
    crop = warp(image, geometry.invert(frame_from_crop), (_SIDE, _SIDE)).astype(np.float32) / np.float32(255)
    points, flag = network(crop[None])
    mesh = geometry.apply(frame_from_crop, points.reshape(-1, 3)[:, :2] - 0.5)
    return mesh, float(1 / (1 + math.exp(-min(max(flag.item(), -60), 60))))


def _as_68(mesh: Doubles, look: int) -> Doubles:
    return _MIRRORED_68_FROM_MESH @ mesh if look % 2 else _68_FROM_MESH @ mesh


def _around(detection: Detection, angle: float) -> Doubles:
    """frame_from_crop of the square around a detection, turned by `angle`."""
    low, high = detection.box[:2].astype(np.float64), detection.box[2:].astype(np.float64)
    side = _MARGIN * float((high - low).max())
    return geometry.invert(geometry.square((low + high) / 2, side, angle, _SIDE))


def _around_mesh(mesh: Doubles) -> Doubles:
    """frame_from_crop of the square around a mesh, turned so that the eyes lie level."""
    across = mesh[_EYES[1]] - mesh[_EYES[0]]
    angle = math.atan2(across[1], across[0])
    upright_from_frame = geometry.square((0, 0), 1, angle, 1)
    upright = geometry.apply(upright_from_frame, mesh)
    low, high = upright.min(0), upright.max(0)
    centre = geometry.apply(geometry.invert(upright_from_frame), (low + high) / 2)
    return geometry.invert(geometry.square(centre, _MARGIN * float((high - low).max()), angle, _SIDE))


def _nudge(right: float, down: float, scale: float, degrees: float, flipped: bool) -> Doubles:
    """crop_from_nudged: the crop shifted by shares of its side, grown, turned, and perhaps mirrored."""
    centre = np.array([right, down]) * _SIDE + _SIDE / 2 - 0.5
    nudged = geometry.invert(geometry.square(centre, scale * _SIDE, math.radians(degrees), _SIDE))
    flip = np.array([[-1.0, 0, _SIDE - 1], [0, 1, 0]])
    return geometry.compose(nudged, flip) if flipped else nudged


def _weights(sides: dict[int, int]) -> Doubles:
    """68_from_mesh, (68, 468), each row summing to 1; sides: the vertex that takes each vertex's place on the other side."""
    matrix = np.zeros((COUNT, 468))
    for point, mix in _HALF.items():
        for vertex, share in mix.items():
            matrix[point, sides.get(vertex, vertex)] += share
            if MIRROR[point] != point:
                opposite = _OPPOSITE.get(vertex, vertex)
                matrix[MIRROR[point], sides.get(opposite, opposite)] += share
    return matrix


# Side of the network's input, and how much wider than the box the crop is, as the network was trained.
_SIDE: Final = 192
_MARGIN: Final = 1.5
# Of 150 real faces, 149 scored above 0.999999 the right way up, and none above 0.9991 when turned by a quarter or half; the
# right way always scored best. So anything below this is worth the three other looks.
_CERTAIN: Final = 0.9999
_HOPELESS: Final = 0.01
# Outer corners of the eyes among the 468.
_EYES: Final = (33, 263)

# Crops that differ a little, as (right, down, scale, degrees, mirrored): their errors differ too, and the mean keeps still.
# A mirrored look beside each plain one cancels what the network does differently left and right.
_NUDGES: Final = [
    _nudge(*each)
    for each in (
        (0.0, 0.0, 1.0, 0.0, False),
        (0.0, 0.0, 1.0, 0.0, True),
        (0.015, 0.015, 1.04, 3.0, False),
        (-0.015, 0.015, 1.04, -3.0, True),
        (-0.015, -0.015, 0.96, -3.0, False),
        (0.015, -0.015, 0.96, 3.0, True),
        (0.015, -0.015, 1.0, -1.5, False),
        (-0.015, -0.015, 1.0, 1.5, True),
    )
]

# The points of one side and the middle as mixes of mesh vertices. Jaw: along the mesh's outline from the level of the eyes to
# the chin, spaced as on a mean head (`core.pose.HEAD`). Eyes and lips: along lids and lips at the shares where iBUG's mean face
# has them (`core.align.TEMPLATE`). Brows: upper edge, ends in the middle of the brow. Nose: nasion, three even steps to the
# tip, then along the lower edge. Derived from the mesh's own mean shape, not fitted to another landmarker.
_HALF: Final[dict[int, dict[int, float]]] = {
    0: {127: 0.8, 234: 0.2},
    1: {234: 0.55, 93: 0.45},
    2: {93: 0.35, 132: 0.65},
    3: {132: 0.3, 58: 0.7},
    4: {58: 0.2, 172: 0.8},
    5: {136: 0.8, 150: 0.2},
    6: {150: 0.25, 149: 0.75},
    7: {176: 0.5, 148: 0.5},
    8: {152: 1.0},
    17: {70: 0.65, 156: 0.35},
    18: {63: 1.0},
    19: {105: 0.6, 66: 0.4},
    20: {66: 0.6, 107: 0.4},
    21: {107: 0.5, 55: 0.5},
    27: {168: 0.55, 6: 0.45},
    28: {197: 1.0},
    29: {195: 0.35, 5: 0.65},
    30: {4: 1.0},
    31: {75: 0.5, 240: 0.5},
    32: {97: 1.0},
    33: {2: 0.5, 164: 0.5},
    36: {33: 1.0},
    37: {160: 0.7, 159: 0.3},
    38: {158: 0.75, 157: 0.25},
    39: {133: 1.0},
    40: {145: 0.1, 153: 0.9},
    41: {163: 0.15, 144: 0.85},
    48: {61: 1.0},
    49: {40: 0.1, 39: 0.9},
    50: {37: 0.85, 0: 0.15},
    51: {0: 1.0},
    57: {17: 1.0},
    58: {84: 0.85, 17: 0.15},
    59: {91: 0.25, 181: 0.75},
    60: {78: 1.0},
    61: {81: 0.2, 82: 0.8},
    62: {13: 1.0},
    66: {14: 1.0},
    67: {178: 0.1, 87: 0.9},
}

# The vertices used above that do not lie in the middle, and their mirror images.
# fmt: off
_OPPOSITE: Final = {
    33: 263, 37: 267, 39: 269, 40: 270, 55: 285, 58: 288, 61: 291, 63: 293, 66: 296, 70: 300,
    75: 305, 78: 308, 81: 311, 82: 312, 84: 314, 87: 317, 91: 321, 93: 323, 97: 326, 105: 334,
    107: 336, 127: 356, 132: 361, 133: 362, 136: 365, 144: 373, 145: 374, 148: 377, 149: 378, 150: 379,
    153: 380, 156: 383, 157: 384, 158: 385, 159: 386, 160: 387, 163: 390, 172: 397, 176: 400, 178: 402,
    181: 405, 234: 454, 240: 460,
}
# fmt: on

_68_FROM_MESH: Final = _weights({})
# In a mirrored crop the network finds the left side's vertices on the right: read each from its opposite.
_MIRRORED_68_FROM_MESH: Final = _weights(_OPPOSITE | {right: left for left, right in _OPPOSITE.items()})
