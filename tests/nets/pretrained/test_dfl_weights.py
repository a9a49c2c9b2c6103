"""Weights of another library in our layers: what cannot be told is said, not guessed."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from understudy.errors import BadMedia
from understudy.nets.autoencoder.blocks import ResBlock, Up
from understudy.nets.autoencoder.decoders import FaceMaskDecoder
from understudy.nets.pretrained import dfl_weights
from understudy.nets.pretrained.dfl_names import DflPart, dfl_parts, module_slots
from understudy.nets.pretrained.dfl_weights import ConvertedWeights
from understudy.parts.models import saehd

Arrays = dict[str, np.ndarray[Any, Any]]


def convert_weights(
    module: nn.Module, held: Arrays, source: str, tables: list[list[str]] | None = None
) -> ConvertedWeights:
    """The weights of a module whose layers are called so; None = as nobody knows."""
    return dfl_weights.convert_weights(
        DflPart(module_slots(module, ""), tables or []), held, source
    )


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
    tables = [["upscale0/conv1", "out_conv", "upscalem0/conv1", "out_convm"]]
    for held in (face | mask | outer, outer | mask | face):
        found = convert_weights(part, held, "file", tables)
        assert not found.doubts and found.named == 4
        assert [name for name, bias in found.weights.items() if (bias == 1).all()] == [
            "mask.0.0.weight",
            "mask.0.0.bias",
        ]


@pytest.mark.parametrize(
    ("held", "told"),
    [
        (layer("a", 4, 6), r"no dense layer \(bias 5, weight 5x4\) is left for our 0; 1 are"),
        (
            layer("a", 4, 5) | layer("b", 4, 5),
            "'b', a dense layer .*, finds no place",
        ),
        (layer("a", 4, 5) | {"a/more": np.ones(1)}, "'a' has no scale beside bias, more, weight"),
        ({"a/weight": np.ones((4, 5))}, "'a' has no bias beside weight"),
        (
            {"weight": np.ones((4, 5)), "bias": np.ones(4)},
            "'' has a kernel 4x5 with a bias 4, which is no layer",
        ),
    ],
)
def test_what_finds_no_place_is_named(held: Arrays, told: str) -> None:
    with pytest.raises(BadMedia, match=f"^file: .*{told}"):
        convert_weights(nn.Sequential(nn.Linear(4, 5)), held, "file")


LETTERS = ["".join(each) for count in range(5) for each in itertools.combinations("udtc", count)]
ARCHIS = [f"{kind}-{letters}".rstrip("-") for kind in ("df", "liae") for letters in LETTERS]


@pytest.mark.parametrize("archi", ARCHIS)
def test_weights_of_every_plan_go_out_and_come_in_bit_for_bit(archi: str) -> None:
    rng = np.random.default_rng(ARCHIS.index(archi))
    side, code = 32 * int(rng.integers(2, 5)), int(rng.integers(32, 40))
    e, d, dm = (2 * int(half) for half in rng.integers(8, 14, 3))
    with torch.device("meta"):
        net = saehd.build_network(archi, side, code, e, d, dm)
    seen = 0
    for file, part in dfl_parts(net).items():
        places = dfl_weights.dfl_places(part)
        own = {
            place.name: rng.standard_normal(place.shape).astype(np.float32)
            for place in places.values()
        }
        theirs = {name: place.to_dfl(own[place.name]) for name, place in places.items()}
        shuffled = {name: theirs[name] for name in rng.permutation(list(theirs))}
        found = dfl_weights.convert_weights(part, shuffled, file)
        assert found.named == len(part.slots) and not found.doubts
        assert found.weights.keys() == own.keys()
        assert all(np.array_equal(own[name], found.weights[name]) for name in own)
        # And their arrays, taken in and written again, are theirs.
        for name, place in found.places.items():
            again = place.to_dfl(found.weights[place.name])
            assert np.array_equal(again, theirs[name])
        seen += len(own)
    assert seen == len(list(net.parameters()))


def test_a_dense_layer_is_turned() -> None:
    kernel = np.arange(20, dtype=np.float32).reshape(4, 5)
    ours = nn.Sequential(nn.Linear(4, 5))
    found = convert_weights(
        ours, {"weight": kernel, "bias": np.zeros(5, np.float32)}, "file"
    ).weights
    ours.load_state_dict({name: torch.from_numpy(array) for name, array in found.items()})
    assert np.allclose(ours(torch.eye(4)).detach().numpy(), kernel)
