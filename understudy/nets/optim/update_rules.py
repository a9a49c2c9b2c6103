"""Optimizers without bias correction, as the field trains with, and how they keep their state."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

StateMemory = Literal["full", "half", "host"]

# With lr_dropout this share of the elements of a step is taken, and the learning rate swings once
# in so many steps.
KEEP_SHARE, PERIOD = 0.3, 500
# Numbers that a CPU moves at a time: with gradient and memories they stay in its cache from the
# first operation to the last.
CHUNK_NUMEL = 1 << 17


class UncorrectedOptimizer(Optimizer):
    """Base of the optimizers here; see `optimizers.OptimizerConfig`.

    The random numbers of step t follow from (seed, t) and the place of a parameter, so the count of
    steps is all there is to save of them.
    """

    FIELDS: ClassVar[tuple[str, ...]]
    EPS: ClassVar[float] = 1e-6

    def __init__(
        self,
        params: Iterable[Parameter],
        lr: float,
        *,
        lr_dropout: bool = False,
        cosine: bool = False,
        seed: tuple[int, int] = (0, 0),
        memory: StateMemory = "full",
    ) -> None:
        super().__init__(list(params), {"lr": lr})
        self.lr_dropout, self.cosine, self.seed, self.memory = lr_dropout, cosine, seed, memory
        self.steps = 0
        self._places = {
            parameter: place for place, parameter in enumerate(self.param_groups[0]["params"])
        }

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        self.step_parameters(self.param_groups[0]["params"])
        self.steps += 1

    def step_parameters(self, parameters: list[Parameter]) -> None:
        """Step these parameters: a step may come in parts, in any order; then count `steps` up."""
        learning = [parameter for parameter in parameters if parameter.grad is not None]
        # A graphics card wants few calls; a CPU, and what is fetched from a host, one parameter
        # after the other.
        apart = bool(learning) and (learning[0].device.type == "cpu" or self.memory == "host")
        with torch.no_grad():
            for part in [[each] for each in learning] if apart else [learning] if learning else []:
                self._update(part)

    def update_direction(
        self, gradients: list[Tensor], *memories: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return the directions to move in, and the mean squares by whose root to divide them.

        The state, one list for each of `FIELDS`, is brought up to date. What is returned may be its
        memory.
        """
        raise NotImplementedError

    def restore_state(self, memories: Mapping[int, Mapping[str, Tensor]], steps: int) -> None:
        """Continue from this state, by the places of the parameters, after so many steps."""
        self.state.clear()
        for place, fields in memories.items():
            parameter = self.param_groups[0]["params"][place]
            for field, value in fields.items():
                self.state[parameter][field] = self._new_state(parameter).copy_(value)
        self.steps = steps

    def _update(self, learning: list[Parameter]) -> None:
        device = learning[0].device
        lr = self.param_groups[0]["lr"] * (
            (math.cos(2 * math.pi * self.steps / PERIOD) + 1) / 2 if self.cosine else 1.0
        )
        chance = StepRng(device, (*self.seed, self.steps, self._places[learning[0]]))
        held = [
            [self._state_of(parameter, field) for parameter in learning] for field in self.FIELDS
        ]
        for rows in _chunks(
            [list[Tensor](learning), [_gradient_like(each) for each in learning], *held]
        ):
            weights, gradients, *kept = rows
            wide = [[each.to(device, torch.float32) for each in field] for field in kept]
            leads, squares = self.update_direction([each.float() for each in gradients], *wide)
            divisors = list(torch._foreach_sqrt(squares))
            torch._foreach_add_(divisors, self.EPS)
            if self.lr_dropout:
                leads = [chance.dropout(each) for each in leads]
            torch._foreach_addcdiv_(weights, leads, divisors, -lr)
            if self.memory != "full":
                for field, updated in zip(kept, wide, strict=True):
                    for old, new in zip(field, updated, strict=True):
                        old.copy_(
                            chance.round_stochastic(new) if old.dtype == torch.bfloat16 else new
                        )

    def _state_of(self, parameter: Parameter, field: str) -> Tensor:
        memory: dict[str, Tensor] = self.state[parameter]
        if field not in memory:
            memory[field] = self._new_state(parameter).zero_()
        return memory[field]

    def _new_state(self, parameter: Parameter) -> Tensor:
        host = self.memory == "host" and parameter.device.type != "cpu"
        blank = torch.empty_like(
            parameter,
            dtype=torch.bfloat16 if self.memory == "half" else torch.float32,
            device="cpu" if host else parameter.device,
            requires_grad=False,
        )
        return blank.pin_memory() if host and parameter.device.type == "cuda" else blank


