"""`saehd1`: SAEHD as it was at first.

Its encoder has four reaches; its decoders look closer at each step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import model_validator

from understudy.errors import BadOption
from understudy.options import option
from understudy.parts.models import ModelOptions, models, require_multiple

if TYPE_CHECKING:
    from torch import nn

    from understudy.nets.autoencoder.swappers import Swapper
    from understudy.parts.models.base.model import Model
    from understudy.parts.models.base.sae_model import SaeLossConfig


@models.register("saehd1")
class Saehd1(ModelOptions):
    """Four columns see the face at different reaches.

    88.3 M parameters with archi df, 148.3 M with liae.
    """

    optimizer = "rmsprop"
    batch = 8
    off_in_pretraining = (
        "true_face_training",
        "face_style_power",
        "bg_style_power",
    )

    resolution: int = option(
        128, "Side of the faces, a multiple of 16", low=64, high=256, unit="px"
    )
    face_type: Literal["half", "mid-full", "full"] = option(
        "full", "How much of the head the faces show"
    )
    archi: Literal["df", "liae"] = option(
        "df", "df keeps src's looks best, liae follows dst's light and shape more"
    )
    ae_dims: int = option(256, "Size of the code", low=32, high=1024)
    ed_ch_dims: int = option(
        21, "Channels of encoder and decoders for each of three colours", low=10, high=85
    )
    learn_mask: bool = option(
        True, "Learn the faces' masks; without, merging takes all of the picture for face"
    )
    true_face_training: bool = option(False, "Let src's face win over dst's (df only)", live=True)
    face_style_power: float = option(
        0, "How much the face takes on dst's light, try 10", low=0, high=100, live=True
    )
    bg_style_power: float = option(
        0, "How much the face's surroundings are held as dst's, try 10", low=0, high=100, live=True
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        require_multiple(self.resolution, 16)
        if self.true_face_training and self.archi != "df":
            raise BadOption(
                "true_face_training: only archi df can do that, this one is liae. Switch it off, or"
                " choose df."
            )
        return self

    def build(self) -> Model:
        from understudy.parts.models.base.sae_model import SaeModel

        net = self._network()
        return SaeModel(
            net, self.resolution, self.face_type, self.loss_config(), self._critics(net), "aware"
        )

    def loss_config(self) -> SaeLossConfig:
        """What it learns from."""
        from understudy.parts.models.base.sae_model import SaeLossConfig

        return SaeLossConfig(
            mask=1 if self.learn_mask else 0,
            shade="blur",
            face_style=self.face_style_power / 100,
            background_style=self.bg_style_power / 100,
            style_of="true",
            style_reach=16,
            true_face=0.01 if self.true_face_training else 0,
        )

    def _critics(self, net: Swapper) -> dict[str, nn.Module]:
        from understudy.nets.autoencoder.swappers import TwoDecoders
        from understudy.nets.losses.critics import CodeCritic

        if self.true_face_training and isinstance(net, TwoDecoders):
            return {"code_critic": CodeCritic(net.inter.channels, net.inter.size, early=True)}
        return {}

    def _network(self) -> Swapper:
        from understudy.nets.autoencoder.decoders import DecoderConfig, FaceMaskDecoder
        from understudy.nets.autoencoder.encoders import Inter, MultiColumnEncoder
        from understudy.nets.autoencoder.swappers import TwoDecoders, TwoInters

        code, channels = self.ae_dims, _even(3 * self.ed_ch_dims)
        # The first step folds its channels four by four.
        column = (channels // 4 * 4, 2 * channels, 4 * channels, 8 * channels)
        encoder = MultiColumnEncoder(self.resolution, (column,) * 4)
        face, mask = ((8 * dims, 4 * dims, 2 * dims) for dims in (channels, _even(self.ed_ch_dims)))
        masked, config = (
            mask if self.learn_mask else (),
            DecoderConfig(kernel=1, highres_residual=True),
        )
        if self.archi == "liae":
            ab, b = (Inter(encoder, code, 2 * code, 2 * code) for _ in range(2))
            return TwoInters(encoder, ab, b, FaceMaskDecoder(4 * code, face, masked, config))
        src, dst = (FaceMaskDecoder(code, face, masked, config) for _ in range(2))
        return TwoDecoders(encoder, Inter(encoder, code, code, code), src, dst)


def _even(dims: int) -> int:
    return dims + dims % 2
