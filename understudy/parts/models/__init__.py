"""The models: networks that learn both faces.

Here are their options only, so that --help need not wait for torch; the rest is in `contract`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from understudy.core.training.augment import AugmentConfig
from understudy.errors import BadOption
from understudy.registry import Part, Registry
from understudy.types import FaceType, Floats, Prediction

if TYPE_CHECKING:
    from understudy.parts.models.base.model import Model


class ModelOptions(Part):
    """How a model is built, and how it learns. Each registered class is one model.

    A setting that is declared live may change once the model has learnt something; all others are
    fixed for life.
    """

    optimizer: ClassVar[Literal["adam", "adabelief", "rmsprop"]] = "adam"
    # The optimizer's learning rate.
    lr: ClassVar[float] = 5e-5
    # How fast it falls from the first iteration on: it is lr / (1 + lr_decay * iteration).
    lr_decay: ClassVar[float] = 0
    # Whether only a random 0.3 of each step is taken, always.
    lr_dropout: ClassVar[bool] = False
    # Longest gradient that is not shortened; None = any.
    clip: ClassVar[float | None] = None
    # Share of a running mean of the weights that is left after an iteration; None = no mean.
    ema: ClassVar[float | None] = None
    # Pairs of faces an iteration.
    batch: ClassVar[int] = 4
    # How far its faces are moved at random.
    motion: ClassVar[AugmentConfig] = AugmentConfig()
    # Every so many batches are the one before again, with its targets as input; None = none.
    plain_every: ClassVar[int | None] = None
    # The live setting that says how much a critic for the end counts, 0 = it is not at work; None =
    # there is none.
    gan_setting: ClassVar[str | None] = None
    # After how many iterations of its own batch it shows a likeness that speaks, of people who are
    # new to it (`core.metrics.quality`); None = not measured.
    likeness: ClassVar[int | None] = None
    # Settings that must be off while the model pretrains: critics and styles.
    off_in_pretraining: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def has_critic(cls) -> bool:
        """Whether the model can learn against a critic that asks for fine detail."""
        return cls.gan_setting is not None

    def build(self) -> Model:
        """The model with weights not yet set: call `initialise`, or load them."""
        raise NotImplementedError


class Predictor(Protocol):
    """What a merge needs of a model."""

    resolution: int
    face_type: FaceType

    def predict(self, images: Floats) -> Prediction:
        """Swap dst faces (N, R, R, 3), float32 RGB in 0..1."""

    def set_morph(self, share: float) -> None:
        """Let so much of the face, 0..1, become src's.

        Raises BadOption where that cannot be chosen.
        """


models: Registry[ModelOptions] = Registry("models", __name__, "model")


def require_multiple(side: int, step: int) -> int:
    """Return `side` when its faces can be halved as often as the network does.

    Raises BadOption with the sides next to it.
    """
    if side % step:
        raise BadOption(
            f"resolution: {side} is not a multiple of {step}. Take {side // step * step} or"
            f" {(side // step + 1) * step}."
        )
    return side
