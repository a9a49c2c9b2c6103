"""MTCNN: three small networks that propose, refine and finish face boxes, Zhang et al. (2016)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PNet(nn.Module):
    """Pictures (N, 3, H, W) in -1..1 to a score and a box for windows of 12 pixels, 2 apart.

    score (N, h, w) 0..1; box (N, 4, h, w) x0 y0 x1 y1, as shifts of the window's edges in window
    sides.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 10, 3), nn.PReLU(10)
        self.conv2, self.prelu2 = nn.Conv2d(10, 16, 3), nn.PReLU(16)
        self.conv3, self.prelu3 = nn.Conv2d(16, 32, 3), nn.PReLU(32)
        self.conv4_1, self.conv4_2 = nn.Conv2d(32, 2, 1), nn.Conv2d(32, 4, 1)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        planes = _max_pool(self.prelu1(self.conv1(pictures)), 2)
        planes = self.prelu3(self.conv3(self.prelu2(self.conv2(planes))))
        return torch.softmax(self.conv4_1(planes), 1)[:, 1], self.conv4_2(planes)


class RNet(nn.Module):
    """Crops (N, 3, 24, 24) in -1..1 to score (N,) 0..1 and box (N, 4): shifts in crop sides."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 28, 3), nn.PReLU(28)
        self.conv2, self.prelu2 = nn.Conv2d(28, 48, 3), nn.PReLU(48)
        self.conv3, self.prelu3 = nn.Conv2d(48, 64, 2), nn.PReLU(64)
        self.dense4, self.prelu4 = nn.Linear(576, 128), nn.PReLU(128)
        self.dense5_1, self.dense5_2 = nn.Linear(128, 2), nn.Linear(128, 4)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        planes = _max_pool(self.prelu1(self.conv1(crops)), 3)
        planes = nn.functional.max_pool2d(self.prelu2(self.conv2(planes)), 3, 2)
        code = self.prelu4(self.dense4(_flatten(self.prelu3(self.conv3(planes)))))
        return torch.softmax(self.dense5_1(code), 1)[:, 1], self.dense5_2(code)


class ONet(nn.Module):
    """Crops (N, 3, 48, 48) in -1..1 to score and box as `RNet`, and points (N, 5, 2) in crop sides.

    The points are xy of the eyes, the nose and the corners of the mouth, left on screen first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 32, 3), nn.PReLU(32)
        self.conv2, self.prelu2 = nn.Conv2d(32, 64, 3), nn.PReLU(64)
        self.conv3, self.prelu3 = nn.Conv2d(64, 64, 3), nn.PReLU(64)
        self.conv4, self.prelu4 = nn.Conv2d(64, 128, 2), nn.PReLU(128)
        self.dense5, self.prelu5 = nn.Linear(1152, 256), nn.PReLU(256)
        self.dense6_1, self.dense6_2 = nn.Linear(256, 2), nn.Linear(256, 4)
        self.dense6_3 = nn.Linear(256, 10)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        planes = _max_pool(self.prelu1(self.conv1(crops)), 3)
        planes = nn.functional.max_pool2d(self.prelu2(self.conv2(planes)), 3, 2)
        planes = _max_pool(self.prelu3(self.conv3(planes)), 2)
        code = self.prelu5(self.dense5(_flatten(self.prelu4(self.conv4(planes)))))
        points = self.dense6_3(code).reshape(-1, 2, 5).transpose(1, 2)
        return torch.softmax(self.dense6_1(code), 1)[:, 1], self.dense6_2(code), points


class MTCNN(nn.Module):
    """The three networks, their layers named as in the published weights."""

    def __init__(self) -> None:
        super().__init__()
        self.pnet, self.rnet, self.onet = PNet(), RNet(), ONet()


def _flatten(planes: Tensor) -> Tensor:
    """(N, C, H, W) as (N, W * H * C): the order that the published weights mean."""
    return planes.permute(0, 3, 2, 1).flatten(1)


def _max_pool(planes: Tensor, size: int) -> Tensor:
    """Half the size, rounded up: the last window may hang over the edge."""
    return nn.functional.max_pool2d(planes, size, 2, ceil_mode=True)
