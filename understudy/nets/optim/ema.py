"""The running mean of a model's weights: steadier than the weights of any one iteration. After
Polyak and Juditsky (1992).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

# Iterations from one update to the next: the mean of a thousand iterations does not miss the
# others.
EVERY = 8


class Ema:
    """Follows the weights of a model.

    decay: share of the mean that is left after an iteration at the full step size; in the first
    ones, and where steps are smaller, less is left.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {name: weight.detach().clone() for name, weight in model.named_parameters()}

    def begin(self, model: nn.Module, weights: Mapping[str, Tensor]) -> None:
        """Go on from these weights; those that are not among them, or of another shape, from the
        model's.
        """
        with torch.no_grad():
            for name, weight in model.named_parameters():
                known = weights.get(name)
                self.weights[name].copy_(
                    weight if known is None or known.shape != weight.shape else known
                )

    def follow(self, model: nn.Module, iteration: int, share: float = 1) -> None:
        """Take in the model's weights after `iteration`, where it is time. share: of the full step
        size, that it went by.
        """
        if iteration % EVERY:
            return
        # At first it would be little but the weights that chance began with. And the smaller the
        # steps, the less there is to even out, and the more is lost by lagging behind: without any
        # the mean is the model.
        most = max(0.0, 1 - (1 - self.decay) / share**2) if share > 0 else 0.0
        decay = min(most, (1 + iteration) / (10 + iteration)) ** EVERY
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.weights.values()),
                [weight.detach() for weight in model.parameters()],
                1 - decay,
            )

    @contextlib.contextmanager
    def shown(self, model: nn.Module) -> Iterator[None]:
        """As long as it lasts the model has the mean's weights. They change places, so nothing is
        copied.
        """
        self._swap(model)
        try:
            yield
        finally:
            self._swap(model)

    def _swap(self, model: nn.Module) -> None:
        for name, weight in model.named_parameters():
            weight.data, self.weights[name] = self.weights[name], weight.data
