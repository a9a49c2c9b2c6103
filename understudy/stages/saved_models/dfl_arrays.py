"""The arrays of a model of DeepFaceLab 2 as those of a checkpoint of ours, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch

from understudy.errors import BadMedia, BadOption
from understudy.io.dfl import safe_pickle
from understudy.io.dfl.model_writer import MakeArrays
from understudy.io.dfl.models import DflModelInfo
from understudy.nets.device import tensors_to_numpy
from understudy.nets.optim.update_rules import AdaBelief, RMSprop
from understudy.nets.pretrained import dfl_memory, dfl_weights
from understudy.nets.pretrained.dfl_memory import Memory
from understudy.nets.pretrained.dfl_names import (
    CRITIC_FILES,
    OPTIMIZER_FILES,
    DflPart,
    critic_part,
    dfl_parts,
)
from understudy.nets.pretrained.dfl_weights import Place
from understudy.parts.models.base.sae_model import SaeModel
from understudy.stages.saved_models.dfl_settings import batch_size
from understudy.stages.saved_models.recipe import ModelRecipe
from understudy.types import Array

# The file of what a model's own optimizer remembers.
MEMORY_FILE = OPTIMIZER_FILES["generator"]
_KINDS = {"adabelief": AdaBelief, "rmsprop": RMSprop}


@dataclass
class ConvertedModel:
    """A model that came in.

    weights: of the whole model, by name. memory: what its optimizers remember, as a checkpoint of
    ours holds it; empty = nothing. optimizer: of which kind they are, or "none". steps: that the
    first one has taken. fresh_critics: those that begin as in a new model. layers: how many it has;
    named: how many of them were called as is known here. doubts: what could not be told for
    certain, in words.
    """

    weights: dict[str, Array] = field(default_factory=dict)
    memory: dict[str, Array] = field(default_factory=dict)
    optimizer: str = "none"
    steps: int = 0
    fresh_critics: list[str] = field(default_factory=list)
    layers: int = 0
    named: int = 0
    doubts: list[str] = field(default_factory=list)


def convert_arrays(theirs: DflModelInfo, recipe: ModelRecipe) -> ConvertedModel:
    """Convert every tensor of a model, and what its optimizers remember.

    Raises:
        BadMedia: A weight file is missing, or does not fit; names the tensor.
    """
    # Without memory of its own: nothing is reserved before the shapes of the files are known to be
    # right.
    shape = recipe.build(torch.device("meta"))
    assert isinstance(shape, SaeModel)
    made = ConvertedModel()
    found: dict[str, Array] = {}
    places: dict[str, dict[str, Place]] = {"generator": {}}
    for file, part in _generator_parts(shape).items():
        if file not in theirs.parts:
            missing = theirs.place.folder / f"{theirs.place.label}_{file}.npy"
            raise BadMedia(
                f"{missing}: is not there, and the model needs it. Take all of its files from one"
                " backup."
            )
        places["generator"] |= _take(part, file, theirs, found, made)
        made.layers += len(part.slots)
    for group in shape.critics:
        places[group] = _take_critic(shape, group, theirs, found, made)
    # What is not among their files begins as in a new model.
    model = recipe.build(torch.device("cpu"))
    model.initialise(torch.Generator().manual_seed(recipe.seed))
    model.load_state_dict(
        {name: torch.from_numpy(array) for name, array in found.items()}, strict=False
    )
    made.weights = tensors_to_numpy(model.state_dict())
    _convert_memory(theirs, shape, places, made)
    return made


def to_dfl_arrays(
    recipe: ModelRecipe,
    weights: Mapping[str, Array],
    memory: Mapping[str, Array],
    optimizer: str,
    batch: int,
) -> dict[str, MakeArrays]:
    """Return what makes the arrays of each file that DeepFaceLab 2 has for a model.

    Critics have none: what their layers are called there is not known.

    Args:
        recipe: Of the model.
        weights: Of a checkpoint of it, by name.
        memory: What its optimizers remember, of that checkpoint; empty = nothing.
        optimizer: Their kind.
        batch: Pairs of faces an iteration.

    Raises:
        BadOption: The names of its layers there are not known.
    """
    shape = recipe.build(torch.device("meta"))
    assert isinstance(shape, SaeModel)
    makers: dict[str, MakeArrays] = {}
    places: dict[str, Place] = {}
    for file, part in _generator_parts(shape).items():
        own = dfl_weights.dfl_places(part)
        if not own:
            raise BadOption(
                f"format: what DeepFaceLab 2 calls the layers of {file} in this plan is not known."
                " Write the model as one file: --format onnx."
            )
        makers[file] = partial(dfl_weights.dfl_arrays, own, weights)
        places |= {f"{file}/{name}": place for name, place in own.items()}
    if memory and optimizer in _KINDS:
        kept = Memory(
            "adabelief" if optimizer == "adabelief" else "rmsprop",
            {
                key.removeprefix("generator/"): array
                for key, array in memory.items()
                if key.startswith("generator/")
            },
            int(memory.get("generator/steps", np.array(0))),
        )
        makers[MEMORY_FILE] = partial(dfl_memory.memory_arrays, kept, places, batch)
    return makers


def _generator_parts(model: SaeModel) -> dict[str, DflPart]:
    """The parts of the net by file, their slots called as in the whole model."""
    return {file: part.below("net") for file, part in dfl_parts(model.net).items()}


def _take(
    part: DflPart,
    file: str,
    theirs: DflModelInfo,
    found: dict[str, Array],
    made: ConvertedModel,
) -> dict[str, Place]:
    """Add the weights of a file; return where its tensors went, by file and name."""
    path = theirs.parts[file]
    filled = dfl_weights.convert_weights(part, safe_pickle.load_arrays(path), str(path))
    found |= filled.weights
    made.doubts += filled.doubts
    made.named += filled.named
    return {f"{file}/{name}": place for name, place in filled.places.items()}


def _take_critic(
    shape: SaeModel,
    group: str,
    theirs: DflModelInfo,
    found: dict[str, Array],
    made: ConvertedModel,
) -> dict[str, Place]:
    """As `_take`, of a critic. One that does not fit begins anew, as there, and that is said."""
    file = CRITIC_FILES[group]
    if file in theirs.parts:
        try:
            part = critic_part(shape.critics[group], f"critics.{group}")
            return _take(part, file, theirs, found, made)
        except BadMedia as error:
            made.doubts.append(f"{error} Without it this critic starts anew.")
    made.fresh_critics.append(group)
    return {}


def _convert_memory(
    theirs: DflModelInfo,
    shape: SaeModel,
    places: Mapping[str, Mapping[str, Place]],
    made: ConvertedModel,
) -> None:
    """Add what the optimizers remember. Where it does not fit it stays behind, and that is said."""
    memories = {
        group: memory for group in places for memory in _load_memory(theirs, places, group, made)
    }
    if "generator" not in memories:
        return
    kind = memories["generator"].kind
    made.optimizer, made.steps = kind, memories["generator"].steps or 0
    groups = shape.parameter_groups()
    for group in groups:
        memory = memories.get(group)
        if memory is None or memory.kind != kind:
            # As before its first step: an optimizer looks for all groups, or for none.
            memory = Memory(kind, _blank(groups[group], kind), 0)
        made.memory |= {f"{group}/{key}": array for key, array in memory.arrays.items()}
        made.memory[f"{group}/steps"] = np.array(memory.steps or 0, np.int64)


def _load_memory(
    theirs: DflModelInfo,
    places: Mapping[str, Mapping[str, Place]],
    group: str,
    made: ConvertedModel,
) -> Iterator[Memory]:
    """What the optimizer of a group remembers, where there is a file that fits."""
    path = theirs.parts.get(OPTIMIZER_FILES[group])
    if path is None or not places[group]:
        return
    try:
        arrays = safe_pickle.load_arrays(path, has_counts=True)
        memory = dfl_memory.convert_memory(arrays, places[group], batch_size(theirs), str(path))
    except BadMedia as error:
        made.doubts.append(f"{error} Without it the optimizer starts with no memory.")
        return
    if memory.steps is None:
        made.doubts.append(
            f"{path}: does not say how many steps were taken; {theirs.iteration} are assumed, the"
            " model's iterations."
        )
        memory = Memory(memory.kind, memory.arrays, theirs.iteration)
    yield memory


def _blank(parameters: Mapping[str, torch.nn.Parameter], kind: str) -> dict[str, Array]:
    return {
        f"{name}/{field}": np.zeros(tuple(parameter.shape), np.float32)
        for name, parameter in parameters.items()
        for field in _KINDS[kind].FIELDS
    }
