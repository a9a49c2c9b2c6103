"""A model that learns to carry faces over against a critic that knows both people."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn.functional import l1_loss

from understudy.nets.autoencoder.swappers import DecodedFace
from understudy.nets.autoencoder.translator import NormedUp, Translator
from understudy.nets.device import no_autocast
from understudy.nets.losses import reconstruction
from understudy.nets.losses.critics import (
    ClassCritic,
    frozen_logits,
    gradient_penalty,
    hinge_loss,
)
from understudy.parts.models.base.autoencoder import SwapperModel
from understudy.parts.models.base.model import Batch
from understudy.types import FaceType

# Weights of the loss terms: that the critic takes faces for true ones, and that it sees in them
# what it sees in true ones.
ADVERSARIAL, FEATURES = 0.5, 2.0
# The weight of the critic's slope at true faces.
PENALTY = 10.0


@dataclass(frozen=True)
class Judged:
    """What the critic gets: true faces and swapped ones, in -1..1, of the classes in `_of_class`.

    No gradient goes back.
    """

    batch: Batch
    true: Tensor
    swapped: Tensor


class TranslatorModel(SwapperModel):
    """A `Translator` and its critic, "critic", for each of whose two classes it is judged.

    The critic learns from what was painted in the pass before, so the generator's `losses` come
    first. pixel: weight of the difference of rebuilt faces, in -1..1, to what they were.
    """

    net: Translator

    def __init__(
        self,
        net: Translator,
        critic: ClassCritic,
        resolution: int,
        face_type: FaceType,
        pixel: float,
    ) -> None:
        super().__init__(net, resolution, face_type, "kaiming")
        self.critic, self.pixel = critic, pixel
        self._judged: Judged | None = None

    def initialise(self, generator: torch.Generator) -> None:
        super().initialise(generator)
        for layer in self.net.decoder.ups:
            assert isinstance(layer, NormedUp)
            layer.start_even()

    def parameter_groups(self) -> dict[str, dict[str, Parameter]]:
        named = dict(self.named_parameters())
        return {
            group: {name: weight for name, weight in named.items() if name.startswith(place)}
            for group, place in {"generator": "net.", "critic": "critic."}.items()
        }

    def losses(self, batch: Batch, group: str) -> dict[str, Tensor]:
        if group == "critic":
            assert self._judged is not None and self._judged.batch is batch, (
                "the critic learns after the generator, from the same batch"
            )
            told: dict[str, Tensor] = self._critic_losses(self._judged)
            return told
        rebuilt = self.net(batch.src.input, batch.dst.input)
        assert rebuilt.swapped is not None and rebuilt.swapped_src is not None
        true = _signed(batch.src.target, batch.dst.target)
        own = _signed(rebuilt.src.face, rebuilt.dst.face)
        swapped = _signed(rebuilt.swapped.face, rebuilt.swapped_src.face)
        logits, seen = frozen_logits(self.critic, torch.cat([own, swapped]))
        with torch.no_grad():
            goal = _pooled(frozen_logits(self.critic, true)[1])
        self._judged = Judged(batch, true.detach(), swapped.detach())
        judged = torch.stack([_of_class(each) for each in logits.float().chunk(2)])
        (own_src, own_dst), (true_src, true_dst) = own.chunk(2), true.chunk(2)
        losses = {
            "src": self.pixel * reconstruction.l1(own_src, true_src),
            "dst": self.pixel * reconstruction.l1(own_dst, true_dst),
            "features": FEATURES
            * torch.stack([l1_loss(each, goal) for each in _pooled(seen).chunk(2)]).mean(),
            "gan": -ADVERSARIAL * judged.mean((1, 2, 3)).sum(),
        }
        if self.net.decoder.mask is not None:
            losses["mask"] = _mask_loss(rebuilt.src, batch.src.mask) + _mask_loss(
                rebuilt.dst, batch.dst.mask
            )
        return losses

    # Compiled programs have no slope of a slope.
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _critic_losses(self, judged: Judged) -> dict[str, Tensor]:
        true = judged.true.requires_grad_()
        # In fp32: the penalty is a slope of slopes.
        with no_autocast(true.device):
            of_true = _of_class(self.critic(true)[0])
            penalty = PENALTY * gradient_penalty(of_true, true)
        of_swapped = _of_class(self.critic(judged.swapped)[0])
        return {
            "critic": hinge_loss(of_true, True) + hinge_loss(of_swapped, False),
            "penalty": penalty,
        }


def _signed(as_src: Tensor, as_dst: Tensor) -> Tensor:
    """Faces with src's looks and faces with dst's, in -1..1."""
    return 2 * torch.cat([as_src, as_dst]) - 1


def _of_class(logits: Tensor) -> Tensor:
    """Of logits (2 B, 2, r, r) those of each face's own class: B faces of src, then B of dst."""
    as_src, as_dst = logits.chunk(2)
    return torch.cat([as_src[:, 0], as_dst[:, 1]])


def _pooled(features: Tensor) -> Tensor:
    return features.float().mean((2, 3))


def _mask_loss(ours: DecodedFace, true: Tensor) -> Tensor:
    return reconstruction.mse(ours.mask, true)
