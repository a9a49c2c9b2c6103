"""Optimizers by group, and their state as plain named arrays that a checkpoint can hold."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Adam, Optimizer
from torch.optim.adam import adam

from understudy.errors import BadOption
from understudy.nets.optim.update_rules import (
    CHUNK_NUMEL,
    AdaBelief,
    RMSprop,
    StateMemory,
    UncorrectedOptimizer,
)
from understudy.types import Array

OptimizerName = Literal["adam", "adabelief", "rmsprop"]
ParameterGroups = Mapping[str, Mapping[str, Parameter]]


@dataclass(frozen=True, slots=True)
class OptimizerConfig:
    """How the optimizers without bias correction take their steps.

    lr_dropout: each step takes a fresh random 0.3 of its elements. cosine: then its size also
    swings, lr * (cos(2 pi t / 500) + 1) / 2 at step t. seed: of its random numbers, the same on all
    ranks. memory: where the state is kept: in full; in bf16, half the size; or in the memory of the
    host, from where it comes for the step of its parameter.
    """

    lr_dropout: bool = False
    cosine: bool = True
    seed: int = 0
    memory: StateMemory = "full"


def build_optimizers(
    kind: OptimizerName, groups: ParameterGroups, lr: float, config: OptimizerConfig | None = None
) -> dict[str, Optimizer]:
    """Return an optimizer for each group of parameters.

    adam is torch's, with beta1 0.5 as autoencoders of faces use it, and fused where the device has
    that: a third of the time. Parameters without a gradient stay as they are.

    Raises:
        BadOption: Options that adam does not have, or the host's memory on the CPU.
    """
    config = config or OptimizerConfig()
    if kind == "adam":
        for name, asked in (
            ("lr_dropout", config.lr_dropout),
            ("optimizer_memory", config.memory != "full"),
        ):
            if asked:
                raise BadOption(
                    f"{name} goes with the optimizers adabelief and rmsprop, not with adam. Choose"
                    " one of these, or drop it."
                )
        return {
            name: Adam(list(group.values()), lr, (0.5, 0.999), fused=_is_fused(group))
            for name, group in groups.items()
        }
    if config.memory == "host" and all(
        each.device.type == "cpu" for group in groups.values() for each in group.values()
    ):
        raise BadOption(
            "optimizer_memory: host: on the CPU all memory is the host's. Leave it out, or choose"
            " half."
        )
    made = {"adabelief": AdaBelief, "rmsprop": RMSprop}[kind]
    swinging = config.lr_dropout and config.cosine
    return {
        name: made(
            group.values(),
            lr,
            lr_dropout=config.lr_dropout,
            cosine=swinging,
            seed=(config.seed, place),
            memory=config.memory,
        )
        for place, (name, group) in enumerate(groups.items())
    }


@contextlib.contextmanager
def step_in_backward(optimizer: Optimizer, parameters: Iterable[Parameter]) -> Iterator[None]:
    """Step each parameter as soon as its gradient is there, which is then let go.

    So all gradients are never held together, and each is used while it is in the cache. It cannot
    be combined with what needs all of them first: clipping, gradient accumulation, several ranks.
    After an error what has moved has moved. A gradient may come in bf16, as `linear_conv` gives it.
    """

    def move(parameter: Tensor) -> None:
        assert isinstance(parameter, Parameter)
        _step_one(optimizer, parameter)
        parameter.grad = None

    learning = [each for each in parameters if each.requires_grad]
    handles = [each.register_post_accumulate_grad_hook(move) for each in learning]  # type: ignore[no-untyped-call]
    for each in learning:
        each.grad_dtype = None
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for each in learning:
            # Cleared first: a gradient of another kind would be refused, and here there is one only
            # after an error.
            each.grad = None
            each.grad_dtype = each.dtype
    if isinstance(optimizer, UncorrectedOptimizer):
        optimizer.steps += 1


def set_lr(optimizers: Mapping[str, Optimizer], lr: float) -> None:
    """Give every optimizer another learning rate."""
    for optimizer in optimizers.values():
        for settings in optimizer.param_groups:
            settings["lr"] = lr


def state_to_arrays(
    optimizers: Mapping[str, Optimizer], groups: ParameterGroups
) -> dict[str, Array]:
    """Return the optimizers' state as "group/parameter/field" and "group/steps"; may be empty."""
    found: dict[str, Array] = {}
    for group, optimizer in optimizers.items():
        for name, parameter in groups[group].items():
            for field, value in (
                optimizer.state[parameter].items() if parameter in optimizer.state else ()
            ):
                # numpy knows no bf16.
                wide = value.float() if value.dtype == torch.bfloat16 else value
                found[f"{group}/{name}/{field}"] = wide.detach().cpu().contiguous().numpy()
        if isinstance(optimizer, UncorrectedOptimizer) and optimizer.steps:
            found[f"{group}/steps"] = np.array(optimizer.steps, np.int64)
    return found


