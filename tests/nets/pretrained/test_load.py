"""Published weights: all tensors in their shapes, or an error that names the first that does not
fit; nothing is run.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from understudy.errors import WeightsMissing
from understudy.io.weights import fetch
from understudy.nets.pretrained.load import load_pretrained, parse_torch_file
from understudy.nets.pretrained.mtcnn import MTCNN
from understudy.nets.pretrained.s3fd import S3FD, STRIDES


def small() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 3))


@pytest.mark.parametrize("is_zip", [True, False])
def test_a_net_takes_the_tensors_of_a_file(is_zip: bool, tmp_path: Path) -> None:
    torch.save(small().state_dict(), tmp_path / "net.pth", _use_new_zipfile_serialization=is_zip)
    tensors = parse_torch_file((tmp_path / "net.pth").read_bytes(), "net.pth")
    net = load_pretrained(small(), tensors, "net.pth")
    assert torch.equal(net.state_dict()["0.weight"], tensors["0.weight"])
    assert not net.training and not any(each.requires_grad for each in net.parameters())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"0.bias": None}, r"net\.pth: tensor '0\.bias' is missing"),
        ({"1.bias": np.zeros(3, np.float32)}, r"tensor '1\.bias' is not known here"),
        (
            {"0.weight": np.zeros((3, 4), np.float32)},
            r"tensor '0\.weight' has the shape \(3, 4\), expected \(3, 2\)",
        ),
        ({"0.bias": np.zeros(3, np.int64)}, r"tensor '0\.bias' holds torch\.int64"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(
    changes: dict[str, np.ndarray | None], told: str
) -> None:
    tensors = {
        name: value
        for name, value in {**small().state_dict(), **changes}.items()
        if value is not None
    }
    with pytest.raises(WeightsMissing, match=told):
        load_pretrained(small(), tensors, "net.pth")


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "harm"),)

    torch.save({"weight": Harm()}, tmp_path / "net.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Harm()))
    (tmp_path / "torn.pth").write_bytes(b"PK\x03\x04 and no more")
    torch.save([torch.zeros(3)], tmp_path / "list.pth")
    for name in ("net.pth", "plain.pth", "torn.pth", "list.pth"):
        with pytest.raises(WeightsMissing, match=name):
            parse_torch_file((tmp_path / name).read_bytes(), name)
    assert not (tmp_path / "harm").exists()


def test_the_weights_of_the_package_fit_mtcnn() -> None:
    if any(fetch.weight_status(f"mtcnn-{net}") == "missing" for net in ("pnet", "rnet", "onet")):
        pytest.skip("the weights are not on this machine")
    nets = MTCNN()
    for name, net in nets.named_children():
        path = fetch.weight_path(f"mtcnn-{name}")
        load_pretrained(net, parse_torch_file(path.read_bytes(), str(path)), str(path))
    score, box = nets.pnet(torch.zeros(1, 3, 31, 41))
    assert score.shape == (1, 11, 16) and box.shape == (1, 4, 11, 16)
    score, box, points = nets.onet(torch.zeros(2, 3, 48, 48))
    assert score.shape == (2,) and box.shape == (2, 4) and points.shape == (2, 5, 2)


def test_s3fd_has_the_layers_of_the_published_file() -> None:
    with torch.device("meta"):
        net = S3FD()
        seen = net(torch.zeros(1, 3, 256, 384))
    named = net.state_dict()
    # The file of 89,843,225 bytes holds these numbers and a few kilobytes of names.
    assert 89_843_225 - 10_000 < 4 * sum(each.numel() for each in named.values()) < 89_843_225
    some = (
        "conv1_1.weight",
        "fc7.bias",
        "conv3_3_norm.weight",
        "conv4_3_norm_mbox_loc.weight",
        "conv7_2_mbox_conf.bias",
    )
    assert set(some) <= set(named)
    assert (
        named["conv3_3_norm_mbox_conf.weight"].shape[0] == 4
        and named["fc7_mbox_conf.weight"].shape[0] == 2
    )
    assert [tuple(score.shape[1:]) for score, _ in seen[:3]] == [
        (64, 96),
        (32, 48),
        (16, 24),
    ] and len(seen) == len(STRIDES)
    assert all(box.shape == (1, 4, *score.shape[1:]) for score, box in seen)
