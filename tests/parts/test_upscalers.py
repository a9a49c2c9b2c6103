"""Upscalers: more pixels, the same face."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from understudy.errors import WeightsMissing
from understudy.io.weights.fetch import weight_status
from understudy.nets.pretrained import rrdb
from understudy.nets.pretrained.rrdb import RRDB
from understudy.parts.upscalers import realesrgan, upscale_by, upscalers
from understudy.types import Floats

HALF = 0x01306B47


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RRDB:
    """A small network with weights by chance; the part gets them as a file of ncnn."""
    torch.manual_seed(0)
    net = RRDB(blocks=1, channels=4, growth=2)
    file = b""
    for name, value in net.state_dict().items():
        value.copy_(0.15 * torch.randn(value.shape))
        value.copy_(value.half().float())
        kernels = np.frombuffer(value.numpy().astype("<f2").tobytes(), np.uint8)
        fill = bytes(-len(kernels) % 4)
        file += (
            value.numpy().tobytes()
            if name.endswith("bias")
            else struct.pack("<I", HALF) + kernels.tobytes() + fill
        )
    (tmp_path / "tiny.bin").write_bytes(file)
    monkeypatch.setattr(realesrgan, "weight_path", lambda name: tmp_path / "tiny.bin")
    monkeypatch.setattr(rrdb, "RRDB", lambda: RRDB(blocks=1, channels=4, growth=2))
    return net


def faces(count: int = 3, side: int = 12) -> Floats:
    return np.random.default_rng(0).random((count, side, side, 3)).astype(np.float32)


def small(picture: Floats, side: int) -> Floats:
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)


def test_the_network_gets_the_weights_of_the_file_and_faces_in_batches(
    tiny: RRDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = 0.3 + 0.4 * faces()
    # Two calls of the network.
    monkeypatch.setattr(realesrgan, "_PIXELS", 2 * 12**2)
    larger = upscalers["realesrgan"]().build("cpu")(given)
    assert (
        larger.shape == (3, 48, 48, 3)
        and larger.dtype == np.float32
        and 0 <= larger.min() <= larger.max() <= 1
    )
    planes = torch.from_numpy(given.transpose(0, 3, 1, 2).copy())
    expected = realesrgan.put_back(planes, tiny(planes)).detach().permute(0, 2, 3, 1).numpy()
    assert np.abs(larger - expected).max() < 1e-4


def test_light_and_colour_that_a_network_adds_are_taken_off_again() -> None:
    given = 0.3 + 0.4 * faces(1)
    planes = torch.from_numpy(given.transpose(0, 3, 1, 2).copy())
    detail = 0.05 * torch.sin(torch.arange(48) * torch.pi / 2 + 0.3)
    wrong = (
        torch.nn.functional.interpolate(planes, scale_factor=4.0, mode="bilinear") + 0.1 + detail
    )
    mended = realesrgan.put_back(planes, wrong)[0].permute(1, 2, 0).numpy()
    before = wrong[0].permute(1, 2, 0).numpy()
    assert (
        np.abs(small(before, 12) - given[0]).max() > 0.1
        and np.abs(small(mended, 12) - given[0]).mean() < 0.01
    )
    # Detail within a pixel of the face stays.
    assert np.ptp(mended[20, 20:24] - small(mended, 12)[5, 5]) > 0.05


def test_power_blends_from_linear_to_the_network() -> None:
    given = faces(2)

    def bright(each: Floats) -> Floats:
        return np.ones((len(each), 24, 24, 3), np.float32)

    plain = np.stack([cv2.resize(face, (24, 24), interpolation=cv2.INTER_LINEAR) for face in given])
    assert upscale_by(given, 0, bright) is given
    assert np.allclose(upscale_by(given, 25, bright), 0.75 * plain + 0.25, atol=1e-6)
    assert np.array_equal(upscale_by(given, 100, bright), np.ones_like(plain))
    assert upscale_by(given[:0], 50, bright).shape[0] == 0


def test_a_cut_file_is_refused(tiny: RRDB, tmp_path: Path) -> None:
    (tmp_path / "tiny.bin").write_bytes((tmp_path / "tiny.bin").read_bytes()[:-8])
    with pytest.raises(WeightsMissing, match=r"tiny\.bin: ends within 'out.bias'"):
        upscalers["realesrgan"]().build("cpu")


@pytest.mark.skipif(
    weight_status("realesrgan") == "missing", reason="the weights are not on this machine"
)
def test_real_weights_draw_an_edge_sharper_than_linear() -> None:
    ramp = np.clip((np.hypot(*np.mgrid[-16:16, -16:16]) - 8) / 2, 0.2, 0.8).astype(np.float32)
    face = np.repeat(ramp[..., None], 3, -1)
    (larger,) = upscalers["realesrgan"]().build("cpu")(face[None])
    plain = cv2.resize(face, (128, 128), interpolation=cv2.INTER_LINEAR)
    assert np.abs(small(larger, 32) - face).mean() < 0.01
    assert (
        np.abs(np.diff(larger[64], axis=0)).max() > 1.3 * np.abs(np.diff(plain[64], axis=0)).max()
    )
