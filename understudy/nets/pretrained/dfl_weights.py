"""Weights that DeepFaceLab 2 saved, converted for our layers.

There kernels are (height, width, in, out), dense layers (in, out), colours BGR, and where
channels become pixels all channels of a pixel lie together. Here kernels are (out, in, height,
width), dense layers (out, in), colours RGB, and all pixels of a channel lie together. Names are
not relied on: a layer is found by its kind and shape, then by its place in the file. Where names
say the same, that is certain.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from torch import nn

from understudy.errors import BadMedia
from understudy.nets.autoencoder.blocks import Up
from understudy.nets.autoencoder.swappers import MorphSwapper, Swapper, TwoDecoders, TwoInters
from understudy.types import Array

# What a layer is: the shape of its kernel, (height, width, in, out) or (in, out).
Shape = tuple[int, ...]

COLORS = 3


@dataclass(frozen=True)
class ConvertedWeights:
    """weights: by the names of our parameters. doubts: what could not be decided, in words."""

    weights: dict[str, Array]
    doubts: list[str]


def dfl_parts(net: Swapper) -> dict[str, nn.Module]:
    """Return the parts of a net under the names that DeepFaceLab 2 gives their files.

    Parameters keep their names within the net.
    """
    if isinstance(net, TwoDecoders):
        names = {
            "encoder": ["encoder"],
            "inter": ["inter"],
            "decoder_src": ["src"],
            "decoder_dst": ["dst"],
        }
    elif isinstance(net, TwoInters):
        names = {
            "encoder": ["encoder"],
            "inter_AB": ["ab"],
            "inter_B": ["b"],
            "decoder": ["decoder"],
        }
    else:
        assert isinstance(net, MorphSwapper), "of the models that DeepFaceLab 2 has"
        # There the code is the encoder's last layer.
        names = {
            "encoder": ["encoder", "squeeze"],
            "inter_src": ["src"],
            "inter_dst": ["dst"],
            "decoder": ["decoder"],
        }
    return {
        part: nn.ModuleDict({name: net.get_submodule(name) for name in own})
        for part, own in names.items()
    }


def convert_weights(part: nn.Module, arrays: Mapping[str, Array], source: str) -> ConvertedWeights:
    """Return every parameter of `part`, float32, from the arrays of a file named `source`.

    Raises:
        BadMedia: A tensor finds no place, or a parameter stays empty; names the tensor.
    """
    own, theirs = _by_shape(_our_layers(part)), _by_shape(_their_layers(arrays, source))
    weights: dict[str, Array] = {}
    doubts = []
    for shape in {**own, **theirs}:
        ours, found = own.get(shape, []), theirs.get(shape, [])
        if len(ours) != len(found):
            fault = (
                f"no tensor of shape {_shape_text(shape)} is left for"
                f" {ours[len(found)].name}.weight"
                if len(found) < len(ours)
                else f"there is no place for the tensor {found[len(ours)].name},"
                f" {_shape_text(shape)}"
            )
            raise BadMedia(
                f"{source}: {fault}. It is of another model than its data file says: take both from"
                " one backup."
            )
        doubts += [f"{source}: {doubt}" for doubt in [_order_doubt(ours, found)] if doubt]
        for layer, their in zip(ours, found, strict=True):
            weights[f"{layer.name}.weight"] = _to_our_layout(their.kernel, layer)
            weights[f"{layer.name}.bias"] = _to_our_layout(their.bias, layer)
    return ConvertedWeights(weights, doubts)


@dataclass(frozen=True)
class _Ours:
    """A layer of ours. shuffled: its channels become two by two pixels."""

    name: str
    shape: Shape
    shuffled: bool


@dataclass(frozen=True)
class _Theirs:
    """A layer of a file."""

    name: str
    kernel: Array
    bias: Array

    @property
    def shape(self) -> Shape:
        return self.kernel.shape


Layer = TypeVar("Layer", _Ours, _Theirs)


def _our_layers(part: nn.Module) -> list[_Ours]:
    """Convolutions and dense layers in the order of their work."""
    return list(_walk(part, "", False))


def _walk(module: nn.Module, name: str, shuffled: bool) -> Iterator[_Ours]:
    if isinstance(module, nn.Conv2d):
        out_channels, in_channels, height, width = module.weight.shape
        yield _Ours(name, (height, width, in_channels, out_channels), shuffled)
    elif isinstance(module, nn.Linear):
        out_channels, in_channels = module.weight.shape
        yield _Ours(name, (in_channels, out_channels), False)
    for below, child in module.named_children():
        yield from _walk(child, f"{name}.{below}" if name else below, isinstance(module, Up))


def _by_shape(layers: list[Layer]) -> dict[Shape, list[Layer]]:
    found: dict[Shape, list[Layer]] = defaultdict(list)
    for layer in layers:
        found[layer.shape].append(layer)
    return dict(found)


def _their_layers(arrays: Mapping[str, Array], source: str) -> list[_Theirs]:
    """The layers of a file in its order: tensors whose names begin alike are one layer."""
    grouped: dict[str, list[str]] = defaultdict(list)
    for name in arrays:
        grouped[re.sub(r"[/.]?[^/.]*$", "", name)].append(name)
    layers = []
    for layer, names in grouped.items():
        kernels = [name for name in names if arrays[name].ndim in (2, 4)]
        biases = [name for name in names if arrays[name].ndim == 1]
        if (
            len(kernels) != 1
            or len(biases) != 1
            or len(names) > 2
            or arrays[biases[0]].shape[0] != arrays[kernels[0]].shape[-1]
        ):
            described = ", ".join(f"{name} {_shape_text(arrays[name].shape)}" for name in names)
            raise BadMedia(
                f"{source}: {described} is no kernel and its bias. Take the file from a backup"
                " of the model."
            )
        layers.append(_Theirs(layer or names[0], arrays[kernels[0]], arrays[biases[0]]))
    return layers


def _to_our_layout(array: Array, layer: _Ours) -> Array:
    """A kernel or bias of theirs in our layout."""
    turned = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T
    if layer.shuffled:
        # From (pixel, channel) to (channel, pixel): nn.PixelShuffle counts so.
        turned = (
            turned.reshape(4, len(turned) // 4, *turned.shape[1:])
            .swapaxes(0, 1)
            .reshape(turned.shape)
        )
    # Nothing but a picture has three channels.
    if layer.shape[-1] == COLORS:
        turned = turned[::-1]
    if array.ndim == 4 and layer.shape[-2] == COLORS:
        turned = turned[:, ::-1]
    return np.array(turned, np.float32, order="C")


def _order_doubt(ours: list[_Ours], theirs: list[_Theirs]) -> str:
    """What speaks against the order in which layers of one shape were taken; "" without."""
    names = [layer.name for layer in theirs]
    taken = f"{', '.join(names)} are of one shape and were taken in the file's order"
    if names != sorted(names, key=_natural_key):
        return (
            f"{taken}, though they are numbered otherwise. Look at the preview before you use the"
            " model."
        )
    paint_mask = ["mask" in layer.name.split(".") for layer in ours]
    if any(paint_mask) and not all(paint_mask) and paint_mask != list(map(_is_of_mask, names)):
        return (
            f"{taken}, those of the face before those of the mask. Look at the preview before you"
            " use the model."
        )
    return ""


def _is_of_mask(name: str) -> bool:
    """Whether a layer is called as those that paint the mask are: upscalem0, out_convm."""
    return re.match(r"\w*?m\d*([/.]|$)", name) is not None


def _natural_key(name: str) -> list[tuple[int, str]]:
    """A key that sorts conv2 before conv10."""
    return [(int(word), "") if word.isdigit() else (0, word) for word in re.split(r"(\d+)", name)]


def _shape_text(shape: tuple[int, ...]) -> str:
    return "x".join(str(side) for side in shape) or "one number"
