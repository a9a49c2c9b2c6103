"""Layers of weight files: what belongs together, and which of ours each of them is."""

import numpy as np
import pytest

from understudy.errors import BadMedia
from understudy.nets.pretrained.dfl_layers import (
    Layer,
    Slot,
    assign_layers,
    group_layers,
    is_up_path_reversed,
)
from understudy.types import Array

PATH = "XSeg_256.npy"


def array(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).random(shape, np.float32)


def slots(found: list[Layer]) -> list[Slot]:
    return [Slot(layer.kind, f"own{number}", layer.shapes) for number, layer in enumerate(found)]


def test_kernels_are_turned_into_the_order_of_pytorch() -> None:
    held = {
        "a/weight:0": array(0, 3, 5, 2, 4),
        "a/bias:0": array(1, 4),
        "b/weight": array(2, 3, 3, 2, 4),
        "b/bias": array(3, 2),
    }
    held |= {"c.kernel": array(4, 6, 3), "c.bias": array(5, 3)}
    plain, transposed, dense = group_layers(held, PATH)
    assert (plain.kind, transposed.kind, dense.kind) == (
        "convolution",
        "transposed convolution",
        "dense layer",
    )
    assert plain.tensors["weight"][3, 1, 2, 4] == held["a/weight:0"][2, 4, 1, 3]
    assert transposed.shapes == {"weight": (4, 2, 3, 3), "bias": (2,)}
    assert transposed.tensors["weight"][3, 1, 2, 0] == held["b/weight"][2, 0, 1, 3]
    assert dense.tensors["weight"][2, 5] == held["c.kernel"][5, 2]


@pytest.mark.parametrize(
    "names", [("gamma", "beta", "epsilon"), ("weight", "bias", "eps"), ("scale", "offset", "e")]
)
def test_norms_and_thresholds_are_known_whatever_they_are_called(
    names: tuple[str, str, str],
) -> None:
    gain, shift, number = array(0, 4), array(1, 4), array(2, 1)
    held = {
        "x/n/" + names[2]: number,
        "x/n/" + names[1]: shift,
        "x/n/" + names[0]: gain,
        "x/t/bound": array(3, 4),
    }
    norm, threshold = group_layers(held, PATH)
    assert (
        norm.kind == "norm"
        and np.array_equal(norm.tensors["gamma"], gain)
        and np.array_equal(norm.tensors["beta"], shift)
    )
    assert norm.tensors["epsilon"].shape == () and norm.tensors["epsilon"] == number[0]
    assert threshold.kind == "threshold" and np.array_equal(
        threshold.tensors["tau"], held["x/t/bound"]
    )


@pytest.mark.parametrize("shape", [(4,), (1, 1, 1, 4), (1, 4, 1, 1)])
def test_values_of_channels_may_have_sides_of_one(shape: tuple[int, ...]) -> None:
    number = (1,) * len(shape)
    held = {"n/weight": array(0, *shape), "n/bias": array(1, *shape), "n/eps": array(2, *number)}
    held |= {"t/tau": array(3, *shape), "m/weight": array(4, 1, 1, 4, 1), "m/bias": array(5, 1)}
    norm, threshold, mask = group_layers(held, PATH)
    assert norm.shapes == {"gamma": (4,), "beta": (4,), "epsilon": ()}
    assert threshold.shapes == {"tau": (4,)}
    assert mask.shapes == {"weight": (1, 4, 1, 1), "bias": (1,)}


def test_layers_may_be_named_with_dots() -> None:
    held = {"res0.conv1.tau": array(0, 4), "res0.conv2.tau": array(1, 4)}
    assert [layer.name for layer in group_layers(held, PATH)] == ["res0/conv1", "res0/conv2"]


def test_a_kernel_its_norm_and_threshold_may_share_a_name() -> None:
    shapes = {
        "weight": (3, 3, 2, 4),
        "bias": (4,),
        "gamma": (4,),
        "beta": (4,),
        "eps": (1,),
        "tau": (4,),
    }
    found = group_layers({f"a/{role}": array(0, *shape) for role, shape in shapes.items()}, PATH)
    assert [layer.kind for layer in found] == ["convolution", "norm", "threshold"]


def test_layers_that_are_alike_are_taken_in_the_order_of_the_file() -> None:
    held = {
        f"{name}/tau": array(seed, size)
        for seed, (name, size) in enumerate((("z", 4), ("y", 8), ("a", 4)))
    }
    own = [
        Slot("threshold", name, {"tau": (size,)})
        for name, size in (("first", 4), ("second", 4), ("wide", 8))
    ]
    taken = assign_layers(group_layers(held, PATH), own, PATH).taken
    assert {slot.name: layer.name for slot, layer in taken} == {
        "first": "z",
        "second": "a",
        "wide": "y",
    }


def test_the_direction_of_the_way_up_is_read_from_its_widths() -> None:
    held = {name: array(0, 3, 3, out, 2 * out) for name, out in (("a/weight", 8), ("b/weight", 4))}
    held = {
        "a/weight": held["a/weight"],
        "a/bias": array(1, 8),
        "b/weight": held["b/weight"],
        "b/bias": array(2, 4),
    }
    found = group_layers(held, PATH)
    assert not is_up_path_reversed(found) and is_up_path_reversed(found[::-1])


