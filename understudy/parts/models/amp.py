"""`amp`: how much of the face becomes src's can be set after training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import model_validator

from understudy.core.training.augment import AugmentConfig
from understudy.options import option
from understudy.parts.models import ModelOptions, models, require_multiple
from understudy.parts.models.saehd import require_even, resolve_mask_dims

if TYPE_CHECKING:
    from torch import nn

    from understudy.nets.autoencoder.swappers import MorphSwapper
    from understudy.parts.models.base.model import Model
    from understudy.parts.models.base.sae_model import SaeLossConfig


@models.register("amp")
class Amp(ModelOptions):
    """One decoder that is fed from both people's inters, in any mixture. 101.4 M parameters."""

    optimizer = "adabelief"
    batch = 8
    motion = AugmentConfig(scale=0.15)
    gan_setting = "gan_power"
    off_in_pretraining = ("gan_power",)

    resolution: int = option(
        224, "Side of the faces, a multiple of 32", low=64, high=640, unit="px"
    )
    face_type: Literal["full", "whole", "head"] = option(
        "whole", "How much of the head the faces show"
    )
    ae_dims: int = option(256, "Size of the code", low=32, high=1024)
    inter_dims: int = option(
        1024, "Channels of each person's inter; more = more likeness", low=32, high=2048
    )
    e_dims: int = option(64, "Channels of the encoder, even", low=16, high=256)
    d_dims: int = option(64, "Channels of the decoder, even", low=16, high=256)
    d_mask_dims: int | None = option(
        None,
        "Channels of the mask's decoder, even; not set = a third of d_dims",
        low=6,
        high=256,
        formerly=0,
    )
    morph_factor: float = option(
        0.5,
        "Share of src's own channels while it learns; less = the face follows dst's expressions"
        " more",
        low=0.1,
        high=0.5,
    )
    morph: float = option(
        1, "How much of the face becomes src's where the model is used", low=0, high=1, live=True
    )
    train_inters: bool = option(
        True, "Let the inters learn; the former tool left them at their random start", live=True
    )
    blur_out_mask: bool = option(
        False, "Blur what is around the faces to be learnt: smoother edges", live=True
    )
    gan_power: float = option(
        0,
        "How much a critic asks for fine detail, try 0.1 at the very end",
        low=0,
        high=5,
        live=True,
    )
    gan_patch_size: int | None = option(
        None,
        "How much of a face the critic sees at a time; not set = about an eighth",
        low=1,
        high=640,
        unit="px",
        live=True,
        formerly=0,
    )
    gan_dims: int = option(16, "Channels of the critic", low=4, high=512, live=True)
    compat: bool = option(
        False, "Keep slips of the former tool: its smoothness, its windows", live=True
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        require_multiple(self.resolution, 32)
        require_even(e_dims=self.e_dims, d_dims=self.d_dims, d_mask_dims=self.d_mask_dims)
        return self

    def build(self) -> Model:
        from understudy.nets.losses.critics import PatchCritic, resolve_patch
        from understudy.parts.models.base.morph_model import MorphModel

        net = self._network()
        for inter in (net.src, net.dst):
            inter.requires_grad_(self.train_inters)
        critics: dict[str, nn.Module] = {}
        if self.gan_power:
            critics["critic"] = PatchCritic(
                resolve_patch(self.resolution, self.gan_patch_size), self.gan_dims
            )
        return MorphModel(net, self.resolution, self.face_type, self.loss_config(), critics)

    def loss_config(self) -> SaeLossConfig:
        """What it learns from."""
        from understudy.parts.models.base.sae_model import SaeLossConfig

        return SaeLossConfig(
            scales=2,
            eyes=300,
            blur_out=self.blur_out_mask,
            gan=self.gan_power,
            gan_both=True,
            backdrop=0.1,
            compat=self.compat,
        )

    def _network(self) -> MorphSwapper:
        from understudy.nets.autoencoder.decoders import DecoderConfig, FaceMaskDecoder
        from understudy.nets.autoencoder.encoders import Encoder
        from understudy.nets.autoencoder.swappers import MorphSwapper

        e, d, dm = self.e_dims, self.d_dims, resolve_mask_dims(self.d_mask_dims, self.d_dims)
        encoder = Encoder(
            self.resolution, (e, 2 * e, 4 * e, 8 * e, 8 * e), residual_at=(0, 4), pixel_norm=True
        )
        face, mask = (8 * d, 8 * d, 4 * d, 2 * d), (8 * dm, 8 * dm, 4 * dm, 2 * dm, dm)
        decoder = FaceMaskDecoder(
            self.inter_dims,
            face,
            mask,
            DecoderConfig(residuals=1, kernel=1, pixel_shuffle_head=True),
        )
        net = MorphSwapper(encoder, self.ae_dims, self.inter_dims, decoder, self.morph_factor)
        net.morph = self.morph
        return net
