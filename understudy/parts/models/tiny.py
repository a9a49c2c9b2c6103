"""`tiny`: small enough to learn on a CPU."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from understudy.core.training.augment import AugmentConfig
from understudy.options import option
from understudy.parts.models import ModelOptions, models, require_multiple

if TYPE_CHECKING:
    from understudy.parts.models.base.model import Model


@models.register("tiny")
class Tiny(ModelOptions):
    """One decoder for both people that keeps dst's acting, small enough for a CPU.

    Ten minutes on two cores. 3.1 M parameters.
    """

    # At twice this a run broke down after 943 iterations.
    lr = 5e-4
    clip = 5
    # The mean of some five hundred iterations: until the learning rate falls it is 3 to 9 % better
    # than the last.
    ema = 0.998
    batch = 8
    # Of the demo's people held-out mouths were in step from 940 iterations of a run of 1000 on, and
    # from 1030 of one of 1490; two real talkers came to a DSSIM of 0.1 after 680.
    likeness = 1000
    # Less than half of the usual: in minutes there is no time to learn what a clip's steady faces
    # never show.
    motion = AugmentConfig(math.radians(4), 0.02, 0.03)

    resolution: int = option(96, "Side of the faces, a multiple of 16", low=64, high=160, unit="px")

    def build(self) -> Model:
        # Late, here and in every model: --help need not wait for torch.
        from understudy.nets.autoencoder.decoders import ConditionalDecoder
        from understudy.nets.autoencoder.encoders import Encoder, Inter
        from understudy.nets.autoencoder.swappers import SharedDecoder
        from understudy.parts.models.base.autoencoder import Autoencoder, AutoencoderLossConfig

        side = require_multiple(self.resolution, 16)
        encoder = Encoder(side, (64, 128, 192), fold=2)
        inter = Inter(encoder, code=64, spread=96, out=128, pixel_norm=True)
        decoder = ConditionalDecoder(2, 128, 2 * encoder.size, (96, 64), fold=2)
        # A narrow code, and both people's codes held together: what is left to say is what both
        # faces do. Signed inputs, kaiming and the norm on the code go together: with the usual
        # start it stays at the mean face.
        net = SharedDecoder(encoder, inter, decoder)
        return Autoencoder(
            net,
            side,
            "full",
            AutoencoderLossConfig(dssim=10, l1=10, around=1, codes=0.3, mouth=1),
            "kaiming",
        )
