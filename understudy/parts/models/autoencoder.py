"""The models that learn to rebuild two people through one code: presets over shared nets."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import Parameter

from understudy.core.augment import Motion
from understudy.errors import BadOption
from understudy.nets import bridge, losses
from understudy.nets.blocks import Init, initialise
from understudy.nets.decoders import PersonalDecoder, TwoBranches
from understudy.nets.encoders import Encoder, Inter
from understudy.nets.swappers import Painted, Swapper, TwoDecoders, TwoInters, TwoPersonas
from understudy.options import option
from understudy.parts.models import Batch, Model, ModelOptions, Samples, models
from understudy.types import FaceType, Floats, Prediction

# Faces that `predict` takes through the network at a time.
CHUNK = 16

MaskLoss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Lesson:
    """What counts, as weights. dssim, l1, mse: within the mask. around: l1 of the whole picture. mask: of `mask_loss`.

    codes: that both people's codes lie among each other, so that src's decoder knows what to make of dst's. mouth: that the
    swapped face holds its mouth as dst does: what src never shows would else be damped, or torn.
    """

    dssim: float = 10
    l1: float = 0
    mse: float = 0
    around: float = 0
    mask: float = 1
    codes: float = 0
    mouth: float = 0
    mask_loss: MaskLoss = losses.mse


class Autoencoder(Model):
    """A `Swapper` that learns each face from its warped picture.

    One joint step for both people: the former tools gave DF and LIAE two optimizers, each of which moved the shared weights.
    """

    def __init__(self, net: Swapper, resolution: int, face_type: FaceType, lesson: Lesson, init: Init) -> None:
        super().__init__()
        self.net, self.resolution, self.face_type = net, resolution, face_type
        self.lesson, self.init = lesson, init

    def initialise(self, generator: torch.Generator) -> None:
        initialise(self.net, self.init, generator)

    def groups(self) -> dict[str, dict[str, Parameter]]:
        return {"generator": dict(self.named_parameters())}

    def losses(self, batch: Batch, group: str) -> dict[str, Tensor]:
        rebuilt = self.net(batch.src.input, batch.dst.input)
        told = {
            "src": self._face_loss(rebuilt.src, batch.src),
            "dst": self._face_loss(rebuilt.dst, batch.dst),
            "mask": self._mask_loss(rebuilt.src, batch.src) + self._mask_loss(rebuilt.dst, batch.dst),
        }
        if self.lesson.codes:
            told["codes"] = self.lesson.codes * losses.energy_distance(rebuilt.src_code, rebuilt.dst_code)
        if self.lesson.mouth and rebuilt.swapped is not None:
            told["mouth"] = self.lesson.mouth * self._mouth_loss(rebuilt.swapped, batch.dst)
        return told

    def passes(self, src: Tensor, dst: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        own = self.net(src, dst).src
        swapped, rebuilt = self.net.swap(dst)
        return {"ss": own, "dd": rebuilt, "sd": swapped}

    @torch.inference_mode()
    def predict(self, images: Floats) -> Prediction:
        if not len(images):
            return Prediction(images, images[..., 0], images[..., 0])
        device = next(self.parameters()).device
        found = [self.net.swap(bridge.tensor(images[at : at + CHUNK], device)) for at in range(0, len(images), CHUNK)]
        return Prediction(
            image=bridge.pictures(torch.cat([swapped.face for swapped, _ in found])),
            mask=bridge.pictures(torch.cat([swapped.mask for swapped, _ in found])),
            dst_mask=bridge.pictures(torch.cat([rebuilt.mask for _, rebuilt in found])),
        )

    def _face_loss(self, ours: Painted, true: Samples) -> Tensor:
        lesson, total = self.lesson, torch.zeros((), device=true.target.device)
        if lesson.dssim:
            total = total + lesson.dssim * losses.dssim(ours.face, true.target, true.mask)
        if lesson.l1:
            total = total + lesson.l1 * losses.l1(ours.face, true.target, true.mask)
        if lesson.mse:
            soft = losses.blurred(true.mask, max(1, self.resolution // 64))
            total = total + lesson.mse * losses.mse(ours.face, true.target, soft)
        if lesson.around:
            total = total + lesson.around * losses.l1(ours.face, true.target)
        return total

    def _mouth_loss(self, swapped: Painted, dst: Samples) -> Tensor:
        """How far the swapped mouth is from dst's, in the colours of the swapped face."""
        goal = losses.in_colors_of(dst.target, swapped.face, dst.mask)
        return 10 * (losses.dssim(swapped.face, goal, dst.mouth) + losses.l1(swapped.face, goal, dst.mouth))

    def _mask_loss(self, ours: Painted, true: Samples) -> Tensor:
        return self.lesson.mask * self.lesson.mask_loss(ours.mask, true.mask)


