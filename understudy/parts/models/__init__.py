"""The models: who learns both faces. Their options only, so that --help need not wait for torch;
the rest is in `contract`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from understudy.core.training.augment import AugmentConfig
from understudy.errors import BadOption
from understudy.options import Options
from understudy.registry import Registry

if TYPE_CHECKING:
    from understudy.parts.models.contract import Model


class ModelOptions(Options):
    """How a model is built, and what it heeds while it learns. Each registered class is one model.

    A setting that is declared live may change once the model has learnt something; all others are
    fixed for life. lr: the optimizer's step; lr_dropout: of it a random 0.3 is taken, always. clip:
    longest gradient that is not shortened, None = any. ema: share of a running mean of the weights
    that is left after an iteration, None = there is no mean. batch: pairs of faces an iteration.
    motion: how far its faces are moved at random. plain_every: every so many batches are the one
    before again, with its targets as input; None = none.
    """

    optimizer: ClassVar[Literal["adam", "adabelief", "rmsprop"]] = "adam"
    lr: ClassVar[float] = 5e-5
    lr_dropout: ClassVar[bool] = False
    clip: ClassVar[float | None] = None
    ema: ClassVar[float | None] = None
    batch: ClassVar[int] = 4
    motion: ClassVar[AugmentConfig] = AugmentConfig()
    plain_every: ClassVar[int | None] = None

    def build(self) -> Model:
        """The model with weights not yet set: call `initialise`, or load them."""
        raise NotImplementedError


models: Registry[type[ModelOptions]] = Registry("models", __name__)


def multiple(side: int, step: int) -> int:
    """`side`, when its faces can be halved as often as the network does. Raises BadOption with the
    sides next to it.
    """
    if side % step:
        raise BadOption(
            f"resolution: {side} is not a multiple of {step}. Take {side // step * step} or"
            f" {(side // step + 1) * step}."
        )
    return side
