"""Weights in ncnn's way: every number in its place, and a file that is not as it should be is
refused by the tensor's name.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from understudy.errors import WeightsMissing
from understudy.io.weights import ncnn

SHAPES = {"a.weight": (1, 3, 1, 3), "a.bias": (1,), "b.weight": (2, 1, 1, 1), "b.bias": (2,)}
HALF, FULL, WHOLE_NUMBERS = 0x01306B47, 0, 0x000D4B38


def packed(mark: int = HALF, weights: np.ndarray | None = None) -> bytes:
    """A file as ncnn lays it out: nine kernels in fp16, filled up to four bytes, and a bias; then
    two in fp32 and two biases.
    """
    nine = np.arange(9, dtype="<f2") / 4 if weights is None else weights
    first = struct.pack("<I", mark) + nine.tobytes() + b"\xff\xff" + struct.pack("<f", -0.5)
    return first + struct.pack("<I2f2f", FULL, 1.5, 2.5, 3.5, 4.5)


def read(folder: Path, data: bytes) -> dict[str, np.ndarray]:
    (folder / "some.bin").write_bytes(data)
    return ncnn.read_tensors(folder / "some.bin", SHAPES)


def test_every_number_stands_in_its_place(tmp_path: Path) -> None:
    found = read(tmp_path, packed())
    assert list(found) == list(SHAPES) and all(
        found[name].shape == shape for name, shape in SHAPES.items()
    )
    assert np.array_equal(found["a.weight"].ravel(), np.arange(9) / 4) and found["a.bias"] == [-0.5]
    assert found["b.weight"].ravel().tolist() == [1.5, 2.5] and found["b.bias"].tolist() == [
        3.5,
        4.5,
    ]
    assert all(values.dtype == np.float32 for values in found.values())


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "ends before 'a.weight'"),
        (packed()[:10], "ends within 'a.weight'"),
        (packed()[:26], "ends within 'a.bias'"),
        (packed()[:-1], "ends within 'b.bias'"),
        (packed() + b"\0", "1 bytes more"),
        (packed(WHOLE_NUMBERS), "'a.weight' is packed in a way .*0xd4b38"),
        (packed(weights=np.full(9, np.nan, "<f2")), "'a.weight' holds values that are not numbers"),
    ],
)
def test_a_file_that_is_not_of_this_network_is_refused(
    data: bytes, told: str, tmp_path: Path
) -> None:
    with pytest.raises(WeightsMissing, match=rf"some\.bin: {told}.*remove it"):
        read(tmp_path, data)