@models.register("tiny")
class Tiny(ModelOptions):
    """One decoder for both people that keeps dst's acting, small enough for a CPU: ten minutes on two cores. 3.1 M parameters."""

    # At twice this a run broke down after 943 iterations.
    lr = 5e-4
    clip = 5
    batch = 8
    # Less than half of the usual: in minutes there is no time to learn what a clip's steady faces never show.
    motion = Motion(math.radians(4), 0.02, 0.03)

    resolution: int = option(96, "Side of the faces, a multiple of 16", low=64, high=160, unit="px")

    def build(self) -> Model:
        side = _multiple(self.resolution, 16)
        encoder = Encoder(side, (64, 128, 192), fold=2)
        inter = Inter(encoder, code=64, spread=96, out=128, normalised=True)
        decoder = PersonalDecoder(2, 128, 2 * encoder.size, (96, 64), fold=2)
        # A narrow code, and both people's codes held together: what is left to say is what both faces do.
        # Signed inputs, kaiming and the norm on the code go together: with the usual start it stays at the mean face.
        net = TwoPersonas(encoder, inter, decoder)
        return Autoencoder(net, side, "full", Lesson(dssim=10, l1=10, around=1, codes=0.3, mouth=1), "kaiming")


class Classic(ModelOptions):
    """What the four classic models share."""

    pixel_loss: bool = option(False, "Learn squared differences of pixels in place of structural similarity")

    def lesson(self, mask_loss: MaskLoss) -> Lesson:
        """What counts for them."""
        return Lesson(dssim=0, mse=50, mask_loss=mask_loss) if self.pixel_loss else Lesson(mask_loss=mask_loss)


@models.register("h64")
class H64(Classic):
    """Half faces of 64 pixels. 112.8 M parameters, light 44.5 M."""

    batch = 8

    light: bool = option(False, "The variant for little memory")

    def build(self) -> Model:
        encoder = Encoder(64, (128, 256, 512, 768 if self.light else 1024))
        face, mask = ((256, 128, 64), (256, 128, 64)) if self.light else ((512, 256, 128), (256, 128, 64))
        inter = Inter(encoder, 512, 512, 256) if self.light else Inter(encoder, 1024, 1024, 512)
        net = _two_decoders(encoder, inter, face, mask)
        return Autoencoder(net, 64, "half", self.lesson(losses.l1), "glorot")


@models.register("h128")
class H128(Classic):
    """Half faces of 128 pixels. 138.4 M parameters, light 55.9 M."""

    light: bool = option(False, "The variant for little memory")

    def build(self) -> Model:
        net = _net_128(256 if self.light else 512)
        return Autoencoder(net, 128, "half", self.lesson(losses.l1), "glorot")


@models.register("df")
class Df(Classic):
    """Full faces of 128 pixels, a decoder for each person: keeps src's looks best. 138.4 M parameters."""

    def build(self) -> Model:
        return Autoencoder(_net_128(512), 128, "full", self.lesson(losses.mse), "glorot")


@models.register("liaef128")
class Liaef128(Classic):
    """Full faces of 128 pixels, one decoder for both: follows dst's shape and light more than DF does. 136.1 M parameters."""

    def build(self) -> Model:
        encoder = Encoder(128, (128, 256, 512, 1024))
        ab, b = (Inter(encoder, 256, 512, 512) for _ in range(2))
        net = TwoInters(encoder, ab, b, TwoBranches(1024, (512, 256, 128), (512, 256, 128)))
        return Autoencoder(net, 128, "full", self.lesson(losses.mse), "glorot")


def _net_128(width: int) -> Swapper:
    """The network of H128 and DF; `width` 256 makes it light."""
    encoder = Encoder(128, (128, 256, 512, 1024))
    widths = (width, width // 2, width // 4)
    return _two_decoders(encoder, Inter(encoder, width, width, width), widths, widths)


def _two_decoders(encoder: Encoder, inter: Inter, face: tuple[int, ...], mask: tuple[int, ...]) -> Swapper:
    src, dst = (TwoBranches(inter.channels, face, mask) for _ in range(2))
    return TwoDecoders(encoder, inter, src, dst)


def _multiple(side: int, step: int) -> int:
    if side % step:
        raise BadOption(
            f"resolution: {side} is not a multiple of {step}. Take {side // step * step} or {(side // step + 1) * step}."
        )
    return side
