"""FAN: stacked hourglasses that give a heat map for each landmark, after Bulat et al. (2017)."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, batch_norm, interpolate, relu

INPUT_SIZE: Final = 256
HEATMAP_SIZE: Final = 64
_POINTS, _WIDTH, _STACK, _LEVELS = 68, 256, 4, 4
# Cells around the warmest one that say where in between the point lies; the maps were trained on
# spots of about one cell.
_REACH: Final = 3


class FAN(nn.Module):
    """Pictures (N, 3, 256, 256) RGB in 0..1 to heat maps (N, 68, 64, 64): about 1 at the landmark.

    2D and 3D have the same layers, named as in the published weights. A new one is untrained, which
    serves for timing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3), _Norm(64)
        self.conv2, self.conv3, self.conv4 = _Block(64, 128), _Block(128, 128), _Block(128, _WIDTH)
        for number in range(_STACK):
            self.add_module(f"m{number}", _Hourglass())
            self.add_module(f"top_m_{number}", _Block(_WIDTH, _WIDTH))
            self.add_module(f"conv_last{number}", nn.Conv2d(_WIDTH, _WIDTH, 1))
            self.add_module(f"bn_end{number}", _Norm(_WIDTH))
            self.add_module(f"l{number}", nn.Conv2d(_WIDTH, _POINTS, 1))
            if number < _STACK - 1:
                self.add_module(f"bl{number}", nn.Conv2d(_WIDTH, _WIDTH, 1))
                self.add_module(f"al{number}", nn.Conv2d(_POINTS, _WIDTH, 1))

    def forward(self, pictures: Tensor) -> Tensor:
        planes = avg_pool2d(self.conv2(relu(self.bn1(self.conv1(pictures)))), 2)
        planes = self.conv4(self.conv3(planes))
        for number in range(_STACK):
            seen = self._layer("top_m_", number, self._layer("m", number, planes))
            seen = relu(self._layer("bn_end", number, self._layer("conv_last", number, seen)))
            heat = self._layer("l", number, seen)
            if number < _STACK - 1:
                # The next hourglass sees the picture, what this one thought, and what it concluded.
                planes = planes + self._layer("bl", number, seen) + self._layer("al", number, heat)
        return heat

    def _layer(self, name: str, number: int, planes: Tensor) -> Tensor:
        found: Tensor = self.get_submodule(f"{name}{number}")(planes)
        return found


def heatmap_peaks(heat: Tensor) -> tuple[Tensor, Tensor]:
    """Return where heat maps are warmest, and how warm.

    Args:
        heat: (N, K, H, W).

    Returns:
        (N, K, 2) xy in cells, whose centres lie at whole numbers: the centre of gravity around the
        warmest cell. And (N, K) the heat there.
    """
    height, width = heat.shape[2:]
    most, place = heat.flatten(2).max(2)
    columns, rows = (
        torch.arange(width, device=heat.device),
        torch.arange(height, device=heat.device),
    )
    column, row = place % width, place // width
    across = (columns - column[..., None]).abs() <= _REACH
    down = (rows - row[..., None]).abs() <= _REACH
    near = heat.clamp(min=0) * down[..., :, None] * across[..., None, :]
    weight = near.sum((2, 3)).clamp(min=1e-9)
    mean = torch.stack(
        [(near.sum(2) * columns).sum(2) / weight, (near.sum(3) * rows).sum(2) / weight], -1
    )
    return (
        torch.where((most > 0)[..., None], mean, torch.stack([column, row], -1).to(mean.dtype)),
        most,
    )


class _Norm(nn.Module):
    """Batch normalisation with the statistics that it was trained with."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = (
            nn.Parameter(torch.ones(channels)),
            nn.Parameter(torch.zeros(channels)),
        )
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, planes: Tensor) -> Tensor:
        return batch_norm(
            planes,
            self.get_buffer("running_mean"),
            self.get_buffer("running_var"),
            self.weight,
            self.bias,
        )


class _Block(nn.Module):
    """Three convolutions in a row; the results of all, side by side, are added to the input."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        half, quarter = out_channels // 2, out_channels // 4
        self.bn1, self.conv1 = (
            _Norm(in_channels),
            nn.Conv2d(in_channels, half, 3, padding=1, bias=False),
        )
        self.bn2, self.conv2 = _Norm(half), nn.Conv2d(half, quarter, 3, padding=1, bias=False)
        self.bn3, self.conv3 = _Norm(quarter), nn.Conv2d(quarter, quarter, 3, padding=1, bias=False)
        widened = [
            _Norm(in_channels),
            nn.ReLU(),
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
        ]
        self.downsample = nn.Sequential(*(widened if in_channels != out_channels else []))

    def forward(self, planes: Tensor) -> Tensor:
        first = self.conv1(relu(self.bn1(planes)))
        second = self.conv2(relu(self.bn2(first)))
        third = self.conv3(relu(self.bn3(second)))
        added: Tensor = torch.cat([first, second, third], 1) + self.downsample(planes)
        return added


class _Hourglass(nn.Module):
    """Planes (N, 256, S, S) seen at S, S/2, S/4, S/8 and S/16, and put together again."""

    def __init__(self) -> None:
        super().__init__()
        for level in range(1, _LEVELS + 1):
            for name in ("b1", "b2", "b3"):
                self.add_module(f"{name}_{level}", _Block(_WIDTH, _WIDTH))
        self.b2_plus_1 = _Block(_WIDTH, _WIDTH)

    def forward(self, planes: Tensor) -> Tensor:
        return self._forward_level(planes, _LEVELS)

    def _forward_level(self, planes: Tensor, level: int) -> Tensor:
        small = self.get_submodule(f"b2_{level}")(avg_pool2d(planes, 2))
        small = self._forward_level(small, level - 1) if level > 1 else self.b2_plus_1(small)
        large = interpolate(
            self.get_submodule(f"b3_{level}")(small), scale_factor=2.0, mode="nearest"
        )
        joined: Tensor = large + self.get_submodule(f"b1_{level}")(planes)
        return joined
