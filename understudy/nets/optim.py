"""Optimizers by group, and their state as plain named arrays that a checkpoint can hold."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Adam, Optimizer

from understudy.errors import BadOption
from understudy.types import Array

Kind = Literal["adam", "adabelief", "rmsprop"]
Groups = Mapping[str, Mapping[str, Parameter]]

# With lr_dropout this share of the elements of a step is taken, and the step size swings once in so many steps.
KEPT, PERIOD = 0.3, 500


def make(
    kind: Kind, groups: Groups, lr: float, lr_dropout: bool = False, cosine: bool = True, seed: int = 0
) -> dict[str, Optimizer]:
    """An optimizer of this kind for each group; parameters without a gradient stay as they are.

    adam is torch's, with beta1 0.5 as autoencoders of faces use it, and fused where the device has that: a third of the time.
    lr_dropout: each step takes a fresh random 0.3 of its elements. cosine: then its size also swings, lr * (cos(2 pi t / 500)
    + 1) / 2 at step t. seed: of the chance in lr_dropout; on all ranks the same. Raises BadOption for lr_dropout with adam.
    """
    if kind == "adam":
        if lr_dropout:
            raise BadOption(
                "lr_dropout goes with the optimizers adabelief and rmsprop, not with adam. Choose one of these, or drop it."
            )
        return {name: Adam(list(group.values()), lr, (0.5, 0.999), fused=_is_fused(group)) for name, group in groups.items()}
    made = {"adabelief": AdaBelief, "rmsprop": RMSprop}[kind]
    return {
        name: made(group.values(), lr, dropping=lr_dropout, cosine=lr_dropout and cosine, seed=(seed, place))
        for place, (name, group) in enumerate(groups.items())
    }


class Plain(Optimizer):
    """An optimizer without correction of its first steps, as the field trains with; see `make` for dropping and cosine.

    The chance of step t follows from (seed, t) alone, so the count of steps is all there is to save of it.
    """

    FIELDS: ClassVar[tuple[str, ...]]
    EPS: ClassVar[float] = 1e-6

    def __init__(
        self,
        params: Iterable[Parameter],
        lr: float,
        *,
        dropping: bool = False,
        cosine: bool = False,
        seed: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__(list(params), {"lr": lr})
        self.dropping, self.cosine, self.seed = dropping, cosine, seed
        self.steps = 0

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        swing = (math.cos(2 * math.pi * self.steps / PERIOD) + 1) / 2 if self.cosine else 1.0
        with torch.no_grad():
            for settings in self.param_groups:
                learning = [parameter for parameter in settings["params"] if parameter.grad is not None]
                if not learning:
                    continue
                chance = self._chance(learning[0].device) if self.dropping else None
                # A graphics card wants few calls, a CPU one parameter after the other in its cache: there five times as fast.
                for part in [[each] for each in learning] if learning[0].device.type == "cpu" else [learning]:
                    self._move(part, settings["lr"] * swing, chance)
        self.steps += 1

    def moves(self, gradients: list[Tensor], *memories: list[Tensor]) -> list[Tensor]:
        """Where the gradients lead, before the step size, as tensors; the memories, one list a field, are brought up to date."""
        raise NotImplementedError

    def _move(self, learning: list[Parameter], lr: float, chance: torch.Generator | None) -> None:
        memories = [[self._memory(parameter, field) for parameter in learning] for field in self.FIELDS]
        moves = self.moves([parameter.grad for parameter in learning if parameter.grad is not None], *memories)
        if chance is not None:
            torch._foreach_mul_(moves, _kept(learning, chance))
        torch._foreach_add_(list[Tensor](learning), moves, alpha=-lr)

    def _memory(self, parameter: Parameter, field: str) -> Tensor:
        memory: dict[str, Tensor] = self.state[parameter]
        if field not in memory:
            memory[field] = torch.zeros_like(parameter)
        return memory[field]

    def _chance(self, device: torch.device) -> torch.Generator:
        state = np.random.SeedSequence([*self.seed, self.steps]).generate_state(1, np.uint64)
        return torch.Generator(device).manual_seed(int(state[0] >> np.uint64(1)))


class AdaBelief(Plain):
    """Steps are large where gradients are as expected. Zhuang et al., AdaBelief Optimizer (2020), without bias correction."""

    FIELDS = ("exp_avg", "exp_avg_var")

    def moves(self, gradients: list[Tensor], *memories: list[Tensor]) -> list[Tensor]:
        """As `Plain.moves`: expected / (sqrt(variance about the new expectation) + eps)."""
        expected, variance = memories
        torch._foreach_lerp_(expected, gradients, 0.1)
        surprise = torch._foreach_sub(gradients, expected)
        torch._foreach_mul_(variance, 0.999)
        torch._foreach_addcmul_(variance, surprise, surprise, 0.001)
        # Freed before more is asked for: memory of two such lists would go back to the system at every step.
        del surprise
        return _divided(expected, variance, self.EPS)


class RMSprop(Plain):
    """Steps of like size in every direction: the gradient divided by the root of its recent mean square (Hinton, 2012)."""

    FIELDS = ("square_avg",)

    def moves(self, gradients: list[Tensor], *memories: list[Tensor]) -> list[Tensor]:
        """As `Plain.moves`: gradient / (sqrt(mean square) + eps)."""
        (square,) = memories
        torch._foreach_mul_(square, 0.9)
        torch._foreach_addcmul_(square, gradients, gradients, 0.1)
        return _divided(gradients, square, self.EPS)


def set_lr(optimizers: Mapping[str, Optimizer], lr: float) -> None:
    """Give every optimizer another step size."""
    for optimizer in optimizers.values():
        for settings in optimizer.param_groups:
            settings["lr"] = lr


def state_arrays(optimizers: Mapping[str, Optimizer], groups: Groups) -> dict[str, Array]:
    """What the optimizers remember, as "group/parameter/field" and "group/steps"; empty before the first step."""
    found: dict[str, Array] = {}
    for group, optimizer in optimizers.items():
        for name, parameter in groups[group].items():
            for field, value in optimizer.state[parameter].items() if parameter in optimizer.state else ():
                found[f"{group}/{name}/{field}"] = value.detach().cpu().contiguous().numpy()
        if isinstance(optimizer, Plain) and optimizer.steps:
            found[f"{group}/steps"] = np.array(optimizer.steps, np.int64)
    return found


def load_state(optimizers: Mapping[str, Optimizer], groups: Groups, arrays: Mapping[str, Array]) -> None:
    """Put back what `state_arrays` gave; nothing = as before the first step. Raises KeyError when it is of another model."""
    for group, optimizer in optimizers.items():
        wanted = optimizer.FIELDS if isinstance(optimizer, Plain) else ("step", "exp_avg", "exp_avg_sq")
        state: dict[int, dict[str, Tensor]] = {}
        for place, (name, parameter) in enumerate(groups[group].items()):
            # What has never had a gradient has no state either.
            if any(f"{group}/{name}/{field}" in arrays for field in wanted):
                state[place] = {field: _like(parameter, arrays[f"{group}/{name}/{field}"]) for field in wanted}
        if arrays and not state:
            raise KeyError(f"{group}: no saved state of {type(optimizer).__name__}")
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        if isinstance(optimizer, Plain):
            optimizer.steps = int(arrays[f"{group}/steps"]) if arrays else 0


def _kept(learning: list[Parameter], chance: torch.Generator) -> list[Tensor]:
    """1 for each element that moves and 0 for the others, in the memory layout of the parameters; one draw for all."""
    sizes = [parameter.numel() for parameter in learning]
    drawn = torch.empty(sum(sizes), device=learning[0].device).uniform_(generator=chance).lt_(KEPT)
    return [part.as_strided(each.shape, each.stride()) for part, each in zip(torch.split(drawn, sizes), learning, strict=True)]


def _divided(steps: list[Tensor], squares: list[Tensor], eps: float) -> list[Tensor]:
    divided = list(torch._foreach_sqrt(squares))
    torch._foreach_add_(divided, eps)
    torch._foreach_reciprocal_(divided)
    torch._foreach_mul_(divided, steps)
    return divided


def _like(parameter: Parameter, array: Array) -> Tensor:
    """The array as a tensor, in the memory layout of the parameter: the fused step walks both as they lie."""
    found = torch.from_numpy(np.array(array))
    return torch.empty_like(parameter, device="cpu").copy_(found) if found.shape == parameter.shape else found


def _is_fused(group: Mapping[str, Parameter]) -> bool:
    return all(parameter.device.type in ("cpu", "cuda", "mps") for parameter in group.values())
