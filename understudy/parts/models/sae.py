"""`sae`: the model from which SAEHD grew, with wide residual decoders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import model_validator

from understudy.options import option
from understudy.parts.models import ModelOptions, models, require_multiple

if TYPE_CHECKING:
    from understudy.nets.autoencoder.encoders import Encoder
    from understudy.nets.autoencoder.swappers import Swapper
    from understudy.parts.models.base.model import Model
    from understudy.parts.models.base.sae_model import SaeLossConfig


@models.register("sae")
class Sae(ModelOptions):
    """Two residual blocks after each step of the decoders.

    137.5 M parameters with archi df, 128.6 M with liae.
    """

    off_in_pretraining = (
        "face_style_power",
        "bg_style_power",
    )

    resolution: int = option(
        128, "Side of the faces, a multiple of 16", low=64, high=256, unit="px"
    )
    face_type: Literal["half", "full"] = option("full", "How much of the head the faces show")
    archi: Literal["df", "liae", "vg"] = option(
        "df",
        "df keeps src's looks best, liae follows dst's light and shape more, vg looks longer:"
        " sharper, slower",
    )
    ae_dims: int | None = option(
        None, "Size of the code; not set = 512, for liae 256", low=32, high=1024, formerly=0
    )
    e_ch_dims: int = option(
        42, "Channels of the encoder for each of three colours", low=21, high=85
    )
    d_ch_dims: int | None = option(
        None,
        "Channels of the decoder for each of three colours; not set = half of e_ch_dims",
        low=10,
        high=85,
        formerly=0,
    )
    lighter_encoder: bool = option(False, "An encoder for little memory")
    d_residual_blocks: bool = option(
        True, "Residual blocks in the decoders: finer detail (df, liae)"
    )
    multiscale_decoder: bool = option(
        False, "Learn the face at half and at a quarter of its size, too: finer detail"
    )
    remove_gray_border: bool = option(
        False, "Mirror maps at their border: no grey rim around the face, but slower"
    )
    learn_mask: bool = option(
        True, "Learn the faces' masks; without, merging takes all of the picture for face"
    )
    ca_weights: bool = option(
        False,
        "Start from convolutions that are orthogonal in frequency: slower to begin, finer in"
        " the end",
    )
    pixel_loss: bool = option(
        False,
        "Learn squared differences of pixels in place of structural similarity: late, when all is"
        " in its place",
        live=True,
    )
    face_style_power: float = option(
        0, "How much the face takes on dst's light, try 10", low=0, high=100, live=True
    )
    bg_style_power: float = option(
        0, "How much the face's surroundings are held as dst's, try 10", low=0, high=100, live=True
    )
    compat: bool = option(
        False,
        "Keep slips of the former tool: liae's residual blocks of one convolution, masks that count"
        " thrice",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        require_multiple(self.resolution, 32 if self.archi == "vg" else 16)
        return self

    def build(self) -> Model:
        from understudy.nets.autoencoder.blocks import use_reflection_padding
        from understudy.parts.models.base.sae_model import SaeModel

        net = self._network()
        if self.remove_gray_border:
            use_reflection_padding(net)
        init: Literal["aware", "glorot"] = "aware" if self.ca_weights else "glorot"
        return SaeModel(net, self.resolution, self.face_type, self.loss_config(), {}, init)

    def loss_config(self) -> SaeLossConfig:
        """What it learns from."""
        from understudy.parts.models.base.sae_model import SaeLossConfig

        return SaeLossConfig(
            structure=0 if self.pixel_loss else 10,
            pixel=50 if self.pixel_loss else 0,
            mask=self.learn_mask * (3 if self.compat and self.multiscale_decoder else 1),
            shade="blur",
            face_style=self.face_style_power / 100,
            background_style=self.bg_style_power / 100,
            style_of="true",
            style_reach=16,
        )

    def _network(self) -> Swapper:
        from understudy.nets.autoencoder.decoders import DecoderConfig, FaceMaskDecoder
        from understudy.nets.autoencoder.encoders import Inter
        from understudy.nets.autoencoder.swappers import TwoDecoders, TwoInters

        dm, is_liae, is_vg = (
            self.d_ch_dims or self.e_ch_dims // 2,
            self.archi == "liae",
            self.archi == "vg",
        )
        code, encoder, start = (
            self.ae_dims or (256 if is_liae else 512),
            self._encoder(),
            self.resolution // 16,
        )
        face, mask = ((8 * dims, 4 * dims, 2 * dims) for dims in (3 * dm, dm))
        masked = mask if self.learn_mask else ()
        residuals = 2 if self.d_residual_blocks and not is_vg else 0
        config = DecoderConfig(
            residuals,
            single_conv=self.compat and is_liae,
            scaled_residual=is_vg,
            multiscale=self.multiscale_decoder,
        )
        if is_liae:
            ab, b = (Inter(encoder, code, 2 * code, 2 * code) for _ in range(2))
            return TwoInters(encoder, ab, b, FaceMaskDecoder(4 * code, face, masked, config))
        src, dst = (FaceMaskDecoder(code, face, masked, config) for _ in range(2))
        return TwoDecoders(encoder, Inter(encoder, code, code, code, size=start), src, dst)

    def _encoder(self) -> Encoder:
        from understudy.nets.autoencoder.blocks import DepthwiseDown
        from understudy.nets.autoencoder.encoders import Encoder, deep_encoder

        e = 3 * self.e_ch_dims
        if self.archi == "vg":
            return deep_encoder(self.resolution, e // 4 * 4, 8 if self.lighter_encoder else 16)
        widths = (e, 2 * e, 4 * e, 8 * e)
        encoder = Encoder(self.resolution, widths)
        if self.lighter_encoder:
            for step in (1, 2, 3) if self.archi == "df" else (1, 3):
                encoder[step] = DepthwiseDown(widths[step - 1], widths[step])
        return encoder
