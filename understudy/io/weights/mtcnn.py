"""The weights of the package mtcnn as arrays. Its files are pickles in lz4 frames, and no pickle is
read here.

Each file has a known sha256, so the numbers of its arrays lie at known places, as float32,
little-endian, the last index first.
"""

from __future__ import annotations

import math
from typing import Final

import lz4.frame
import numpy as np

from understudy.io.weights.fetch import weight_path
from understudy.types import Floats

Shape = tuple[int, ...]


def load_tensors() -> dict[str, Floats]:
    """The weights and biases of the three nets by the names of `nets.pretrained.mtcnn`, outputs
    first, as torch has them.

    Raises WeightsMissing.
    """
    found = {}
    for net, arrays in _ARRAYS.items():
        data = lz4.frame.decompress(weight_path(f"mtcnn-{net}").read_bytes())
        for name, (place, shape) in arrays.items():
            values = np.frombuffer(data, "<f4", math.prod(shape), place).reshape(shape)
            found[f"{net}.{name}"] = np.array(
                _outputs_first(f"{net}.{name}", values), np.float32, order="C"
            )
    return found


def _outputs_first(name: str, values: Floats) -> Floats:
    """The package keeps convolutions as (H, W, in, out) and dense layers as (in, out)."""
    if name in _FLAT:
        # It flattens (width, height, planes), torch (planes, height, width).
        planes, side = _FLAT[name]
        return (
            values.reshape(side, side, planes, -1)
            .transpose(3, 2, 1, 0)
            .reshape(values.shape[1], -1)
        )
    if "prelu" in name:
        return values.reshape(-1)
    return values.transpose(3, 2, 0, 1) if values.ndim == 4 else values.T


# The first dense layer of a net sees the flattened planes: their number and side.
_FLAT: Final = {"rnet.fc4.weight": (64, 3), "onet.fc5.weight": (128, 3)}
# By net and name: where in the unpacked file the numbers begin, and the array's shape there.
_ARRAYS: Final[dict[str, dict[str, tuple[int, Shape]]]] = {
    "pnet": {
        "conv1.weight": (240, (3, 3, 3, 10)),
        "conv1.bias": (1376, (10,)),
        "prelu1.weight": (1472, (1, 1, 10)),
        "conv2.weight": (1568, (3, 3, 10, 16)),
        "conv2.bias": (7376, (16,)),
        "prelu2.weight": (7504, (1, 1, 16)),
        "conv3.weight": (7632, (3, 3, 16, 32)),
        "conv3.bias": (26112, (32,)),
        "prelu3.weight": (26304, (1, 1, 32)),
        "box.weight": (26496, (1, 1, 32, 4)),
        "box.bias": (27056, (4,)),
        "score.weight": (27136, (1, 1, 32, 2)),
        "score.bias": (27440, (2,)),
    },
    "rnet": {
        "conv1.weight": (240, (3, 3, 3, 28)),
        "conv1.bias": (3312, (28,)),
        "prelu1.weight": (3488, (1, 1, 28)),
        "conv2.weight": (3664, (3, 3, 28, 48)),
        "conv2.bias": (52096, (48,)),
        "prelu2.weight": (52352, (1, 1, 48)),
        "conv3.weight": (52608, (2, 2, 48, 64)),
        "conv3.bias": (101808, (64,)),
        "prelu3.weight": (102128, (1, 1, 64)),
        "fc4.weight": (102448, (576, 128)),
        "fc4.bias": (397408, (128,)),
        "prelu4.weight": (397968, (128,)),
        "box.weight": (398528, (128, 4)),
        "box.bias": (400624, (4,)),
        "score.weight": (400688, (128, 2)),
        "score.bias": (401760, (2,)),
    },
    "onet": {
        "conv1.weight": (240, (3, 3, 3, 32)),
        "conv1.bias": (3744, (32,)),
        "prelu1.weight": (3936, (1, 1, 32)),
        "conv2.weight": (4128, (3, 3, 32, 64)),
        "conv2.bias": (77904, (64,)),
        "prelu2.weight": (78224, (1, 1, 64)),
        "conv3.weight": (78544, (3, 3, 64, 64)),
        "conv3.bias": (226048, (64,)),
        "prelu3.weight": (226368, (1, 1, 64)),
        "conv4.weight": (226688, (2, 2, 64, 128)),
        "conv4.bias": (357808, (128,)),
        "prelu4.weight": (358384, (1, 1, 128)),
        "fc5.weight": (358960, (1152, 256)),
        "fc5.bias": (1538656, (256,)),
        "prelu5.weight": (1539728, (256,)),
        "box.weight": (1540816, (256, 4)),
        "box.bias": (1544960, (4,)),
        "points.weight": (1545040, (256, 10)),
        "points.bias": (1555328, (10,)),
        "score.weight": (1555424, (256, 2)),
        "score.bias": (1557520, (2,)),
    },
}
