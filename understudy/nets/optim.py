"""Optimizers by group, and their state as plain named arrays that a checkpoint can hold."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch.nn import Parameter
from torch.optim import Adam

from understudy.types import Array

Groups = Mapping[str, Mapping[str, Parameter]]


def adams(groups: Groups, lr: float) -> dict[str, Adam]:
    """An Adam for each group, fused where the device has that: a third of the time. Beta1 0.5, as autoencoders of faces use it."""
    return {name: Adam(list(group.values()), lr, (0.5, 0.999), fused=_is_fused(group)) for name, group in groups.items()}


def set_lr(optimizers: Mapping[str, Adam], lr: float) -> None:
    """Give every optimizer another step size."""
    for optimizer in optimizers.values():
        for settings in optimizer.param_groups:
            settings["lr"] = lr


def state_arrays(optimizers: Mapping[str, Adam], groups: Groups) -> dict[str, Array]:
    """What the optimizers remember, as "group/parameter/field"; empty before the first step."""
    found: dict[str, Array] = {}
    for group, optimizer in optimizers.items():
        for name, parameter in groups[group].items():
            for field, value in optimizer.state[parameter].items():
                found[f"{group}/{name}/{field}"] = value.detach().cpu().contiguous().numpy()
    return found


def load_state(optimizers: Mapping[str, Adam], groups: Groups, arrays: Mapping[str, Array]) -> None:
    """Put back what `state_arrays` gave. Raises KeyError when it is of another model."""
    for group, optimizer in optimizers.items():
        state: dict[int, dict[str, torch.Tensor]] = {}
        for place, name in enumerate(groups[group]) if arrays else ():
            fields = {field: arrays[f"{group}/{name}/{field}"] for field in ("step", "exp_avg", "exp_avg_sq")}
            state[place] = {field: _like(groups[group][name], array) for field, array in fields.items()}
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _like(parameter: Parameter, array: Array) -> torch.Tensor:
    """The array as a tensor, in the memory layout of the parameter: the fused step walks both as they lie."""
    found = torch.from_numpy(np.array(array))
    return torch.empty_like(parameter, device="cpu").copy_(found) if found.shape == parameter.shape else found


def _is_fused(group: Mapping[str, Parameter]) -> bool:
    return all(parameter.device.type in ("cpu", "cuda", "mps") for parameter in group.values())