class AdaBelief(UncorrectedOptimizer):
    """Steps are large where gradients are as expected. Zhuang et al. (2020), no bias correction."""

    FIELDS = ("exp_avg", "exp_avg_var")

    def update_direction(
        self, gradients: list[Tensor], *memories: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return the expected gradient, and its variance about the new expectation."""
        expected, variance = memories
        torch._foreach_lerp_(expected, gradients, 0.1)
        surprise = torch._foreach_sub(gradients, expected)
        torch._foreach_mul_(variance, 0.999)
        torch._foreach_addcmul_(variance, surprise, surprise, 0.001)
        return expected, variance


class RMSprop(UncorrectedOptimizer):
    """The gradient divided by the root of its recent mean square (Hinton, 2012)."""

    FIELDS = ("square_avg",)

    def update_direction(
        self, gradients: list[Tensor], *memories: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return the gradient, and its mean square."""
        (square,) = memories
        torch._foreach_mul_(square, 0.9)
        torch._foreach_addcmul_(square, gradients, gradients, 0.1)
        return gradients, square


class StepRng:
    """The random numbers of one step, from seeds alone, drawn on the device itself."""

    def __init__(self, device: torch.device, seeds: tuple[int, ...]) -> None:
        self._device, self._seeds = device, np.random.SeedSequence(seeds)
        self._words: np.random.SFC64 | None = None
        self._generator: torch.Generator | None = None

    def dropout(self, lead: Tensor) -> Tensor:
        """Return a copy with a random 0.3 of its elements, and zero for the others."""
        # Sixteen bits an element, and numpy's product with bool: float32 draws and torch's product
        # take four times as long.
        if self._device.type == "cpu":
            return torch.from_numpy(
                np.multiply(lead.numpy(), self._random_bits(lead.numel()) < KEEP_SHARE * 65536)
            )
        return lead * torch.rand(
            lead.shape, device=self._device, generator=self._device_generator()
        ).lt_(KEEP_SHARE)

    def round_stochastic(self, wide: Tensor) -> Tensor:
        """Round float32 to bf16, up or down at random, so that on average small changes remain."""
        if self._device.type == "cpu":
            noise = torch.from_numpy(self._random_bits(wide.numel()).astype(np.int32)).view_as(wide)
        else:
            noise = torch.randint(
                1 << 16,
                wide.shape,
                device=self._device,
                dtype=torch.int32,
                generator=self._device_generator(),
            )
        return (noise.add_(wide.view(torch.int32)) & -65536).view(torch.float32).to(torch.bfloat16)

    def _random_bits(self, count: int) -> NDArray[np.uint16]:
        self._words = self._words or np.random.SFC64(self._seeds)
        words: NDArray[np.uint64] = self._words.random_raw((count + 3) // 4)
        return words.view(np.uint16)[:count]

    def _device_generator(self) -> torch.Generator:
        if self._generator is None:
            seed = int(self._seeds.generate_state(1, np.uint64)[0] >> np.uint64(1))
            self._generator = torch.Generator(self._device).manual_seed(seed)
        return self._generator


def _chunks(rows: list[list[Tensor]]) -> Iterator[list[list[Tensor]]]:
    """On a CPU the same numbers piece by piece, as they lie in memory; else all of them."""
    first = rows[0][0]
    if first.device.type != "cpu":
        yield rows
        return
    flat = [torch.split(each.as_strided((first.numel(),), (1,)), CHUNK_NUMEL) for (each,) in rows]
    for pieces in zip(*flat, strict=True):
        yield [[piece] for piece in pieces]


def _gradient_like(parameter: Parameter) -> Tensor:
    """The gradient, in the memory layout of the parameter."""
    assert parameter.grad is not None
    alike = parameter.grad.stride() == parameter.stride()
    return (
        parameter.grad
        if alike
        else torch.empty_like(parameter, requires_grad=False).copy_(parameter.grad)
    )
