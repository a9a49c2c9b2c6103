"""Critics (discriminators): networks that tell true faces from made ones, and their losses."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from functools import cache

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import binary_cross_entropy_with_logits, relu

from understudy.errors import BadOption

SLOPE = 0.2
# Receptive fields of stacks in which every convolution halves the size: they cost least by far.
STRIDED_PATCHES = (7, 15, 31, 63)


class CodeCritic(nn.Sequential):
    """Maps (N, channels, size, size) of the inters to logits (N, 1, h, w): whose they are.

    early: at least two steps, and one more for every doubling above eight pixels. Else one for
    every eight pixels.
    """

    def __init__(self, channels: int, size: int, early: bool = False) -> None:
        steps = 2 + sum(size > above for above in (8, 16, 32)) if early else 1 + size // 8
        widths = [256 * min(2**step, 8) for step in range(steps)]
        layers: list[nn.Module] = []
        for step, (in_channels, out_channels) in enumerate(
            zip((channels, *widths), widths, strict=False)
        ):
            kernel, pad = (4, 1 if early else 2) if step == 0 else (3, 1)
            layers += [nn.Conv2d(in_channels, out_channels, kernel, 2, pad), nn.LeakyReLU(0.1)]
        super().__init__(*layers, nn.Conv2d(widths[-1], 1, 1))


class PatchCritic(nn.Module):
    """Faces (N, 3, R, R) to logits of patches (N, 1, r, r) and of every pixel (N, 1, R, R).

    patch: receptive field of the patches, in pixels. dims: channels of the first step. After the
    U-Net discriminator of Schönfeld et al. (2020).
    """

    def __init__(self, patch: int, dims: int) -> None:
        super().__init__()
        self.strides = strides_for(patch)
        widths = [min(dims * 2**step, 512) for step in range(len(self.strides) + 1)]
        last = len(self.strides) - 1
        self.first = nn.Conv2d(3, widths[0], 1)
        self.downs = nn.ModuleList(
            nn.Conv2d(in_channels, out_channels, 3, stride, 1)
            for (in_channels, out_channels), stride in zip(
                _channel_pairs(widths), self.strides, strict=True
            )
        )
        self.centre, self.turn = nn.Conv2d(widths[-1], 1, 1), nn.Conv2d(widths[-1], widths[-1], 1)
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(
                widths[step + 1] * (1 if step == last else 2),
                widths[step],
                3,
                stride,
                0 if stride == 2 else 1,
            )
            for step, stride in enumerate(self.strides)
        )
        self.whole = nn.Conv2d(2 * widths[0], 1, 1)
        self.activation = nn.LeakyReLU(SLOPE)

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        maps, passed = self.activation(self.first(faces)), []
        for down in self.downs:
            passed.append(maps)
            maps = self.activation(down(maps))
        centre = self.centre(maps)
        maps = self.activation(self.turn(maps))
        for up, stride, before in zip(
            reversed(self.ups), reversed(self.strides), reversed(passed), strict=True
        ):
            wide = up(maps)
            # Of stride 2 the full result has one row and one column more than twice the size.
            maps = torch.cat(
                [before, self.activation(wide[..., :-1, :-1] if stride == 2 else wide)], 1
            )
        return centre, self.whole(maps)


class ClassCritic(nn.Module):
    """Faces (N, 3, R, R) in -1..1 to logits (N, classes, r, r), a map for each class, and features.

    blocks: residual blocks, 8 or 10; each pair of them but the last halves the size. dims: channels
    of the first step. After the critic of FUNIT (Liu et al. 2019), conditional as in Mescheder et
    al. (2018).
    """

    def __init__(self, classes: int, dims: int, blocks: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, dims, 7, 1, 3)]
        for step in range(blocks // 2 - 1):
            before, after = (min(dims * 2**power, 8 * dims) for power in (step, step + 1))
            # Halved first: the wider block at full size would cost as much as all others.
            layers += [
                PreActivationBlock(before, before),
                nn.AvgPool2d(2),
                PreActivationBlock(before, after),
            ]
        width = min(dims * 2 ** (blocks // 2 - 1), 8 * dims)
        self.features = nn.Sequential(
            *layers, *(PreActivationBlock(width, width) for _ in range(2)), nn.LeakyReLU(SLOPE)
        )
        self.classes = nn.Conv2d(width, classes, 1)

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(faces)
        return self.classes(features), features


class PreActivationBlock(nn.Module):
    """A residual block whose convolutions 3x3 follow their activations. After He et al. (2016)."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(in_channels, in_channels, 3, 1, 1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(in_channels, channels, 3, 1, 1),
        )
        self.skip = (
            nn.Identity()
            if in_channels == channels
            else nn.Conv2d(in_channels, channels, 1, bias=False)
        )

    def forward(self, maps: Tensor) -> Tensor:
        made: Tensor = self.skip(maps) + self.inner(maps)
        return made


