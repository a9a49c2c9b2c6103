"""MediaPipe's segmenter of six classes, with a network of the same outside in its place: its
weights are fetched on demand.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from understudy.errors import WeightsMissing
from understudy.io import tflite
from understudy.io.weights.fetch import weight_status
from understudy.parts.segmenters import multiclass, segmenters
from understudy.types import Floats

FACE_SKIN = 3
MULTICLASS = segmenters["multiclass"]()


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Floats]:
    """What the network is shown. It takes red for the face's skin, and is sure of it."""
    shown: list[Floats] = []

    def network(picture: Floats) -> list[Floats]:
        shown.append(picture)
        logits = np.zeros((1, 256, 256, 6), np.float32)
        logits[..., FACE_SKIN] = 300 * (picture[..., 0] - 0.5)
        return [logits]

    monkeypatch.setattr(tflite, "load", lambda path: network)
    monkeypatch.setattr(multiclass, "weight_path", lambda name: tmp_path / f"{name}.tflite")
    return shown


def test_it_is_ready_without_a_file_of_the_show(seen: list[Floats]) -> None:
    file = MULTICLASS.pretrained_file()
    assert (file.kind, file.face_type, file.resolution) == ("multiclass", "head", 256)
    faces = np.zeros((2, 128, 128, 3), np.float32)
    faces[0, :, 64:, 0], faces[1, :, :, 2] = 1, 1
    masks = segmenters[file.kind]().build(file, "cpu")(faces)
    assert masks.shape == (2, 128, 128) and masks.dtype == np.float32
    assert (
        masks[0, :, 66:].min() > 0.999 and masks[0, :, :62].max() < 0.001 and masks[1].max() < 0.001
    )
    # RGB in 0..1, at the size that it learnt.
    assert all(
        picture.shape == (1, 256, 256, 3) and picture.min() >= 0 and picture.max() <= 1
        for picture in seen
    )


def test_what_it_is_not_sure_of_is_half_a_face(seen: list[Floats]) -> None:
    # All six classes alike.
    masks = MULTICLASS.build(MULTICLASS.pretrained_file(), "cpu")(
        np.full((1, 256, 256, 3), 0.5, np.float32)
    )
    assert np.allclose(masks, 1 / 6, atol=1e-4)


def test_another_network_is_refused(seen: list[Floats], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        tflite, "load", lambda path: lambda picture: [np.zeros((1, 256, 256, 1), np.float32)]
    )
    segment = MULTICLASS.build(MULTICLASS.pretrained_file(), "cpu")
    with pytest.raises(WeightsMissing, match=r"multiclass\.tflite: another network"):
        segment(np.zeros((1, 256, 256, 3), np.float32))


@pytest.mark.skipif(
    weight_status("multiclass") == "missing", reason="the weights are not on this machine"
)
def test_the_real_network_sees_no_face_in_grey() -> None:
    file = MULTICLASS.pretrained_file()
    assert (
        segmenters[file.kind]()
        .build(file, "cpu")(np.full((1, 256, 256, 3), 0.5, np.float32))
        .mean()
        < 0.1
    )