@pytest.mark.parametrize(
    ("held", "told"),
    [
        ({"a/weight": array(0, 3, 3, 2, 4)}, "'a' has no bias beside weight"),
        (
            {"a/weight": array(0, 3, 3, 2, 4), "a/bias": array(1, 5)},
            "'a' has a kernel 3x3x2x4 with a bias 5,",
        ),
        (
            {
                "a/weight": array(0, 3, 3, 2, 4),
                "a/bias": array(1, 4),
                "a/b": array(0, 4),
                "a/c": array(0, 4),
            },
            "'a/b' is of no layer",
        ),
        ({"n/eps": array(0, 1), "n/gamma": array(1, 4)}, "'n' has no shift beside eps, gamma"),
        ({"a/x": array(0, 2, 2, 2)}, "'a' has no bias beside x"),
    ],
)
def test_an_array_that_is_of_no_layer_is_named(held: dict[str, Array], told: str) -> None:
    with pytest.raises(BadMedia, match=f"XSeg_256.npy: {told}"):
        group_layers(held, PATH)


def test_a_layer_too_many_too_few_or_of_another_shape_is_named() -> None:
    held = {"one/tau": array(0, 4), "two/tau": array(1, 4)}
    found = group_layers(held, PATH)
    assert len(assign_layers(found, slots(found), PATH).taken) == 2
    with pytest.raises(BadMedia, match=r"'two', a threshold \(tau 4\), finds no place"):
        assign_layers(found, slots(found)[:1], PATH)
    with pytest.raises(
        BadMedia, match=r"no threshold \(tau 4\) is left for our own1; 1 are missing"
    ):
        assign_layers(found[:1], slots(found), PATH)
    with pytest.raises(BadMedia, match=r"'two', a threshold \(tau 5\), finds no place; no .* 4"):
        assign_layers(group_layers({**held, "two/tau": array(0, 5)}, PATH), slots(found), PATH)


NAMES = ["res0/conv1", "res0/conv2", "res1/conv1", "res1/conv2"]


def thresholds(*names: str) -> list[Layer]:
    return group_layers({f"{name}/tau": array(seed, 4) for seed, name in enumerate(names)}, PATH)


def own(count: int = 4) -> list[Slot]:
    return [Slot("threshold", f"own{number}", {"tau": (4,)}) for number in range(count)]


@pytest.mark.parametrize("turn", [1, -1])
def test_names_decide_whatever_the_order_of_the_file(turn: int) -> None:
    found = assign_layers(thresholds(*NAMES[::turn]), own(), PATH, [["x"] * 4, NAMES])
    assert [layer.name for _, layer in found.taken] == NAMES
    assert found.named == 4 and not found.doubts


def test_where_one_name_of_several_alike_is_strange_the_order_decides_and_it_is_told() -> None:
    # Counted from one on, names would fit three of four: and each of them wrongly.
    shifted = ["res1/conv1", "res1/conv2", "res2/conv1", "res2/conv2"]
    found = assign_layers(thresholds(*shifted), own(), PATH, [NAMES])
    assert [layer.name for _, layer in found.taken] == shifted
    assert "other names than are known there is 'res2/conv1', 'res2/conv2'" in found.doubts[0]


def test_numbers_in_place_of_names_leave_it_to_the_order() -> None:
    held = {
        "0": array(0, 3, 3, 2, 4),
        "1": array(1, 4),
        "2": array(2, 3, 3, 2, 4),
        "3": array(3, 4),
    }
    found = group_layers(held, PATH)
    assert [layer.keys for layer in found] == [
        {"weight": "0", "bias": "1"},
        {"weight": "2", "bias": "3"},
    ]
    done = assign_layers(found, slots(found), PATH, [["conv1", "conv2"]])
    assert [layer.name for _, layer in done.taken] == ["0", "2"] and not done.doubts


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (NAMES[:3], r"no threshold \(tau 4\) is left for res1/conv2, our own3; 1 are missing"),
        ([*NAMES[1:], "res7/conv1", "odd"], "'odd', a threshold .*, finds no place"),
        ([*NAMES, "odd"], "'odd', a threshold .*, finds no place"),
    ],
)
def test_the_layer_that_does_not_fit_is_named(names: list[str], told: str) -> None:
    with pytest.raises(BadMedia, match=told):
        assign_layers(thresholds(*names), own(), PATH, [NAMES])


def test_a_known_layer_of_another_shape_is_named() -> None:
    held = {f"{name}/tau": array(0, 4) for name in NAMES[:3]} | {"res1/conv2/tau": array(0, 6)}
    told = r"'res1/conv2' is a threshold \(tau 6\), and must be a threshold \(tau 4\)"
    with pytest.raises(BadMedia, match=told):
        assign_layers(group_layers(held, PATH), own(), PATH, [NAMES])
