"""`trueface`: dst's pose and expression, repainted by a critic that knows both people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import model_validator

from understudy.core.training.augment import AugmentConfig
from understudy.options import option
from understudy.parts.models import ModelOptions, models, require_multiple

if TYPE_CHECKING:
    from understudy.parts.models.base.model import Model

# Up to this side the critic has eight residual blocks, beyond it ten.
_SMALL_SIDE = 128


@models.register("trueface")
class TrueFace(ModelOptions):
    """FUNIT for two people: content of dst, looks of src, and a critic from the first iteration.

    10.2 M parameters, and 13.5 M of its critic; from 144 pixels on 22.9 M of that.
    """

    optimizer = "rmsprop"
    lr = 1e-4
    lr_decay = 1e-4
    # Of a generator that plays against a critic single states swing about where it is going.
    ema = 0.999
    # The content of a warped face would be a warped face: there is nothing here to unbend it.
    motion = AugmentConfig(warp=0)

    resolution: int = option(
        128, "Side of the faces, a multiple of 16", low=64, high=256, unit="px"
    )
    face_type: Literal["half", "mid-full", "full"] = option(
        "full", "How much of the head the faces show"
    )
    dims: int = option(
        64, "Channels of the first step of generator and critic, even", low=8, high=128
    )
    pixel_power: float = option(
        0.1,
        "How much rebuilt faces are held to their pixels; 1 to 10 = dst's pose comes sooner, but"
        " softer",
        low=0,
        high=100,
        live=True,
    )
    learn_mask: bool = option(
        True,
        "Learn the faces' masks, which the former tool did not; without, merging takes all of the"
        " picture for face",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        require_multiple(self.resolution, 16)
        return self

    def build(self) -> Model:
        from understudy.nets.autoencoder.translator import Translator
        from understudy.nets.losses.critics import ClassCritic
        from understudy.parts.models.base.translator_model import TranslatorModel

        blocks = 8 if self.resolution <= _SMALL_SIDE else 10
        return TranslatorModel(
            Translator(self.dims, self.learn_mask),
            ClassCritic(2, self.dims, blocks),
            self.resolution,
            self.face_type,
            self.pixel_power,
        )