def resolve_patch(resolution: int, patch: int | None) -> int:
    """Return the patch size for faces of `resolution` pixels; None = about an eighth.

    Raises:
        BadOption: The critic could not halve that resolution as often as the patch needs.
    """
    fitting = [each for each in STRIDED_PATCHES if resolution % _downscale(each) == 0]
    if patch is None and fitting:
        return min(fitting, key=lambda each: abs(each - resolution / 8))
    patch = patch or 0
    if patch < 3 or resolution % _downscale(patch):
        raise BadOption(
            f"gan_patch_size: {patch} does not fit faces of {resolution} px: it must be 3 at least,"
            f" and the side a multiple of {_downscale(patch)}. Take"
            f" {' or '.join(map(str, fitting)) or '3'}."
        )
    return patch


@cache
def strides_for(patch: int) -> tuple[int, ...]:
    """Return the strides of the fewest 3x3 convolutions with a field nearest to `patch` pixels."""
    best: dict[int, tuple[int, ...]] = {}
    for depth in range(1, 10):
        for later in itertools.product((1, 2), repeat=depth - 1):
            strides = (2, *later)
            known = best.setdefault(_receptive_field(strides), strides)
            if len(known) == depth and sum(strides) > sum(known):
                best[_receptive_field(strides)] = strides
    return best[min(best, key=lambda field: (abs(field - patch), field))]


def frozen_logits(critic: nn.Module, inputs: Tensor) -> tuple[Tensor, ...]:
    """Return a critic's maps of logits; gradients reach `inputs` alone, not the critic."""
    still = {name: weight.detach() for name, weight in critic.named_parameters()}
    return as_tuple(functional_call(critic, still, (inputs,)))


def as_tuple(logits: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return a critic's one or several maps of logits as a tuple."""
    return (logits,) if isinstance(logits, Tensor) else logits


def gan_loss(logits: Iterable[Tensor], is_real: bool) -> Tensor:
    """Return the binary cross entropy of logits against real or made, summed over maps, in fp32."""
    goal = float(is_real)
    wide = [each.float() for each in logits]
    return torch.stack(
        [binary_cross_entropy_with_logits(each, torch.full_like(each, goal)) for each in wide]
    ).sum()


def hinge_loss(logits: Tensor, is_real: bool) -> Tensor:
    """Return how far logits are from beyond 1, or from below -1 for what is made; a mean in fp32.

    After Lim and Ye (2017).
    """
    wide = logits.float()
    return relu(1 - wide if is_real else 1 + wide).mean()


def gradient_penalty(logits: Tensor, faces: Tensor) -> Tensor:
    """Return the squared slope of each face's mean logit, summed over its pixels; their mean.

    logits: (N, r, r), computed from faces (N, C, R, R) that require a gradient. R1 after Mescheder
    et al. (2018), who take half of it.
    """
    total = logits.float().mean((1, 2)).sum()
    (slope,) = torch.autograd.grad(total, faces, create_graph=True)
    return slope.float().square().sum((1, 2, 3)).mean()


def _receptive_field(strides: tuple[int, ...]) -> int:
    """The receptive field of convolutions 3x3 with these strides, in pixels."""
    return 1 + 2 * sum(
        itertools.accumulate((1, *strides[:-1]), lambda product, stride: product * stride)
    )


def _downscale(patch: int) -> int:
    """By what the critic for this patch divides the side of a face."""
    return int(2 ** strides_for(patch).count(2))


def _channel_pairs(widths: list[int]) -> Iterable[tuple[int, int]]:
    return itertools.pairwise(widths)
