"""Weights of another library in our layers: what cannot be told is said, not guessed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from understudy.errors import BadMedia
from understudy.nets.autoencoder.blocks import ResBlock, Up
from understudy.nets.autoencoder.decoders import FaceMaskDecoder
from understudy.nets.pretrained.dfl_weights import convert_weights

Arrays = dict[str, np.ndarray[Any, Any]]


def layer(name: str, *shape: int, fill: float = 0) -> Arrays:
    return {
        f"{name}/weight": np.full(shape, fill, np.float16),
        f"{name}/bias": np.full(shape[-1], fill, np.float16),
    }


def test_pixels_that_become_channels_are_told_apart() -> None:
    # Their channels 0 to 7: pixel 0 of channels 0 and 1, then pixel 1 of them, and so on.
    held = {
        "up/weight": np.arange(8.0).reshape(1, 1, 1, 8) * np.ones((3, 3, 4, 1)),
        "up/bias": np.arange(8.0),
    }
    found = convert_weights(Up(4, 2), held, "file").weights
    assert (
        found["0.bias"].tolist() == [0, 2, 4, 6, 1, 3, 5, 7] and found["0.bias"].dtype == np.float32
    )
    assert found["0.weight"][:, 0, 0, 0].tolist() == [0, 2, 4, 6, 1, 3, 5, 7]


def test_colours_change_sides() -> None:
    kernel = np.arange(9.0).reshape(1, 1, 3, 3)
    found = convert_weights(
        nn.Sequential(nn.Conv2d(3, 3, 1)), {"c/weight": kernel, "c/bias": np.arange(3.0)}, "file"
    ).weights
    assert found["0.weight"][..., 0, 0].tolist() == [[8, 5, 2], [7, 4, 1], [6, 3, 0]] and found[
        "0.bias"
    ].tolist() == [2, 1, 0]


def test_layers_of_one_shape_follow_the_file_and_other_numbers_are_told() -> None:
    first, second = (layer(f"res/conv{number}", 3, 3, 4, 4, fill=number) for number in (2, 10))
    straight, crossed = (
        convert_weights(ResBlock(4), first | second, "file"),
        convert_weights(ResBlock(4), second | first, "file"),
    )
    assert straight.weights["inner.0.bias"][0] == 2 and not straight.doubts
    assert (
        crossed.weights["inner.0.bias"][0] == 10
        and "conv10, res/conv2 are of one shape" in crossed.doubts[0]
    )


def test_face_and_mask_of_one_width_are_told() -> None:
    part = FaceMaskDecoder(8, (4,), (4,))
    held = (
        layer("a", 3, 3, 8, 16)
        | layer("b", 3, 3, 8, 16)
        | layer("c", 5, 5, 4, 3)
        | layer("d", 5, 5, 4, 1)
    )
    (doubt,) = convert_weights(part, held, "file").doubts
    assert doubt.startswith("file: a, b are of one shape") and "before those of the mask" in doubt


def test_names_settle_which_layers_are_the_masks() -> None:
    part = FaceMaskDecoder(8, (4,), (4,))
    face, mask = layer("upscale0/conv1", 3, 3, 8, 16), layer("upscalem0/conv1", 3, 3, 8, 16, fill=1)
    outer = layer("out_conv", 5, 5, 4, 3) | layer("out_convm", 5, 5, 4, 1)
    straight, crossed = (
        convert_weights(part, held | outer, "file") for held in (face | mask, mask | face)
    )
    assert not straight.doubts
    assert [name for name, bias in straight.weights.items() if (bias == 1).all()] == [
        "mask.0.0.weight",
        "mask.0.0.bias",
    ]
    assert "are numbered otherwise" in crossed.doubts[0]


@pytest.mark.parametrize(
    ("held", "told"),
    [
        (layer("a", 4, 6), "no tensor of shape 4x5"),
        (layer("a", 4, 5) | layer("b", 4, 5), "no place for the tensor b, 4x5"),
        (layer("a", 4, 5) | {"a/more": np.ones(1)}, "a/more 1 is no kernel"),
        ({"a/weight": np.ones((4, 5))}, "a/weight 4x5 is no kernel"),
        ({"weight": np.ones((4, 5)), "bias": np.ones(4)}, "bias 4 is no kernel"),
    ],
)
def test_what_finds_no_place_is_named(held: Arrays, told: str) -> None:
    with pytest.raises(BadMedia, match=f"^file: .*{told}"):
        convert_weights(nn.Sequential(nn.Linear(4, 5)), held, "file")


def test_a_dense_layer_is_turned() -> None:
    kernel = np.arange(20, dtype=np.float32).reshape(4, 5)
    ours = nn.Sequential(nn.Linear(4, 5))
    found = convert_weights(
        ours, {"weight": kernel, "bias": np.zeros(5, np.float32)}, "file"
    ).weights
    ours.load_state_dict({name: torch.from_numpy(array) for name, array in found.items()})
    assert np.allclose(ours(torch.eye(4)).detach().numpy(), kernel)
