"""Models that rebuild two people through one code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import Parameter

from understudy.nets import ranks
from understudy.nets.autoencoder.blocks import Init, init_weights
from understudy.nets.autoencoder.swappers import DecodedFace, Swapper
from understudy.nets.checkpointing import checkpointed
from understudy.nets.device import to_numpy, to_tensor
from understudy.nets.losses import reconstruction
from understudy.parts.models.base.model import Batch, Model, Samples
from understudy.types import FaceType, Floats, Prediction

# Faces that `predict` takes through the network at a time.
PREDICT_BATCH = 16

MaskLoss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class AutoencoderLossConfig:
    """Weights of the loss terms; 0 leaves one out.

    dssim, l1, mse: within the mask. around: l1 of the whole picture. mask: of `mask_loss`. codes:
    that both people's codes lie among each other, so that src's decoder knows what to make of
    dst's. mouth: that the swapped face holds its mouth as dst does. What src never shows would else
    be damped, or torn.
    """

    dssim: float = 10
    l1: float = 0
    mse: float = 0
    around: float = 0
    mask: float = 1
    codes: float = 0
    mouth: float = 0
    mask_loss: MaskLoss = reconstruction.mse


class SwapperModel(Model):
    """A `Swapper` in use; what it learns from is up to those who inherit.

    One joint step for both people: the former tools gave DF and LIAE two optimizers, each of which
    moved the shared weights.
    """

    def __init__(self, net: Swapper, resolution: int, face_type: FaceType, init: Init) -> None:
        super().__init__()
        self.net, self.resolution, self.face_type, self.init = net, resolution, face_type, init

    def initialise(self, generator: torch.Generator) -> None:
        init_weights(self, self.init, generator)

    def parameter_groups(self) -> dict[str, dict[str, Parameter]]:
        return {"generator": dict(self.named_parameters())}

    def reconstruct(self, src: Tensor, dst: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        # src's way out paints src, too.
        own, _ = self.net.swap(src)
        swapped, rebuilt = self.net.swap(dst)
        return {
            name: (made.face, made.mask)
            for name, made in {"ss": own, "dd": rebuilt, "sd": swapped}.items()
        }

    @torch.inference_mode()
    def predict(self, images: Floats) -> Prediction:
        if not len(images):
            return Prediction(images, images[..., 0], images[..., 0])
        device = next(self.parameters()).device
        found = [
            self.net.swap(to_tensor(images[at : at + PREDICT_BATCH], device))
            for at in range(0, len(images), PREDICT_BATCH)
        ]
        return Prediction(
            image=to_numpy(torch.cat([swapped.face for swapped, _ in found])),
            mask=to_numpy(torch.cat([swapped.mask for swapped, _ in found])),
            dst_mask=to_numpy(torch.cat([rebuilt.mask for _, rebuilt in found])),
        )


class Autoencoder(SwapperModel):
    """One that learns each face from its warped picture, by a `AutoencoderLossConfig`."""

    def __init__(
        self,
        net: Swapper,
        resolution: int,
        face_type: FaceType,
        loss_config: AutoencoderLossConfig,
        init: Init,
    ) -> None:
        super().__init__(net, resolution, face_type, init)
        self.loss_config = loss_config

    def losses(self, batch: Batch, group: str) -> dict[str, Tensor]:
        rebuilt = self.net(batch.src.input, batch.dst.input)
        losses = {
            # Maps in fp32, some ten of them at full size: cheap to compute again.
            "src": checkpointed(
                self._face_loss, rebuilt.src.face, batch.src.target, batch.src.mask
            ),
            "dst": checkpointed(
                self._face_loss, rebuilt.dst.face, batch.dst.target, batch.dst.mask
            ),
            "mask": (
                self._mask_loss(rebuilt.src, batch.src) + self._mask_loss(rebuilt.dst, batch.dst)
            ),
        }
        if self.loss_config.codes:
            codes = (ranks.all_gather(each) for each in (rebuilt.src_code, rebuilt.dst_code))
            losses["codes"] = self.loss_config.codes * reconstruction.energy_distance(*codes)
        if self.loss_config.mouth and rebuilt.swapped is not None:
            losses["mouth"] = self.loss_config.mouth * self._mouth_loss(rebuilt.swapped, batch.dst)
        return losses

    def _face_loss(self, ours: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        loss_config, total = self.loss_config, torch.zeros((), device=target.device)
        if loss_config.dssim:
            total = total + loss_config.dssim * reconstruction.dssim(ours, target, mask)
        if loss_config.l1:
            total = total + loss_config.l1 * reconstruction.l1(ours, target, mask)
        if loss_config.mse:
            soft = reconstruction.gaussian_blur(mask, max(1, self.resolution // 64))
            total = total + loss_config.mse * reconstruction.mse(ours, target, soft)
        if loss_config.around:
            total = total + loss_config.around * reconstruction.l1(ours, target)
        return total

    def _mouth_loss(self, swapped: DecodedFace, dst: Samples) -> Tensor:
        """How far the swapped mouth is from dst's, in the colours of the swapped face."""
        goal = reconstruction.transfer_color(dst.target, swapped.face, dst.mask)
        return 10 * (
            reconstruction.dssim(swapped.face, goal, dst.mouth)
            + reconstruction.l1(swapped.face, goal, dst.mouth)
        )

    def _mask_loss(self, ours: DecodedFace, true: Samples) -> Tensor:
        return self.loss_config.mask * self.loss_config.mask_loss(ours.mask, true.mask)
