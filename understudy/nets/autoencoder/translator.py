"""A translator: what a face does comes from one picture, whose face it is from others."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn.functional import instance_norm, relu

from understudy.nets import ranks
from understudy.nets.autoencoder.swappers import DecodedFace, Reconstruction, Swapper

# Numbers of a class code, and the share of src's mean code that is left after a batch.
CLASS_CODE, MEAN_DECAY = 64, 0.99


class InstanceNorm(nn.Module):
    """Bring each channel of each face to mean 0 and deviation 1. After Ulyanov et al. (2016)."""

    def forward(self, maps: Tensor) -> Tensor:
        # In fp32: the variance loses too much in bf16.
        return instance_norm(maps.float()).to(maps.dtype)


class NormedConv(nn.Sequential):
    """A convolution, then `InstanceNorm`, then ReLU."""

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int = 1) -> None:
        # Without a bias, which the norm takes away again.
        look = nn.Conv2d(in_channels, channels, kernel, stride, (kernel - 1) // 2, bias=False)
        super().__init__(look, InstanceNorm(), nn.ReLU(inplace=True))


class NormedResBlock(nn.Module):
    """A residual block of two convolutions 3x3, each followed by `InstanceNorm`.

    The two gains and biases of a channel, (N, 4 C), may be given by somebody else: AdaIN, after
    Huang and Belongie (2017).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = (
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False) for _ in range(2)
        )
        self.norm = InstanceNorm()

    def forward(self, maps: Tensor, style: Tensor | None = None) -> Tensor:
        inner = relu(_styled(self.norm(self.first(maps)), style, 0))
        return maps + _styled(self.norm(self.second(inner)), style, 2)


class NormedUp(nn.Sequential):
    """Twice the size: convolution 3x3, pixel shuffle, `InstanceNorm`, ReLU."""

    def __init__(self, in_channels: int, channels: int) -> None:
        look = nn.Conv2d(in_channels, 4 * channels, 3, 1, 1)
        super().__init__(look, nn.PixelShuffle(2), InstanceNorm(), nn.ReLU(inplace=True))

    @torch.no_grad()
    def start_even(self) -> None:
        """Give the four pixels of a square the weights of the first: no chequers at the start.

        ICNR after Aitken et al. (2017). In place.
        """
        weight = self.get_parameter("0.weight")
        weight.copy_(weight[::4].repeat_interleave(4, 0))


class SpatialMean(nn.Module):
    """Maps (N, C, H, W) to their means over all places, (N, C)."""

    # PyTorch's own pooling ends in a graph that opset 12 of ONNX cannot say.
    def forward(self, maps: Tensor) -> Tensor:
        return maps.mean((2, 3))


class ContentEncoder(nn.Sequential):
    """Faces (N, 3, R, R) in -1..1 to what they do, (N, 4 `dims`, R / 4, R / 4).

    The norm takes the colours and contrasts away that belong to a person or a light.
    """

    def __init__(self, dims: int) -> None:
        super().__init__(
            NormedConv(3, dims, 7),
            NormedConv(dims, 2 * dims, 4, 2),
            NormedConv(2 * dims, 4 * dims, 4, 2),
            *(NormedResBlock(4 * dims) for _ in range(2)),
        )


class ClassEncoder(nn.Sequential):
    """Faces (N, 3, R, R) in -1..1 to class codes (N, `CLASS_CODE`): whose they are, in what light.

    Its last step is a mean over all places, so a code knows nothing of where things are.
    """

    def __init__(self, dims: int) -> None:
        widths = (dims, 2 * dims, 4 * dims, 4 * dims, 4 * dims)
        layers: list[nn.Module] = [nn.Conv2d(3, dims, 7, 1, 3), nn.ReLU(inplace=True)]
        for before, after in itertools.pairwise(widths):
            layers += [nn.Conv2d(before, after, 4, 2, 1), nn.ReLU(inplace=True)]
        super().__init__(*layers, SpatialMean(), nn.Linear(widths[-1], CLASS_CODE))


