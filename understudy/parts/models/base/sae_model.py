"""What the models of the SAE line learn from, and the critics that learn against them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import Parameter
from torch.nn.functional import adaptive_avg_pool2d

from understudy.nets.autoencoder.blocks import Init
from understudy.nets.autoencoder.swappers import DecodedFace, Reconstruction, Swapper
from understudy.nets.checkpointing import checkpointed
from understudy.nets.losses import reconstruction, style
from understudy.nets.losses.critics import as_tuple, frozen_logits, gan_loss
from understudy.parts.models.base.autoencoder import SwapperModel
from understudy.parts.models.base.model import Batch, Samples
from understudy.types import FaceType


@dataclass(frozen=True)
class SaeLossConfig:
    """Weights of the loss terms; 0 leaves one out.

    structure, at `scales` scales, and pixel: of both people's faces as `shade` shows them. shade:
    whole up to the mask's edge and a ramp beyond, under the blurred mask, or with all that is
    around. eyes: of what `Samples.eyes_mouth` shows. blur_out: the surroundings count blurred.
    face_style, background_style: that the swap has dst's light and dst's surroundings. style_of:
    dst's light as it is painted, or as it truly is. true_face: that a critic takes src's codes for
    dst's. gan: that a critic takes painted faces for true ones. gan_both: dst's faces too.
    backdrop: what dst's decoder does outside of the mask. compat: slips of the former tools, kept.
    """

    structure: float = 10
    scales: int = 1
    pixel: float = 10
    mask: float = 10
    shade: Literal["ramp", "blur", "none"] = "ramp"
    eyes: float = 0
    blur_out: bool = False
    face_style: float = 0
    background_style: float = 0
    style_of: Literal["painted", "true"] = "painted"
    style_reach: int = 8
    true_face: float = 0
    gan: float = 0
    gan_both: bool = False
    backdrop: float = 0
    compat: bool = False


@dataclass(frozen=True)
class CriticInput:
    """What the critics get of one pass of the generator, and its batch.

    No gradient goes back.
    """

    batch: Batch
    true: Tensor
    painted: Tensor
    src_maps: Tensor
    dst_maps: Tensor


class SaeModel(SwapperModel):
    """A `Swapper` that learns by an `SaeLossConfig`.

    critics: by the names of their groups, "code_critic" for what decoders start from and "critic"
    for faces. They learn from what the generator painted in the pass before, so its `losses` come
    first.
    """

    def __init__(
        self,
        net: Swapper,
        resolution: int,
        face_type: FaceType,
        loss_config: SaeLossConfig,
        critics: dict[str, nn.Module],
        init: Init = "glorot",
    ) -> None:
        super().__init__(net, resolution, face_type, init)
        self.loss_config, self.critics = loss_config, nn.ModuleDict(critics)
        self._shown: CriticInput | None = None

    def parameter_groups(self) -> dict[str, dict[str, Parameter]]:
        """The generator's, then those of each critic.

        What is frozen stays in its group, without a gradient.
        """
        places = {"generator": "net.", **{name: f"critics.{name}." for name in self.critics}}
        named = dict(self.named_parameters())
        return {
            group: {name: weight for name, weight in named.items() if name.startswith(place)}
            for group, place in places.items()
        }

    def losses(self, batch: Batch, group: str) -> dict[str, Tensor]:
        if group != "generator":
            assert self._shown is not None and self._shown.batch is batch, (
                "critics learn after the generator, from the same batch"
            )
            return {group: self._critic_loss(group, self._shown)}
        loss_config, rebuilt = self.loss_config, self.net(batch.src.input, batch.dst.input)
        src, dst = self._shade(batch.src.mask), self._shade(batch.dst.mask)
        true_src, true_dst = self._target(batch.src), self._target(batch.dst)
        losses = {
            "src": self._face_loss(rebuilt.src, true_src, src, batch.src),
            "dst": self._face_loss(rebuilt.dst, true_dst, dst, batch.dst),
        }
        if loss_config.mask:
            masks = reconstruction.mse(rebuilt.src.mask, batch.src.mask) + reconstruction.mse(
                rebuilt.dst.mask, batch.dst.mask
            )
            losses["mask"] = loss_config.mask * masks
        losses |= self._styles(batch, rebuilt, true_dst)
        if loss_config.backdrop:
            losses["backdrop"] = self._smooth(rebuilt.dst, true_dst, dst, loss_config.backdrop)
        if self.critics:
            true, painted = self._for_critic(rebuilt, (true_src, true_dst), (src, dst))
            losses |= self._against_critics(rebuilt, painted)
            if loss_config.gan and loss_config.shade != "none":
                losses["smooth"] = self._smooth(rebuilt.src, true_src, src, 0.02)
            kept = (each.detach() for each in (true, painted, rebuilt.src_maps, rebuilt.swap_maps))
            self._shown = CriticInput(batch, *kept)
        return losses

    def _face_loss(self, ours: DecodedFace, target: Tensor, shade: Tensor, true: Samples) -> Tensor:
        # Maps in fp32, some ten of them at full size: cheap to compute again.
        loss_config, total = (
            self.loss_config,
            checkpointed(self._likeness, ours.face, target, shade),
        )
        if loss_config.eyes:
            total = total + loss_config.eyes * reconstruction.l1(ours.face, target, true.eyes_mouth)
        for smaller in (ours.quarter, ours.half):
            if smaller is not None:
                side = smaller.shape[-1]
                total = total + self._likeness(
                    smaller, adaptive_avg_pool2d(target, side), adaptive_avg_pool2d(shade, side)
                )
        return total

    def _likeness(self, ours: Tensor, target: Tensor, shade: Tensor) -> Tensor:
        loss_config, total = self.loss_config, torch.zeros((), device=target.device)
        if loss_config.structure:
            scales, compat = loss_config.scales, loss_config.compat
            total = total + loss_config.structure * reconstruction.multiscale_dssim(
                ours, target, shade, scales, compat, self.resolution
            )
        if loss_config.pixel:
            total = total + loss_config.pixel * reconstruction.mse(ours, target, shade)
        return total

    def _styles(self, batch: Batch, rebuilt: Reconstruction, true_dst: Tensor) -> dict[str, Tensor]:
        """That the swap takes its light and its surroundings from dst."""
        loss_config, losses = self.loss_config, {}
        if loss_config.face_style:
            losses["face_style"] = loss_config.face_style * self._light(
                rebuilt, true_dst, self._shade(batch.dst.mask)
            )
        if loss_config.background_style:
            swapped = self.net.decode_src(rebuilt.swap_maps)
            # The former tool took the mask of whichever src face came along.
            outside = 1 - self._shade((batch.src if loss_config.compat else batch.dst).mask)
            weights = (loss_config.structure, loss_config.pixel)
            losses["bg_style"] = loss_config.background_style * style.background_loss(
                swapped.face, true_dst, outside, weights
            )
        return losses

    def _light(self, rebuilt: Reconstruction, true_dst: Tensor, shade: Tensor) -> Tensor:
        sigma = max(1, self.resolution // self.loss_config.style_reach)
        if self.loss_config.style_of == "true":
            swapped = self.net.decode_src(rebuilt.swap_maps)
            return style.style_loss(swapped.face * shade, true_dst * shade, sigma)
        # Painted anew from maps without a way back: only the decoder is to learn light.
        swapped = self.net.decode_src(rebuilt.swap_maps.detach())
        wanted = (rebuilt.dst.face * rebuilt.dst.mask).detach()
        return style.style_loss(swapped.face * swapped.mask.detach(), wanted, sigma)

    def _against_critics(self, rebuilt: Reconstruction, painted: Tensor) -> dict[str, Tensor]:
        loss_config, losses = self.loss_config, {}
        if loss_config.true_face:
            losses["true_face"] = loss_config.true_face * gan_loss(
                frozen_logits(self.critics["code_critic"], rebuilt.src_maps), True
            )
        if loss_config.gan:
            sides = 1 + loss_config.gan_both
            losses["gan"] = (
                loss_config.gan
                * sides
                * gan_loss(frozen_logits(self.critics["critic"], painted), True)
            )
        return losses

    def _for_critic(
        self, rebuilt: Reconstruction, true: tuple[Tensor, Tensor], shades: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """True and painted faces as the critic sees them; src's alone, or both people's."""
        ours = (rebuilt.src.face, rebuilt.dst.face)
        sides = range(1 + self.loss_config.gan_both)
        return torch.cat([true[k] * shades[k] for k in sides]), torch.cat(
            [ours[k] * shades[k] for k in sides]
        )

    def _critic_loss(self, group: str, shown: CriticInput) -> Tensor:
        """How far a critic is from telling both apart."""
        if group == "code_critic":
            true, false, share = shown.dst_maps, shown.src_maps, 0.5
        else:
            true, false, share = shown.true, shown.painted, 0.5 / (1 + self.loss_config.gan_both)
        judged = [each.chunk(2) for each in as_tuple(self.critics[group](torch.cat([true, false])))]
        of_true, of_false = zip(*judged, strict=True)
        return share * (gan_loss(of_true, True) + gan_loss(of_false, False))

    def _smooth(self, ours: DecodedFace, target: Tensor, shade: Tensor, outside: float) -> Tensor:
        """That a face has no grain, and its surroundings are true."""
        rough = style.total_variation(ours.face, self.loss_config.compat)
        return 1e-6 * rough + outside * reconstruction.mse(ours.face, target, 1 - shade)

    def _shade(self, mask: Tensor) -> Tensor:
        sigma, shade = max(1, self.resolution // 32), self.loss_config.shade
        if shade == "none":
            return torch.ones_like(mask)
        return (
            reconstruction.feather(mask, sigma)
            if shade == "ramp"
            else reconstruction.gaussian_blur(mask, sigma)
        )

    def _target(self, true: Samples) -> Tensor:
        return (
            reconstruction.blur_background(true.target, true.mask, self.resolution / 128)
            if self.loss_config.blur_out
            else true.target
        )
