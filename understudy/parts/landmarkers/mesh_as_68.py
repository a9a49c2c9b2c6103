"""The vertices of the face mesh (Kartynnik et al. 2019) read as the 68 points of iBUG."""

from __future__ import annotations

from typing import Final

import numpy as np

from understudy.core.face.landmarks import COUNT, MIRROR
from understudy.types import Doubles

VERTICES: Final = 468


def _weights(sides: dict[int, int]) -> Doubles:
    """68_from_mesh, (68, 468), each row summing to 1.

    sides: the vertex that takes each vertex's place on the other side.
    """
    matrix = np.zeros((COUNT, VERTICES))
    for point, mix in _HALF.items():
        for vertex, share in mix.items():
            matrix[point, sides.get(vertex, vertex)] += share
            if MIRROR[point] != point:
                opposite = _OPPOSITE.get(vertex, vertex)
                matrix[MIRROR[point], sides.get(opposite, opposite)] += share
    return matrix


# The points of one side and the middle as mixes of mesh vertices. Jaw: along the mesh's outline
# from the level of the eyes to the chin, spaced as on a mean head (`core.face.pose.HEAD_MODEL`);
# from 5 to the chin a little outwards from under the nose (vertex 2), since the mesh ends before
# the face does. Eyes and lips: along lids and lips at the shares where iBUG's mean face has them
# (`core.face.align.TEMPLATE`), the outer corner a little inside the mesh's. Brows: upper edge, ends
# in the middle of the brow. Nose: nasion, even steps to the tip, then along the lower edge. Derived
# from the mesh's own mean shape, not fitted to another landmarker; outer corners, nasion, tip and
# chin then moved where the synthetic people's points and dlib's on real clips agreed.
_HALF: Final[dict[int, dict[int, float]]] = {
    0: {127: 0.8, 234: 0.2},
    1: {234: 0.55, 93: 0.45},
    2: {93: 0.35, 132: 0.65},
    3: {132: 0.3, 58: 0.7},
    4: {58: 0.2, 172: 0.8},
    5: {136: 0.8, 150: 0.22, 2: -0.02},
    6: {150: 0.25, 149: 0.78, 2: -0.03},
    7: {176: 0.52, 148: 0.52, 2: -0.04},
    8: {152: 1.04, 2: -0.04},
    17: {70: 0.65, 156: 0.35},
    18: {63: 0.75, 105: 0.25},
    19: {105: 0.6, 66: 0.4},
    20: {66: 0.6, 107: 0.4},
    21: {107: 0.5, 55: 0.5},
    27: {168: 0.75, 6: 0.25},
    28: {197: 1.0},
    29: {195: 0.35, 5: 0.65},
    30: {4: 0.8, 1: 0.2},
    31: {75: 0.5, 240: 0.5},
    32: {97: 1.0},
    33: {2: 0.5, 164: 0.5},
    36: {33: 0.4, 246: 0.3, 7: 0.3},
    37: {160: 0.55, 159: 0.45},
    38: {158: 0.75, 157: 0.25},
    39: {133: 1.0},
    40: {145: 0.1, 153: 0.9},
    41: {144: 0.9, 145: 0.1},
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
    7: 249, 33: 263, 37: 267, 39: 269, 40: 270, 55: 285, 58: 288, 61: 291, 63: 293, 66: 296, 70:
    300, 75: 305, 78: 308, 81: 311, 82: 312, 84: 314, 87: 317, 91: 321, 93: 323, 97: 326, 105:
    334, 107: 336, 127: 356, 132: 361, 133: 362, 136: 365, 144: 373, 145: 374, 148: 377, 149:
    378, 150: 379, 153: 380, 156: 383, 157: 384, 158: 385, 159: 386, 160: 387, 163: 390, 172:
    397, 176: 400, 178: 402, 181: 405, 234: 454, 240: 460, 246: 466,

}
# fmt: on

# (68, 468): point = weights @ mesh.
FROM_MESH: Final = _weights({})
# In a mirrored crop the network finds the left side's vertices on the right: read each from its
# opposite.
FROM_MIRRORED_MESH: Final = _weights(_OPPOSITE | {right: left for left, right in _OPPOSITE.items()})
