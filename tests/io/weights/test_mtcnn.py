"""The arrays of mtcnn are cut out of its files by their places, and fit the nets."""

import lz4.frame
import numpy as np
import pytest

from understudy.io.weights import fetch, mtcnn


def test_every_array_is_there_in_order_without_overlap() -> None:
    for arrays in mtcnn._ARRAYS.values():
        places = list(arrays.values())
        ends = [place + 4 * int(np.prod(shape)) for place, shape in places]
        assert all(end <= place for end, (place, _) in zip(ends, places[1:], strict=False))


def test_the_real_files_hold_plausible_numbers() -> None:
    if any(fetch.weight_status(f"mtcnn-{net}") == "missing" for net in ("pnet", "rnet", "onet")):
        pytest.skip("the weights are not on this machine")
    found = mtcnn.load_tensors()
    assert sum(values.size for values in found.values()) == 6632 + 100178 + 389040
    for name, values in found.items():
        assert (
            values.dtype == np.float32
            and np.isfinite(values).all()
            and 0 < np.abs(values).max() < 20
        ), name
    assert found["onet.fc5.weight"].shape == (256, 1152) and found["pnet.conv1.weight"].shape == (
        10,
        3,
        3,
        3,
    )


def test_arrays_come_outputs_first(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    kernel, slope = (
        np.arange(24, dtype="<f4").reshape(2, 2, 2, 3),
        np.arange(3, dtype="<f4").reshape(1, 1, 3),
    )
    (tmp_path / "net").write_bytes(
        lz4.frame.compress(b"pickled words" + kernel.tobytes() + slope.tobytes())
    )
    monkeypatch.setattr(mtcnn, "weight_path", lambda name: tmp_path / "net")
    places = {"conv1.weight": (13, (2, 2, 2, 3)), "prelu1.weight": (13 + 96, (1, 1, 3))}
    monkeypatch.setattr(mtcnn, "_ARRAYS", {"pnet": places})
    found = mtcnn.load_tensors()
    assert np.array_equal(found["pnet.conv1.weight"], kernel.transpose(3, 2, 0, 1))
    assert found["pnet.prelu1.weight"].tolist() == [0, 1, 2]
