"""The layers in a weight file of XSeg, and which of ours each of them is.

What its layers are called is not ours to know, so names only tell which arrays are of one layer and
what each is within it. A layer is known by its kind and shapes; those that are alike are taken in
the order of the file.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

from understudy.errors import BadMedia
from understudy.types import Array

Kind = Literal["convolution", "transposed convolution", "dense layer", "norm", "threshold"]


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a file. name: what its arrays' names begin with.

    tensors: by role, as PyTorch lays them out. Roles: weight and bias; gamma, beta and epsilon of a
    norm; tau of a threshold.
    """

    kind: Kind
    name: str
    tensors: dict[str, Array]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor."""
        return {role: array.shape for role, array in self.tensors.items()}


@dataclass(frozen=True, slots=True)
class Slot:
    """A layer of ours, to be filled: its kind, its name, the shapes of its tensors by role."""

    kind: Kind
    name: str
    shapes: dict[str, tuple[int, ...]]


def group_layers(arrays: Mapping[str, Array], path: Path) -> list[Layer]:
    """Return the layers that the arrays of a file belong to, in the file's order.

    Raises:
        BadMedia: An array is of none; names it.
    """
    groups: dict[str, dict[str, Array]] = defaultdict(dict)
    for name, array in arrays.items():
        cut = max(name.rfind("/"), name.rfind("."))
        if not _is_blur_filter(array):
            groups[name[: max(cut, 0)]][name[cut + 1 :].removesuffix(":0")] = np.asarray(
                array, np.float32
            )
    return [
        layer for prefix, members in groups.items() for layer in _layers_of(prefix, members, path)
    ]


def is_up_path_reversed(found: Sequence[Layer]) -> bool:
    """Return whether a file lists the way up from the full size on, not from the smallest maps."""
    widths = [
        layer.tensors["weight"].shape[1]
        for layer in found
        if layer.kind == "transposed convolution"
    ]
    return bool(widths) and widths[0] < widths[-1]


def assign_layers(found: Sequence[Layer], slots: Sequence[Slot], path: Path) -> dict[str, Array]:
    """Return our tensors by name, `slot.role`: each slot takes the first layer like it.

    Raises:
        BadMedia: A layer fits no slot, or a slot stays empty; names it.
    """
    waiting: dict[str, list[Layer]] = defaultdict(list)
    for layer in found:
        waiting[_signature(layer)].append(layer)
    empty: list[Slot] = []
    tensors: dict[str, Array] = {}
    for slot in slots:
        if not waiting[_signature(slot)]:
            empty.append(slot)
            continue
        taken = waiting[_signature(slot)].pop(0)
        tensors |= {f"{slot.name}.{role}": array for role, array in taken.tensors.items()}
    left = [layer for group_layers in waiting.values() for layer in group_layers]
    if left:
        raise BadMedia(
            f"{path}: '{left[0].name}', a {_signature(left[0])}, is not of XSeg at 256 px. {_OTHER}"
        )
    if empty:
        raise BadMedia(
            f"{path}: no {_signature(empty[0])} is left for our {empty[0].name}; {len(empty)} are"
            f" missing. {_OTHER}"
        )
    return tensors


def _layers_of(prefix: str, members: dict[str, Array], path: Path) -> Iterator[Layer]:
    """The layers that share a name: a kernel with its bias, a norm, a threshold, or several."""

    def take(what: str, *words: str) -> Array:
        for word in words:
            if word in members:
                return members.pop(word)
        raise BadMedia(
            f"{path}: '{prefix}' has no {what} beside {', '.join(sorted(names))}. {_OTHER}"
        )

    names = set(members)
    kernel = next((word for word, array in members.items() if array.ndim > 1), None)
    if kernel:
        yield _kernel_layer(prefix, members.pop(kernel), take("bias", "bias"), path)
    number = next(
        (word for word, array in members.items() if array.size == 1 and word not in _TAU), None
    )
    if number:
        epsilon = members.pop(number).reshape(())
        gamma, beta = (
            take("scale", "gamma", "scale", "gain", "weight"),
            take("shift", "beta", "shift", "offset", "bias"),
        )
        yield Layer("norm", prefix, {"gamma": gamma, "beta": beta, "epsilon": epsilon})
    if len(members) == 1:
        yield Layer("threshold", prefix, {"tau": members.popitem()[1]})
    if members:
        raise BadMedia(
            f"{path}: '{prefix}/{next(iter(members))}' is of no layer that XSeg has. {_OTHER}"
        )


def _kernel_layer(name: str, kernel: Array, bias: Array, path: Path) -> Layer:
    """The layer of a kernel: (height, width, in, out), transposed (…, out, in), or (in, out)."""
    if kernel.ndim == 2 and bias.shape == kernel.shape[1:]:
        return Layer("dense layer", name, {"weight": kernel.T, "bias": bias})
    if kernel.ndim == 4 and bias.shape in (kernel.shape[2:3], kernel.shape[3:]):
        # As many in as out is a convolution: no step up of XSeg keeps its width.
        kind: Kind = "convolution" if bias.shape == kernel.shape[3:] else "transposed convolution"
        return Layer(kind, name, {"weight": kernel.transpose(3, 2, 0, 1), "bias": bias})
    raise BadMedia(
        f"{path}: '{name}' has a kernel {kernel.shape} with a bias {bias.shape}, which is no layer"
        f" of XSeg. {_OTHER}"
    )


def _is_blur_filter(array: Array) -> bool:
    """Whether this is the fixed binomial filter of a pooling, the same for all channels."""
    if array.ndim < 3 or array.shape[0] != array.shape[1] or array.shape[0] > 4:
        return False
    row = np.array([math.comb(array.shape[0] - 1, place) for place in range(array.shape[0])])
    planes = np.asarray(array, np.float64).reshape(*array.shape[:2], -1)
    return np.allclose(planes, (np.outer(row, row) / row.sum() ** 2)[..., None], atol=1e-6)


def _signature(layer: Layer | Slot) -> str:
    shapes = (
        f"{role} {'x'.join(map(str, shape)) or 'one number'}"
        for role, shape in sorted(layer.shapes.items())
    )
    return f"{layer.kind} ({', '.join(shapes)})"


_TAU: Final = ("tau", "threshold")
_OTHER: Final = "Give the file XSeg_256.npy that the trainer of DeepFaceLab 2 saved."
