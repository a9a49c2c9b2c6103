"""Weights as DeepFaceLab 2 saves them, converted for our layers, and ours for it.

There kernels are (height, width, in, out), dense layers (in, out), colours BGR, and where
channels become pixels all channels of a pixel lie together. Here kernels are (out, in, height,
width), dense layers (out, in), colours RGB, and all pixels of a channel lie together. Nothing is
computed either way: every number keeps its bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from understudy.nets.pretrained.dfl_layers import (
    Layer,
    Slot,
    assign_layers,
    from_torch,
    group_layers,
    to_torch,
)
from understudy.nets.pretrained.dfl_names import DflPart
from understudy.types import Array

# What a tensor is called there, by its role.
ROLES = {
    "weight": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "epsilon": "eps",
    "tau": "tau",
}
# The end of every name of TensorFlow's.
_END = ":0"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor of theirs goes: the name of ours, its layer, and its shape."""

    name: str
    slot: Slot
    shape: tuple[int, ...]

    @property
    def dfl_shape(self) -> tuple[int, ...]:
        """The shape of their tensor. There none is a mere number."""
        blank = np.broadcast_to(np.float32(0), self.shape)
        return np.atleast_1d(from_torch(blank)).shape

    def from_dfl(self, array: Array) -> Array:
        """Return an array of their tensor's shape as ours, float32."""
        return _to_our_layout(to_torch(array).reshape(self.shape), self.slot)

    def to_dfl(self, array: Array) -> Array:
        """Return what `from_dfl` makes into this array."""
        return _to_their_layout(array, self.slot).reshape(self.dfl_shape)


@dataclass(frozen=True)
class ConvertedWeights:
    """Weights that came in.

    weights: by the names of our parameters. places: by the names of the arrays in the file.
    named: how many layers are called as they should be. doubts: what could not be decided, in
    words.
    """

    weights: dict[str, Array]
    places: dict[str, Place]
    named: int
    doubts: list[str]


def convert_weights(part: DflPart, arrays: Mapping[str, Array], source: str) -> ConvertedWeights:
    """Return every parameter of `part`, float32, from the arrays of a file named `source`.

    Raises:
        BadMedia: A tensor finds no place, or a parameter stays empty; names the tensor.
    """
    return convert_layers(part, group_layers(arrays, source), source)


def convert_layers(part: DflPart, layers: Sequence[Layer], source: str) -> ConvertedWeights:
    """As `convert_weights`, of the layers that `group_layers` gave."""
    assigned = assign_layers(layers, part.slots, source, part.tables)
    weights: dict[str, Array] = {}
    places: dict[str, Place] = {}
    for slot, layer in assigned.taken:
        for role, array in layer.tensors.items():
            place = Place(_join(slot.name, role), slot, slot.shapes[role])
            places[layer.keys[role]] = place
            weights[place.name] = _to_our_layout(array, slot)
    return ConvertedWeights(weights, places, assigned.named, assigned.doubts)


def dfl_places(part: DflPart) -> dict[str, Place]:
    """Return where the tensors of a part go, by the names under which they are written.

    It is empty where these names are not known.
    """
    return {
        f"{called}/{ROLES[role]}{_END}": Place(_join(slot.name, role), slot, shape)
        for table in part.tables[:1]
        for slot, called in zip(part.slots, table, strict=True)
        for role, shape in slot.shapes.items()
    }


def dfl_arrays(
    places: Mapping[str, Place], weights: Mapping[str, Array]
) -> Iterator[tuple[str, Array]]:
    """Yield the arrays of a file by name, from our weights. places: from `dfl_places`."""
    for name, place in places.items():
        yield name, place.to_dfl(weights[place.name])


def _to_our_layout(turned: Array, slot: Slot) -> Array:
    """A kernel, bias or other tensor in PyTorch's layout as we have it."""
    if slot.shuffled:
        # From (pixel, channel) to (channel, pixel): nn.PixelShuffle counts so.
        turned = _swap_groups(turned, 4, len(turned) // 4)
    return np.array(_flip_colors(turned, slot), np.float32, order="C")


def _to_their_layout(array: Array, slot: Slot) -> Array:
    turned = _flip_colors(array, slot)
    if slot.shuffled:
        turned = _swap_groups(turned, len(turned) // 4, 4)
    return np.array(from_torch(turned), np.float32, order="C")


def _flip_colors(turned: Array, slot: Slot) -> Array:
    if slot.flips_out:
        turned = turned[::-1]
    return turned[:, ::-1] if slot.flips_in and turned.ndim == 4 else turned


def _swap_groups(turned: Array, outer: int, inner: int) -> Array:
    """Rows that are counted (outer, inner), counted (inner, outer)."""
    return turned.reshape(outer, inner, *turned.shape[1:]).swapaxes(0, 1).reshape(turned.shape)


def _join(name: str, role: str) -> str:
    return f"{name}.{role}".lstrip(".")
