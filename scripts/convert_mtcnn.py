"""Turn the weights inside the PyPI package mtcnn into one safetensors file: `convert_mtcnn.py mtcnn-1.0.0-py3-none-any.whl`.

Made `understudy/weights/mtcnn.safetensors`, once. The package keeps its arrays as joblib pickles in lz4 frames; here they are
read by an unpickler that knows numpy arrays and nothing else. Needs lz4 (`pip install lz4`), which the product does not.
"""

from __future__ import annotations

import io
import pickle
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import lz4.frame
import numpy as np
from safetensors.numpy import save_file

# The layers with weights in the order in which the package lists them.
LAYERS = {
    "pnet": ("conv1", "prelu1", "conv2", "prelu2", "conv3", "prelu3", "box", "score"),
    "rnet": ("conv1", "prelu1", "conv2", "prelu2", "conv3", "prelu3", "fc4", "prelu4", "box", "score"),
    "onet": ("conv1", "prelu1", "conv2", "prelu2", "conv3", "prelu3", "conv4", "prelu4", "fc5", "prelu5", "box", "points", "score"),
}
# The first dense layer of a net sees the flattened planes: their number and side.
FLAT = {"rnet.fc4": (64, 3), "onet.fc5": (128, 3)}


def main(wheel: Path, target: Path) -> None:
    """Read the three nets of the wheel and write them as one file."""
    tensors = {}
    with zipfile.ZipFile(wheel) as archive:
        for net, layers in LAYERS.items():
            packed = archive.read(f"mtcnn/assets/weights/{net}.lz4")
            arrays = iter(ArrayReader(io.BytesIO(lz4.frame.decompress(packed))).load())
            for layer in layers:
                name = f"{net}.{layer}"
                tensors[f"{name}.weight"] = as_torch(name, next(arrays))
                if "prelu" not in layer:
                    tensors[f"{name}.bias"] = next(arrays)
            assert next(arrays, None) is None, f"{net} has more arrays than layers"
    save_file({name: np.ascontiguousarray(values, np.float32) for name, values in tensors.items()}, target)


class ArrayReader(pickle._Unpickler):  # type: ignore[name-defined,misc]
    """Reads lists of numpy arrays as joblib writes them: a description in the pickle, then the raw numbers in the stream."""

    dispatch: ClassVar = dict(pickle._Unpickler.dispatch)  # type: ignore[attr-defined]

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream)
        self.stream = stream

    def find_class(self, module: str, name: str) -> Any:
        known = {
            ("joblib.numpy_pickle", "NumpyArrayWrapper"): Wrapper,
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"{module}.{name} is no array. Do not trust this file.")
        return known[module, name]

    def load_build(self) -> None:
        super().load_build()
        if isinstance(self.stack[-1], Wrapper):
            self.stack[-1] = self.numbers(self.stack[-1])

    dispatch[pickle.BUILD[0]] = load_build

    def numbers(self, described: Wrapper) -> np.ndarray[Any, Any]:
        # The raw numbers start at a multiple of the alignment: one byte says how many to skip.
        skipped = self.stream.read(1)[0]
        self.stream.read(skipped)
        data = self.stream.read(int(np.prod(described.shape)) * described.dtype.itemsize)
        return np.frombuffer(data, described.dtype).reshape(described.shape, order=described.order)


class Wrapper(SimpleNamespace):
    """What joblib says of an array: shape, order, dtype."""


def as_torch(name: str, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Keras keeps convolutions as (H, W, in, out) and dense layers as (in, out); PyTorch has the outputs first."""
    if name in FLAT:
        # The package flattens (width, height, planes), PyTorch (planes, height, width).
        planes, side = FLAT[name]
        return values.reshape(side, side, planes, -1).transpose(3, 2, 1, 0).reshape(values.shape[1], -1)
    return values.reshape(-1) if "prelu" in name else values.transpose(3, 2, 0, 1) if values.ndim == 4 else values.T


if __name__ == "__main__":
    beside = Path(__file__).resolve().parent.parent / "understudy" / "weights" / "mtcnn.safetensors"
    main(Path(sys.argv[1]), beside)
