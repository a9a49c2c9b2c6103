"""The four classic models: H64, H128, DF and LIAEF128."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from understudy.options import option
from understudy.parts.models import ModelOptions, models
from understudy.types import FaceType

if TYPE_CHECKING:
    from understudy.nets.autoencoder.swappers import Swapper
    from understudy.parts.models.base.model import Model


class Classic(ModelOptions):
    """What the four classic models share."""

    pixel_loss: bool = option(
        False,
        "Learn squared differences of pixels in place of structural similarity: late, when all is"
        " in its place",
        live=True,
    )

    def build_with(
        self, net: Swapper, resolution: int, face_type: FaceType, mask_loss: Literal["l1", "mse"]
    ) -> Model:
        """`net` with what counts for it."""
        # Late, here and in every model: --help need not wait for torch.
        from understudy.nets.losses import reconstruction
        from understudy.parts.models.base.autoencoder import Autoencoder, AutoencoderLossConfig

        measured = reconstruction.l1 if mask_loss == "l1" else reconstruction.mse
        loss_config = (
            AutoencoderLossConfig(dssim=0, mse=50, mask_loss=measured)
            if self.pixel_loss
            else AutoencoderLossConfig(mask_loss=measured)
        )
        return Autoencoder(net, resolution, face_type, loss_config, "glorot")


@models.register("h64")
class H64(Classic):
    """Half faces of 64 pixels. 112.8 M parameters, light 44.5 M."""

    batch = 8

    light: bool = option(False, "The variant for little memory")

    def build(self) -> Model:
        from understudy.nets.autoencoder import classic

        return self.build_with(classic.h64(self.light), 64, "half", "l1")


@models.register("h128")
class H128(Classic):
    """Half faces of 128 pixels. 138.4 M parameters, light 55.9 M."""

    light: bool = option(False, "The variant for little memory")

    def build(self) -> Model:
        from understudy.nets.autoencoder import classic

        return self.build_with(classic.df(256 if self.light else 512), 128, "half", "l1")


@models.register("df")
class Df(Classic):
    """Full faces of 128 pixels, a decoder for each person: keeps src's looks best.

    138.4 M parameters.
    """

    def build(self) -> Model:
        from understudy.nets.autoencoder import classic

        return self.build_with(classic.df(), 128, "full", "mse")


@models.register("liaef128")
class Liaef128(Classic):
    """Full faces of 128 pixels, one decoder for both people.

    Follows dst's shape and light more than DF does. 136.1 M parameters.
    """

    def build(self) -> Model:
        from understudy.nets.autoencoder import classic

        return self.build_with(classic.liaef128(), 128, "full", "mse")
