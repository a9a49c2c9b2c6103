"""Which weight files DeepFaceLab 2 has for a model, and what it calls the layers in them.

Each file has tables: names, one for each of our layers in the order of their work. The first is
what is written; the others are read as well. Without a table names are not known.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace

from torch import nn

from understudy.nets.autoencoder.blocks import ResBlock, Up
from understudy.nets.autoencoder.decoders import FaceMaskDecoder, PixelShuffleHead
from understudy.nets.autoencoder.encoders import Encoder, Inter
from understudy.nets.autoencoder.swappers import MorphSwapper, Swapper, TwoDecoders, TwoInters
from understudy.nets.losses.critics import CodeCritic, PatchCritic
from understudy.nets.pretrained.dfl_layers import Kind, Slot
from understudy.nets.pretrained.xseg import FilterResponseNorm, ThresholdedLinearUnit, XSeg

Tables = list[list[str]]

COLORS = 3
# The files of our groups of parameters: those that a critic learns, and what each optimizer knows.
CRITIC_FILES = {"code_critic": "code_discriminator", "critic": "GAN"}
OPTIMIZER_FILES = {
    "generator": "src_dst_opt",
    "code_critic": "D_code_opt",
    "critic": "GAN_opt",
}

# Without the letter t, and with it.
_ENCODER = [f"down1/downs_{step}/conv1" for step in range(4)]
_DEEP_ENCODER = [
    "down1/conv1",
    *("res1/conv1", "res1/conv2"),
    *(f"down{step}/conv1" for step in range(2, 6)),
    *("res5/conv1", "res5/conv2"),
]
_INTER, _INTER_UP = ["dense1", "dense2"], "upscale1/conv1"
# Without the letter d, and with it; some count their heads from 0 on.
_HEAD: Tables = [["out_conv"]]
_HEADS: Tables = [
    ["out_conv", "out_conv1", "out_conv2", "out_conv3"],
    ["out_conv0", "out_conv1", "out_conv2", "out_conv3"],
]
_MASK_HEAD = "out_convm"


@dataclass(frozen=True)
class DflPart:
    """A weight file, as layers of ours and what they may be called in it."""

    slots: list[Slot]
    tables: Tables

    def below(self, name: str) -> DflPart:
        """Return the same part of a larger module, in which it lies below `name`."""
        return DflPart(
            [replace(slot, name=f"{name}.{slot.name}") for slot in self.slots], self.tables
        )


def dfl_parts(net: Swapper) -> dict[str, DflPart]:
    """Return the parts of a net under the names that DeepFaceLab 2 gives their files.

    Slots are called as modules are within the net.
    """
    if isinstance(net, TwoDecoders):
        return {
            "encoder": _part(net, {"encoder": _encoder(net.encoder)}),
            "inter": _part(net, {"inter": _inter(net.inter)}),
            "decoder_src": _part(net, {"src": _decoder(net.src)}),
            "decoder_dst": _part(net, {"dst": _decoder(net.dst)}),
        }
    if isinstance(net, TwoInters):
        return {
            "encoder": _part(net, {"encoder": _encoder(net.encoder)}),
            "inter_AB": _part(net, {"ab": _inter(net.ab)}),
            "inter_B": _part(net, {"b": _inter(net.b)}),
            "decoder": _part(net, {"decoder": _decoder(net.decoder)}),
        }
    assert isinstance(net, MorphSwapper), "of the models that DeepFaceLab 2 has"
    # There the code is the encoder's last layer.
    return {
        "encoder": _part(net, {"encoder": _encoder(net.encoder), "squeeze": [["dense1"]]}),
        "inter_src": _part(net, {"src": [["dense2"], ["dense1"]]}),
        "inter_dst": _part(net, {"dst": [["dense2"], ["dense1"]]}),
        "decoder": _part(net, {"decoder": _decoder(net.decoder)}),
    }


def critic_part(critic: nn.Module, name: str) -> DflPart:
    """Return a critic as a part. name: of the module within the model."""
    assert isinstance(critic, CodeCritic | PatchCritic)
    return DflPart(module_slots(critic, name), [])


def xseg_part(net: XSeg, upwards: bool) -> DflPart:
    """Return the only part of XSeg.

    upwards: with the way up from the full size on, as some files list it.
    """
    # On its way up the former tool counts down.
    tables = [_xseg_names(net, counts_down) for counts_down in (True, False)]
    slots = module_slots(net, "", colors=False)
    if upwards:
        # Python's sort is stable: within a step up the order stays.
        order = sorted(range(len(slots)), key=lambda place: _rise_from_full_size(slots[place]))
        slots = [slots[place] for place in order]
        tables = [[table[place] for place in order] for table in tables]
    return DflPart(slots, tables)


def module_slots(module: nn.Module, name: str, colors: bool = True) -> list[Slot]:
    """Return the layers of a module in the order of their work, called `name` and what is below.

    colors: whether layers with three channels see or paint a picture in RGB.
    """
    found: list[Slot] = []
    kind = _KINDS.get(type(module))
    if kind:
        shapes = {role: tuple(value.shape) for role, value in module.named_parameters()}
        kernel = shapes.get("weight", ())
        sides = [colors and len(kernel) == 4 and side == COLORS for side in kernel[:2]]
        flips_out, flips_in = sides if len(sides) == 2 else (False, False)
        found.append(Slot(kind, name, shapes, flips_in=flips_in, flips_out=flips_out))
    for below, child in module.named_children():
        slots = module_slots(child, f"{name}.{below}".lstrip("."), colors)
        shuffled = isinstance(module, Up)
        found += [replace(slot, shuffled=True) for slot in slots] if shuffled else slots
    return found


def _part(net: nn.Module, tables: dict[str, Tables]) -> DflPart:
    """Parts of `net` that one file holds: their names, and the tables of each."""
    slots = [slot for name in tables for slot in module_slots(net.get_submodule(name), name)]
    joined = [
        list(itertools.chain.from_iterable(chosen))
        for chosen in itertools.product(*tables.values())
    ]
    return DflPart(slots, [table for table in joined if len(table) == len(slots)])


def _encoder(encoder: nn.Module) -> Tables:
    if not isinstance(encoder, Encoder):
        return []
    return [_DEEP_ENCODER if any(isinstance(each, ResBlock) for each in encoder) else _ENCODER]


def _inter(inter: Inter) -> Tables:
    return [[*_INTER, *([_INTER_UP] if isinstance(inter.up, Up) else [])]]


def _decoder(decoder: nn.Module) -> Tables:
    if not isinstance(decoder, FaceMaskDecoder) or decoder.mask is None:
        return []
    face = [
        name
        for step in range(_ups(decoder.face))
        for name in (f"upscale{step}/conv1", f"res{step}/conv1", f"res{step}/conv2")
    ]
    mask = [f"upscalem{step}/conv1" for step in range(_ups(decoder.mask))]
    heads = _HEADS if isinstance(decoder.face[-1], PixelShuffleHead) else _HEAD
    return [[*face, *head, *mask, _MASK_HEAD] for head in heads]


def _ups(layers: Iterable[nn.Module]) -> int:
    return sum(isinstance(layer, Up) for layer in layers)


def _xseg_names(net: XSeg, counts_down: bool) -> list[str]:
    """Names of XSeg's layers: convolution, norm and threshold of each block."""
    counts = [len(list(level.children())) for level in net.down]
    blocks = [
        f"conv{level}{place}" for level, count in enumerate(counts) for place in range(1, count + 1)
    ]
    names = [f"{block}/{layer}" for block in blocks for layer in _BLOCK]
    names += ["dense1", "dense2"]
    for level, count in reversed(list(enumerate(counts))):
        places = range(count, 0, -1) if counts_down else range(1, count + 1)
        rise = [f"up{level}", *(f"uconv{level}{place}" for place in places)]
        names += [f"{block}/{layer}" for block in rise for layer in _BLOCK]
    return [*names, "out_conv"]


def _rise_from_full_size(slot: Slot) -> tuple[int, int]:
    """A key by which layers of the way up are turned round, and all others stay."""
    if slot.name.startswith("rises."):
        return 1, -int(slot.name.split(".")[1])
    return (2 if slot.name == "head" else 0), 0


_BLOCK = ("conv", "frn", "tlu")
_KINDS: dict[type[nn.Module], Kind] = {
    nn.Conv2d: "convolution",
    nn.ConvTranspose2d: "transposed convolution",
    nn.Linear: "dense layer",
    FilterResponseNorm: "norm",
    ThresholdedLinearUnit: "threshold",
}
