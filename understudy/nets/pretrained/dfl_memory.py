"""What an optimizer of DeepFaceLab 2 remembers, as the state of ours, and back.

For each tensor there are one or two slots, laid out as the tensor: AdaBelief keeps the mean and
the variance of gradients, RMSprop their mean square. A slot's name holds the tensor's and a word
for the slot; another array counts the steps.

There a gradient is the sum over a batch, here the mean. Means are divided by the size of the batch
and squares by its square, which keeps every bit where it is a power of two.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from understudy.errors import BadMedia
from understudy.nets.pretrained.dfl_weights import Place
from understudy.types import Array

MemoryKind = Literal["adabelief", "rmsprop"]

# Our fields, the word that is written for each, and the power of the batch's size that it has.
_FIELDS: Final[dict[MemoryKind, dict[str, tuple[str, int]]]] = {
    "adabelief": {"exp_avg": ("ms", 1), "exp_avg_var": ("vs", 2)},
    "rmsprop": {"square_avg": ("acc", 2)},
}
_STEPS: Final = "iters:0"
# No name is as long; looking for names in names takes long where they are.
_LONGEST: Final = 300
MAX_STEPS: Final = 999_999_999


@dataclass(frozen=True)
class Memory:
    """What an optimizer remembers.

    arrays: by the names of our parameters and fields, "net.encoder.0.0.weight/exp_avg". steps:
    that it has taken; None = not known.
    """

    kind: MemoryKind
    arrays: dict[str, Array]
    steps: int | None


def convert_memory(
    arrays: Mapping[str, Array], places: Mapping[str, Place], batch: int, source: str
) -> Memory:
    """Return the state of an optimizer from the arrays of its file.

    Args:
        arrays: By name.
        places: Where tensors go, by the file's part and their names in it, "encoder/down1/…".
        batch: Pairs of faces of which a gradient was the sum.
        source: The name of the file, for messages.

    Raises:
        BadMedia: Its slots are not those of these tensors, or of no such optimizer.
    """
    slots, steps = _find_slots(arrays, places, source)
    kind, words = _kind_of(slots, source)
    found: dict[str, Array] = {}
    for field, (_, power) in _FIELDS[kind].items():
        scale = np.float32(float(batch) ** power)
        for place, array in slots[words[field]]:
            ours = place.from_dfl(array)
            found[f"{place.name}/{field}"] = np.divide(ours, scale, out=ours)
    names = {key.rpartition("/")[0] for key in found}
    if len(found) != len(names) * len(_FIELDS[kind]):
        raise BadMedia(f"{source}: some tensors have one slot and others two. {_ANEW}")
    return Memory(kind, found, steps)


def memory_arrays(
    memory: Memory, places: Mapping[str, Place], batch: int
) -> Iterator[tuple[str, Array]]:
    """Yield the arrays of the file that `convert_memory` reads, by name. places: as there."""
    yield _STEPS, np.array(memory.steps or 0, np.int64)
    for field, (word, power) in _FIELDS[memory.kind].items():
        scale = np.float32(float(batch) ** power)
        for key, place in places.items():
            ours = memory.arrays.get(f"{place.name}/{field}", np.zeros(place.shape, np.float32))
            theirs = place.to_dfl(ours)
            yield f"{word}_{key.replace(':', '_')}:0", np.multiply(theirs, scale, out=theirs)


_Slots = dict[str, list[tuple[Place, Array]]]


def _find_slots(
    arrays: Mapping[str, Array], places: Mapping[str, Place], source: str
) -> tuple[_Slots, int | None]:
    """The arrays by the word for their slot, each with the place of its tensor; and the steps."""
    plain = {_plain(key): place for key, place in places.items()}
    slots: _Slots = defaultdict(list)
    steps = None
    for key, array in arrays.items():
        tensor, word = _split(_plain(key), plain)
        place = plain.get(tensor)
        if place is None and array.size == 1 and float(array.reshape(())).is_integer():
            steps = int(array.reshape(()))
            continue
        if place is None:
            raise BadMedia(f"{source}: '{key:.80}' is of no tensor of this model. {_ANEW}")
        is_number = array.size == 1 == math.prod(place.shape)
        if array.shape != place.dfl_shape and not is_number:
            raise BadMedia(f"{source}: '{key:.80}' is of another shape than its tensor. {_ANEW}")
        slots[word].append((place, array))
    if steps is not None and not 0 <= steps <= MAX_STEPS:
        raise BadMedia(f"{source}: {steps} is no number of steps. {_ANEW}")
    return slots, steps


def _kind_of(slots: _Slots, source: str) -> tuple[MemoryKind, dict[str, str]]:
    """Which optimizer has these slots, and the word for each of its fields."""
    lowest = {word: min(float(array.min()) for _, array in held) for word, held in slots.items()}
    # A square is never below zero; where a mean is not either, its name comes first.
    words = sorted(slots, key=lambda word: (lowest[word] >= 0, word))
    kind: MemoryKind = "adabelief" if len(words) == 2 else "rmsprop"
    if len(words) not in (1, 2) or lowest[words[-1]] < 0:
        told = ", ".join(words[:4]) or "none"
        raise BadMedia(
            f"{source}: its slots ({told}) are those of neither AdaBelief nor RMSprop. {_ANEW}"
        )
    for word in words:
        seen = [place.name for place, _ in slots[word]]
        if len(set(seen)) < len(seen):
            raise BadMedia(f"{source}: a tensor has two slots '{word:.40}'. {_ANEW}")
    return kind, dict(zip(_FIELDS[kind], words, strict=True))


def _split(key: str, plain: Mapping[str, object]) -> tuple[str, str]:
    """A slot's name as that of its tensor, "" where it holds none, and the word for the slot."""
    words = key.split("_") if len(key) <= _LONGEST else []
    for start in range(len(words)):
        for end in range(len(words), start, -1):
            tensor = "_".join(words[start:end])
            if tensor in plain:
                rest = [*words[:start], *words[end:]]
                return tensor, "_".join(word for word in rest if not word.isdecimal())
    return "", ""


def _plain(name: str) -> str:
    """A name as words with one line between each two: slots may write those of tensors so."""
    return re.sub(r"[^0-9A-Za-z]+", "_", name.removesuffix(":0")).strip("_")


_ANEW: Final = "Take it from the backup that the weights are of, or remove it."
