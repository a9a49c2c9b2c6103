"""The layers in weight files of DeepFaceLab 2, and which of ours each of them is.

A layer finds its place by its kind and shapes and, among those that are alike, by its name. Only
where names are numbers, or others than are known, the order of the file decides.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar

import numpy as np

from understudy.errors import BadMedia
from understudy.types import Array

Kind = Literal["convolution", "transposed convolution", "dense layer", "norm", "threshold"]

_BACKUP: Final = "Take the file from a backup of the model."
_OTHER: Final = (
    "It is of another model than its data file says: take both from one backup of the model."
)
_TAU: Final = ("tau", "threshold")


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a file. name: what its arrays' names begin with.

    tensors: by role, as PyTorch lays them out. Roles: weight and bias; gamma, beta and epsilon of a
    norm; tau of a threshold. keys: the name of each array in the file, by role.
    """

    kind: Kind
    name: str
    tensors: dict[str, Array]
    keys: dict[str, str]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor."""
        return {role: array.shape for role, array in self.tensors.items()}


@dataclass(frozen=True, slots=True)
class Slot:
    """A layer of ours, to be filled: its kind, its name, the shapes of its tensors by role.

    shuffled: its channels become two by two pixels. flips_in, flips_out: its inputs, or outputs,
    are the colours of a picture.
    """

    kind: Kind
    name: str
    shapes: dict[str, tuple[int, ...]]
    shuffled: bool = False
    flips_in: bool = False
    flips_out: bool = False


_Each = TypeVar("_Each", Layer, Slot)


@dataclass(frozen=True, slots=True)
class Assignment:
    """Which layer of a file fills which slot.

    named: how many of them are called as they should be. doubts: what could not be told for
    certain, in words.
    """

    taken: list[tuple[Slot, Layer]]
    named: int
    doubts: list[str] = field(default_factory=list)


def group_layers(arrays: Mapping[str, Array], source: str) -> list[Layer]:
    """Return the layers that the arrays of a file belong to, in the file's order.

    Raises:
        BadMedia: An array is of none; names it.
    """
    arrays = {name: _squeeze_vector(array) for name, array in arrays.items()}
    groups: dict[str, dict[str, str]] = defaultdict(dict)
    number = ""
    for name, array in arrays.items():
        if _is_blur_filter(array):
            continue
        if name.isdecimal():
            # Arrays that only have numbers: a kernel, then what follows up to the next one.
            number = name if array.ndim > 1 else number
            groups[number]["weight" if array.ndim > 1 else "bias"] = name
            continue
        layer, _, word = name.removesuffix(":0").replace(".", "/").rpartition("/")
        groups[layer][word] = name
    return [
        layer
        for prefix, keys in groups.items()
        for layer in _layers_of(prefix, keys, arrays, source)
    ]


def assign_layers(
    found: Sequence[Layer],
    slots: Sequence[Slot],
    source: str,
    tables: Sequence[Sequence[str]] = (),
) -> Assignment:
    """Return which layer of a file fills which slot.

    Args:
        found: The layers of the file, in its order.
        slots: Ours, in the order of their work.
        source: What file it is, for messages.
        tables: What the layers may be called there: names, one for each slot. The table that most
            layers follow counts.

    Raises:
        BadMedia: A layer fits no slot, or a slot stays empty; names it.
    """
    names, named = _best_table(found, slots, tables)
    if fault := _misfit(found, slots, names if named else {}):
        raise BadMedia(f"{source}: {fault}. {_OTHER}")
    theirs = _by_signature(found)
    taken: list[tuple[Slot, Layer]] = []
    doubts: list[str] = []
    for signature, ours in _by_signature(slots).items():
        layers = theirs[signature]
        by_name = {layer.name: layer for layer in layers}
        if all(names.get(slot.name) in by_name for slot in ours):
            layers = [by_name[names[slot.name]] for slot in ours]
        else:
            doubts += _doubts(ours, layers, names if named else {}, source)
        taken += zip(ours, layers, strict=True)
    return Assignment(taken, named, doubts)


def is_up_path_reversed(found: Sequence[Layer]) -> bool:
    """Return whether a file lists the way up from the full size on, not from the smallest maps."""
    widths = [
        layer.tensors["weight"].shape[1]
        for layer in found
        if layer.kind == "transposed convolution"
    ]
    return bool(widths) and widths[0] < widths[-1]


def to_torch(array: Array) -> Array:
    """Return an array of a file as PyTorch lays it out.

    Kernels there are (height, width, in, out), of transposed convolutions (…, out, in); dense
    layers are (in, out).
    """
    return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T


def from_torch(array: Array) -> Array:
    """Return what `to_torch` makes into this array."""
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T


def _layers_of(
    prefix: str, keys: dict[str, str], arrays: Mapping[str, Array], source: str
) -> Iterator[Layer]:
    """The layers that share a name: a kernel with its bias, a norm, a threshold, or several."""
    words = ", ".join(sorted(keys))

    def take(what: str, *called: str) -> str:
        for word in called:
            if word in keys:
                return keys.pop(word)
        raise BadMedia(f"{source}: '{prefix}' has no {what} beside {words}. {_BACKUP}")

    kernels = [word for word, key in keys.items() if arrays[key].ndim > 1]
    if kernels:
        yield _kernel_layer(prefix, keys.pop(kernels[0]), take("bias", "bias"), arrays, source)
    numbers = [word for word, key in keys.items() if arrays[key].size == 1 and word not in _TAU]
    if numbers:
        epsilon = keys.pop(numbers[0])
        gamma, beta = (
            take("scale", "gamma", "scale", "gain", "weight"),
            take("shift", "beta", "shift", "offset", "bias"),
        )
        own = {"gamma": gamma, "beta": beta, "epsilon": epsilon}
        tensors = {role: arrays[key] for role, key in own.items()}
        yield Layer("norm", prefix, {**tensors, "epsilon": arrays[epsilon].reshape(())}, own)
    if len(keys) == 1:
        _, tau = keys.popitem()
        yield Layer("threshold", prefix, {"tau": arrays[tau]}, {"tau": tau})
    for key in keys.values():
        raise BadMedia(f"{source}: '{key}' is of no layer that such a model has. {_BACKUP}")


def _kernel_layer(
    name: str, weight: str, bias: str, arrays: Mapping[str, Array], source: str
) -> Layer:
    """The layer of a kernel: (height, width, in, out), transposed (…, out, in), or (in, out)."""
    kernel, shift = arrays[weight], arrays[bias].shape
    keys = {"weight": weight, "bias": bias}
    tensors = {"weight": to_torch(kernel), "bias": arrays[bias]}
    if kernel.ndim == 2 and shift == kernel.shape[1:]:
        return Layer("dense layer", name, tensors, keys)
    if kernel.ndim == 4 and shift in (kernel.shape[2:3], kernel.shape[3:]):
        # With as many in as out it may be either: see `_key`.
        kind: Kind = "convolution" if shift == kernel.shape[3:] else "transposed convolution"
        return Layer(kind, name, tensors, keys)
    raise BadMedia(
        f"{source}: '{name}' has a kernel {_shape_text(kernel.shape)} with a bias"
        f" {_shape_text(shift)}, which is no layer. {_BACKUP}"
    )


def _squeeze_vector(array: Array) -> Array:
    """An array of one value a channel, however many sides of one it has, as a vector.

    (1, 1, C, 1) is a kernel all the same: that of a mask's last layer.
    """
    is_kernel = array.shape[-1:] == (1,) and array.shape[-2:-1] != (1,)
    is_vector = array.ndim > 2 and array.size == max(array.shape) and not is_kernel
    return array.reshape(-1) if is_vector else array


def _is_blur_filter(array: Array) -> bool:
    """Whether this is the fixed binomial filter of a pooling, the same for all channels."""
    if array.ndim < 3 or array.shape[0] != array.shape[1] or not 2 <= array.shape[0] <= 4:
        return False
    row = np.array([math.comb(array.shape[0] - 1, place) for place in range(array.shape[0])])
    planes = np.asarray(array, np.float64).reshape(*array.shape[:2], -1)
    return np.allclose(planes, (np.outer(row, row) / row.sum() ** 2)[..., None], atol=1e-6)


def _best_table(
    found: Sequence[Layer], slots: Sequence[Slot], tables: Sequence[Sequence[str]]
) -> tuple[dict[str, str], int]:
    """The names of the slots in the table that most layers follow, and how many do."""
    there = {(layer.name, _key(layer)) for layer in found}
    best: tuple[dict[str, str], int] = ({}, -1)
    for table in tables:
        names = {slot.name: name for slot, name in zip(slots, table, strict=True)}
        count = sum((names[slot.name], _key(slot)) in there for slot in slots)
        best = max(best, (names, count), key=lambda each: each[1])
    return best[0], max(0, best[1])


def _by_signature(layers: Sequence[_Each]) -> dict[object, list[_Each]]:
    found: dict[object, list[_Each]] = defaultdict(list)
    for layer in layers:
        found[_key(layer)].append(layer)
    return dict(found)


def _key(layer: Layer | Slot) -> object:
    """What layers have in common that are alike.

    Not their kind: of as many channels in as out, a kernel does not tell which way it goes.
    """
    return tuple(sorted(layer.shapes.items()))


def _misfit(found: Sequence[Layer], slots: Sequence[Slot], names: Mapping[str, str]) -> str:
    """Which layers find no place, and which slots stay empty; "" where there are none."""
    own, theirs = _by_signature(slots), _by_signature(found)
    empty: list[Slot] = []
    left: list[Layer] = []
    for key in {**own, **theirs}:
        ours, layers = own.get(key, []), theirs.get(key, [])
        called, known = {layer.name for layer in layers}, {names.get(slot.name) for slot in ours}
        if len(called & known) == min(len(ours), len(layers)):
            empty += [slot for slot in ours if names.get(slot.name) not in called]
            left += [layer for layer in layers if layer.name not in known]
        else:
            empty += ours[len(layers) :]
            left += layers[len(ours) :]
    of_name = {names.get(slot.name): slot for slot in empty}
    for layer in left:
        if slot := of_name.get(layer.name):
            return f"'{layer.name}' is a {_signature(layer)}, and must be a {_signature(slot)}"
    faults = [f"'{each.name}', a {_signature(each)}, finds no place" for each in left[:1]]
    for slot in empty[:1]:
        ours_too = f"{names[slot.name]}, our {slot.name}" if names else f"our {slot.name}"
        faults.append(f"no {_signature(slot)} is left for {ours_too}; {len(empty)} are missing")
    return "; ".join(faults)


def _doubts(
    ours: list[Slot], layers: list[Layer], names: Mapping[str, str], source: str
) -> list[str]:
    """What speaks against taking these layers, all alike, in the file's order."""
    called = ", ".join(layer.name for layer in layers)
    look = "Look at the preview before you use the model."
    taken = f"{source}: {called} are of one shape and were taken in the file's order"
    if names:
        strange = [
            f"'{layer.name}'"
            for layer in layers
            if layer.name not in {names.get(slot.name) for slot in ours}
        ]
        if len(ours) == 1:
            text = f"{source}: {strange[0]} stands where {names[ours[0].name]} is expected"
            return [f"{text}; its shape is the only one of its kind. {look}"]
        return [f"{taken}: of other names than are known there is {', '.join(strange)}. {look}"]
    if [layer.name for layer in layers] != sorted(
        (layer.name for layer in layers), key=_natural_key
    ):
        return [f"{taken}, though they are numbered otherwise. {look}"]
    paint_mask = ["mask" in slot.name.split(".") for slot in ours]
    if any(paint_mask) and not all(paint_mask):
        return [f"{taken}, those of the face before those of the mask. {look}"]
    return []


def _natural_key(name: str) -> list[tuple[int, str]]:
    """A key that sorts conv2 before conv10."""
    return [(int(word), "") if word.isdecimal() else (0, word) for word in re.split(r"(\d+)", name)]


def _signature(layer: Layer | Slot) -> str:
    shapes = (f"{role} {_shape_text(shape)}" for role, shape in sorted(layer.shapes.items()))
    return f"{layer.kind} ({', '.join(shapes)})"


def _shape_text(shape: tuple[int, ...]) -> str:
    return "x".join(str(side) for side in shape) or "one number"
