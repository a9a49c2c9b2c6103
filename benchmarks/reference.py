"""A plain training step, as the former tools do it, to measure ours against: nothing in it is
tuned, and nothing made slow.

Eager fp32; src and dst each take a pass of their own through the network; DSSIM by four
convolutions with a square window; an optimizer that walks the parameters and writes its formula
down; faces moved one by one, in float32, by a cubic warp at the size they are stored in and a cubic
turn to the model's, picture, target and mask each by themselves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import l1_loss, mse_loss

from understudy.nets.autoencoder.blocks import Up
from understudy.nets.autoencoder.swappers import DecodedFace, Swapper, TwoDecoders, TwoInters
from understudy.parts.models.base.autoencoder import SwapperModel
from understudy.stages.saved_models.recipe import ModelRecipe
from understudy.stages.train.options import TrainOptions
from understudy.stages.train.trainable import optimizer_kind

CPU = torch.device("cpu")
# Pixels of the stored faces.
STORED = 256
Side = tuple[Tensor, Tensor, Tensor]


class Reference:
    """A model of a recipe that learns, `pairs` of each side a step.

    faces: src's and dst's, (N, STORED, STORED, 4) uint8 each, RGB and mask; made-up ones without.
    whole: the model around the net.
    """

    def __init__(
        self,
        recipe: ModelRecipe,
        pairs: int,
        device: torch.device = CPU,
        faces: Sequence[np.ndarray] | None = None,
    ) -> None:
        model = recipe.build(CPU)
        model.initialise(torch.Generator().manual_seed(0))
        model.to(device)
        assert isinstance(model, SwapperModel) and isinstance(model.net, TwoDecoders | TwoInters), (
            f"{recipe.model}: no reference"
        )
        self.whole, self.net, self.side, self.model = (
            model,
            plain(model.net),
            model.resolution,
            recipe.model,
        )
        self.pairs, self.device, self.chance = pairs, device, np.random.default_rng(0)
        self.faces = faces or self.chance.integers(0, 256, (2, 16, STORED, STORED, 4), np.uint8)
        self.rule, self.lr = optimizer_kind(recipe, TrainOptions()), recipe.model_options.lr
        self.dropping = recipe.model_options.lr_dropout
        self.memory: dict[int, list[Tensor]] = {}
        self.steps = 0

    def step(self) -> None:
        """Draw a batch and learn from it."""
        src, dst = (self._side(faces) for faces in self.faces)
        ours = rebuilt(self.net, src[0], dst[0])
        total = torch.stack(
            [self._loss(painted, true) for painted, true in zip(ours, (src, dst), strict=True)]
        ).sum()
        total.backward()  # type: ignore[no-untyped-call]
        self.steps += 1
        with torch.no_grad():
            for place, weight in enumerate(self.net.parameters()):
                if weight.grad is not None:
                    weight.copy_(weight - self.lr * self._move(place, weight.grad))
        self.net.zero_grad()

    def _side(self, faces: np.ndarray) -> Side:
        rows = self.chance.choice(len(faces), self.pairs)
        drawn = zip(*(moved(self.chance, faces[row], self.side) for row in rows), strict=True)
        planes = (torch.from_numpy(np.stack(each)).permute(0, 3, 1, 2) for each in drawn)
        warped, target, mask = (each.contiguous().to(self.device) for each in planes)
        return warped, target, mask

    def _loss(self, ours: DecodedFace, true: Side) -> Tensor:
        _, target, mask = true
        if self.model.startswith("saehd"):
            seen = 2 * blurred(mask, max(1, self.side // 32)).clamp(0, 0.5)
        else:
            seen = blurred(mask, max(1, self.side // 32)) if self.model == "quick96" else mask
        face, goal = ours.face * seen, target * seen
        total = 10 * dssim(face, goal, int(self.side / 11.6))
        if self.model in ("saehd", "quick96"):
            return total + 10 * mse_loss(face, goal) + 10 * mse_loss(ours.mask, mask)
        return total + (l1_loss if self.model.startswith("h") else mse_loss)(ours.mask, mask)

    def _move(self, place: int, slope: Tensor) -> Tensor:
        first, second = self.memory.get(place) or [torch.zeros_like(slope), torch.zeros_like(slope)]
        if self.rule == "rmsprop":
            second = 0.9 * second + 0.1 * slope**2
            move = slope / (torch.sqrt(second) + 1e-6)
        elif self.rule == "adabelief":
            first = 0.9 * first + 0.1 * slope
            second = 0.999 * second + 0.001 * (slope - first) ** 2
            move = first / (torch.sqrt(second) + 1e-6)
        else:
            first, second = 0.5 * first + 0.5 * slope, 0.999 * second + 0.001 * slope**2
            rate = math.sqrt(1 - 0.999**self.steps) / (1 - 0.5**self.steps)
            move = rate * first / (torch.sqrt(second) + 1e-8)
        self.memory[place] = [first, second]
        return move * (torch.rand_like(move) < 0.3) if self.dropping else move


def plain(net: Swapper) -> Swapper:
    """The network without what ours do to hold less: curves in place, and behind the shuffle of
    pixels. In place.
    """
    for layer in net.modules():
        if isinstance(layer, nn.LeakyReLU):
            layer.inplace = False
        if isinstance(layer, Up):
            layer[1], layer[2] = layer[2], layer[1]
    return net


def rebuilt(net: Swapper, src: Tensor, dst: Tensor) -> tuple[DecodedFace, DecodedFace]:
    """Both people as themselves, one after the other."""
    if isinstance(net, TwoDecoders):
        return DecodedFace(*net.src(net.inter(net.encoder(src)))), DecodedFace(
            *net.dst(net.inter(net.encoder(dst)))
        )
    assert isinstance(net, TwoInters)
    shared = net.ab(net.encoder(src))
    of_src = DecodedFace(*net.decoder(torch.cat([shared, shared], 1)))
    features = net.encoder(dst)
    return of_src, DecodedFace(*net.decoder(torch.cat([net.b(features), net.ab(features)], 1)))


def dssim(ours: Tensor, theirs: Tensor, window: int) -> Tensor:
    """Structural dissimilarity by four convolutions."""
    bell = square(window, 1.5, ours.device).expand(3, 1, window, window)

    def look(picture: Tensor) -> Tensor:
        return functional.conv2d(picture, bell, groups=3)

    one, other = look(ours), look(theirs)
    products, powers = one * other, one**2 + other**2
    light = (2 * products + 1e-4) / (powers + 1e-4)
    structure = (2 * (look(ours * theirs) - products) + 9e-4) / (
        look(ours**2 + theirs**2) - powers + 9e-4
    )
    return ((1 - light * structure) / 2).mean()


def blurred(mask: Tensor, sigma: float) -> Tensor:
    """A mask under a Gaussian, by one convolution with a square window."""
    width = 2 * max(1, round(3 * sigma)) + 1
    return functional.conv2d(
        functional.pad(mask, [width // 2] * 4, "replicate"), square(width, sigma, mask.device)
    )


def square(width: int, sigma: float, device: torch.device) -> Tensor:
    """A Gaussian (1, 1, width, width) whose sum is 1."""
    places = torch.arange(width, dtype=torch.float32, device=device) - (width - 1) / 2
    row = torch.exp(-0.5 * (places / sigma) ** 2)
    bell = row[:, None] * row
    return (bell / bell.sum())[None, None]


def moved(
    chance: np.random.Generator, stored: np.ndarray, side: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Warped picture, target and mask (side, side, C) float32 in 0..1 of one face."""
    face, mask = stored[..., :3].astype(np.float32) / 255, stored[..., 3:].astype(np.float32) / 255
    size = len(stored)
    cell = size // int(chance.choice((2, 4, 8)))
    steps = np.arange(0, size + cell, cell, dtype=np.float32)
    across, down = np.meshgrid(steps, steps)
    for nodes in (across, down):
        inner = nodes[1:-1, 1:-1]
        inner += (chance.standard_normal(inner.shape).clip(-2.5, 2.5) / 2.5 * 0.24 * cell).astype(
            np.float32
        )
    half = cell // 2
    maps = [
        cv2.resize(each, (size + cell, size + cell))[half : half + size, half : half + size]
        for each in (across, down)
    ]
    angle, scale = chance.uniform(-10, 10), 1 + chance.uniform(-0.05, 0.05)
    turn = cv2.getRotationMatrix2D((size / 2, size / 2), angle, scale)
    turn[:, 2] += chance.uniform(-0.05, 0.05, 2) * size
    bent = cv2.remap(face, maps[0], maps[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    warped, target, matte = (
        cv2.warpAffine(each, turn, (size, size), flags=cv2.INTER_CUBIC, borderMode=border)
        for each, border in (
            (bent, cv2.BORDER_REPLICATE),
            (face, cv2.BORDER_REPLICATE),
            (mask, cv2.BORDER_CONSTANT),
        )
    )
    shrunk = [
        cv2.resize(each, (side, side), interpolation=cv2.INTER_CUBIC).clip(0, 1)
        for each in (warped, target, matte)
    ]
    return shrunk[0], shrunk[1], shrunk[2][..., None]