class StyledDecoder(nn.Module):
    """Content (N, 4 `dims`, S, S) and class codes (N or 1, `CLASS_CODE`) to a face and its mask.

    Without `has_mask` everything counts as face.
    """

    def __init__(self, dims: int, has_mask: bool) -> None:
        super().__init__()
        width = 4 * dims
        self.residuals = nn.ModuleList(NormedResBlock(width) for _ in range(2))
        self.style = nn.Sequential(
            nn.Linear(CLASS_CODE, width),
            nn.ReLU(inplace=True),
            nn.Linear(width, len(self.residuals) * 4 * width),
        )
        self.ups = nn.Sequential(NormedUp(width, 2 * dims), NormedUp(2 * dims, dims))
        self.face = nn.Conv2d(dims, 3, 7, 1, 3)
        self.mask = nn.Conv2d(dims, 1, 7, 1, 3) if has_mask else None

    def forward(self, content: Tensor, codes: Tensor) -> DecodedFace:
        maps, styles = content, self.style(codes)
        count = styles.shape[1] // len(self.residuals)
        for place, residual in enumerate(self.residuals):
            # Slices, as below: opset 12 of ONNX has no word for `chunk`.
            maps = residual(maps, styles[:, place * count : (place + 1) * count])
        maps = self.ups(maps)
        # In fp32: bf16 knows but 128 steps between a half and one.
        face = (self.face(maps).float().tanh() + 1) / 2
        # The clamp makes ones: no face is brighter. `ones_like` would fix the batch's size where
        # this becomes a graph.
        mask = (
            face[:, :1].detach().clamp(min=1)
            if self.mask is None
            else self.mask(maps).float().sigmoid()
        )
        return DecodedFace(face, mask)


class Translator(Swapper):
    """Content of one picture, class code of another: FUNIT after Liu et al. (2019), two classes.

    A swap takes the mean of src's class codes, a running mean over the batches that were learnt;
    it is saved with the weights. Everybody else is decoded from the code of the picture itself.
    dims: channels of the first step of each part.
    """

    src_code: Tensor
    batches: Tensor

    def __init__(self, dims: int, has_mask: bool) -> None:
        super().__init__()
        self.content, self.whose = ContentEncoder(dims), ClassEncoder(dims)
        self.decoder = StyledDecoder(dims, has_mask)
        self.register_buffer("src_code", torch.zeros(1, CLASS_CODE))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def forward(self, src: Tensor, dst: Tensor) -> Reconstruction:
        faces = _to_signed(torch.cat([src, dst]))
        src_maps, dst_maps = self.content(faces).chunk(2)
        src_code, dst_code = self.whose(faces).chunk(2)
        self._learn_src_code(src_code)
        # One pass for all four: both people as themselves, and each with the other's looks.
        made = self.decoder(
            torch.cat([src_maps, dst_maps, dst_maps, src_maps]),
            torch.cat([src_code, dst_code, src_code, dst_code]),
        )
        own, rebuilt, swapped, swapped_src = (
            DecodedFace(*each) for each in zip(made.face.chunk(4), made.mask.chunk(4), strict=True)
        )
        return Reconstruction(
            own, rebuilt, src_code, dst_code, src_maps, dst_maps, swapped, swapped_src
        )

    def swap(self, dst: Tensor) -> tuple[DecodedFace, DecodedFace]:
        faces = _to_signed(dst)
        content = self.content(faces)
        return self.decode_src(content), self.decoder(content, self.whose(faces))

    def decode_src(self, maps: Tensor) -> DecodedFace:
        made: DecodedFace = self.decoder(maps, self.src_code)
        return made

    @torch.no_grad()
    def _learn_src_code(self, codes: Tensor) -> None:
        """Take the mean of a batch in; at first, while codes change fast, it counts for more."""
        mean = ranks.all_reduce_mean_(codes.detach().to(self.src_code.dtype).mean(0, True))
        left = (self.batches / (self.batches + 9)).clamp(max=MEAN_DECAY).to(mean.dtype)
        self.src_code.copy_(mean + left * (self.src_code - mean))
        self.batches += 1


def _styled(maps: Tensor, style: Tensor | None, first: int) -> Tensor:
    """Maps with a gain about 1 and a bias for each channel, from these blocks of C in a style."""
    if style is None:
        return maps
    count = maps.shape[1]
    gain, bias = (
        style[:, place * count : (place + 1) * count, None, None].to(maps.dtype)
        for place in (first, first + 1)
    )
    return torch.addcmul(bias, maps, 1 + gain)


def _to_signed(faces: Tensor) -> Tensor:
    return faces * 2 - 1
