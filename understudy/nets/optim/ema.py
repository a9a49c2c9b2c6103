"""The running mean of a model's weights (EMA), steadier than those of one iteration.

After Polyak and Juditsky (1992).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

# Iterations from one update to the next: the mean of a thousand iterations does not miss the
# others.
UPDATE_EVERY = 8


class Ema:
    """The exponential moving average of a model's weights.

    decay: share of the mean that is left after an iteration at the full learning rate. In the first
    ones, and where steps are smaller, less is left.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {name: weight.detach().clone() for name, weight in model.named_parameters()}

    def load(self, model: nn.Module, weights: Mapping[str, Tensor]) -> None:
        """Continue from these weights; those missing, or of another shape, start at the model's."""
        with torch.no_grad():
            for name, weight in model.named_parameters():
                known = weights.get(name)
                self.weights[name].copy_(
                    weight if known is None or known.shape != weight.shape else known
                )

    def update(self, model: nn.Module, iteration: int, share: float = 1) -> None:
        """Take in the model's weights after `iteration`, every `UPDATE_EVERY` iterations.

        share: of the full learning rate that was used.
        """
        if iteration % UPDATE_EVERY:
            return
        # At first it would be little but the weights that chance began with. And the smaller the
        # steps, the less there is to even out, and the more is lost by lagging behind: without any
        # the mean is the model.
        most = max(0.0, 1 - (1 - self.decay) / share**2) if share > 0 else 0.0
        decay = min(most, (1 + iteration) / (10 + iteration)) ** UPDATE_EVERY
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.weights.values()),
                [weight.detach() for weight in model.parameters()],
                1 - decay,
            )

    @contextlib.contextmanager
    def apply_to(self, model: nn.Module) -> Iterator[None]:
        """Give the model the mean's weights inside the block. They are swapped, not copied."""
        self._swap(model)
        try:
            yield
        finally:
            self._swap(model)

    def _swap(self, model: nn.Module) -> None:
        for name, weight in model.named_parameters():
            weight.data, self.weights[name] = self.weights[name], weight.data