def load_state(
    optimizers: Mapping[str, Optimizer], groups: ParameterGroups, arrays: Mapping[str, Array]
) -> None:
    """Put back what `state_to_arrays` gave; nothing = as before the first step.

    Raises:
        KeyError: It is of another model; says which array is missing, or of another shape.
    """
    for group, optimizer in optimizers.items():
        wanted = (
            optimizer.FIELDS
            if isinstance(optimizer, UncorrectedOptimizer)
            else ("step", "exp_avg", "exp_avg_sq")
        )
        state: dict[int, dict[str, Tensor]] = {}
        for place, (name, parameter) in enumerate(groups[group].items()):
            # What has never had a gradient has no state either.
            if any(f"{group}/{name}/{field}" in arrays for field in wanted):
                state[place] = {
                    field: _saved_field(parameter, f"{group}/{name}/{field}", arrays)
                    for field in wanted
                }
        if arrays and not state:
            raise KeyError(f"{group}: saved state of {type(optimizer).__name__} is missing")
        if isinstance(optimizer, UncorrectedOptimizer):
            steps = _saved_array(f"{group}/steps", (), arrays) if arrays else 0
            optimizer.restore_state(state, int(steps))
        else:
            optimizer.load_state_dict(
                {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
            )


def _saved_field(parameter: Parameter, key: str, arrays: Mapping[str, Array]) -> Tensor:
    shape = () if key.endswith("/step") else tuple(parameter.shape)
    return _tensor_like(parameter, _saved_array(key, shape, arrays))


def _saved_array(key: str, shape: tuple[int, ...], arrays: Mapping[str, Array]) -> Array:
    """The array of that name. A step on one of another shape may end the process."""
    if key not in arrays:
        raise KeyError(f"{key} is missing")
    found = np.asarray(arrays[key])
    if found.shape != shape or not (shape or np.isfinite(found)):
        raise KeyError(f"{key} is of another shape")
    return found


def _step_one(optimizer: Optimizer, parameter: Parameter) -> None:
    if isinstance(optimizer, UncorrectedOptimizer):
        optimizer.step_parameters([parameter])
        return
    assert parameter.grad is not None
    if parameter.grad.dtype != parameter.dtype:
        if parameter in optimizer.state and parameter.is_contiguous():
            _adam_in_chunks(optimizer, parameter, parameter.grad)
            return
        parameter.grad = parameter.grad.to(parameter.dtype)
    (settings,) = optimizer.param_groups
    everyone, settings["params"] = settings["params"], [parameter]
    try:
        optimizer.step()
    finally:
        settings["params"] = everyone


def _adam_in_chunks(optimizer: Optimizer, parameter: Parameter, gradient: Tensor) -> None:
    """Adam's step by a gradient in bf16, which is never all of it in fp32."""
    (settings,), memory = optimizer.param_groups, optimizer.state[parameter]
    (beta1, beta2), lr, eps = settings["betas"], settings["lr"], settings["eps"]
    before = memory["step"].clone()
    kept = (parameter.detach(), gradient.contiguous(), memory["exp_avg"], memory["exp_avg_sq"])
    for weight, slope, mean, square in zip(
        *(each.view(-1).split(CHUNK_NUMEL) for each in kept), strict=True
    ):
        # Each piece counts the step up by itself.
        memory["step"].copy_(before)
        adam(
            [weight],
            [slope.float()],
            [mean],
            [square],
            [],
            [memory["step"]],
            fused=settings["fused"],
            amsgrad=False,
            beta1=beta1,
            beta2=beta2,
            lr=lr,
            weight_decay=0,
            eps=eps,
            maximize=False,
        )


def _tensor_like(parameter: Parameter, array: Array) -> Tensor:
    """The array as a tensor in the memory layout of the parameter, as the fused step wants both."""
    found = torch.from_numpy(np.array(array))
    return (
        torch.empty_like(parameter, device="cpu").copy_(found)
        if found.shape == parameter.shape
        else found
    )


def _is_fused(group: Mapping[str, Parameter]) -> bool:
    return all(parameter.device.type in ("cpu", "cuda", "mps") for parameter in group.values())
