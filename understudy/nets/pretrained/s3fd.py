"""S3FD: a VGG16 that finds faces on six scales, after Zhang, Zhu, Lei, Shi, Wang and Li (2017)."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu


class L2Norm(nn.Module):
    """Each place's C numbers of (N, C, H, W) scaled to length 1, then weighted by channel."""

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), scale))

    def forward(self, planes: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(planes, dim=1, keepdim=True)
        normed: Tensor = planes / (length + 1e-10) * self.weight.view(1, -1, 1, 1)
        return normed


class S3FD(nn.Module):
    """Pictures (N, 3, H, W), BGR less `MEAN`, to a score and a box per place for each of `STRIDES`.

    score (N, h, w) 0..1, box (N, 4, h, w). The box at column i, row j shifts and scales the anchor
    around pixel edge (i + 0.5) * stride with the side 4 * stride. Layers are named as in the
    published weights. A new one is untrained, which serves for timing.
    """

    def __init__(self) -> None:
        super().__init__()
        for stage, (in_channels, out_channels, convolutions) in enumerate(_VGG, start=1):
            for number in range(1, convolutions + 1):
                self.add_module(
                    f"conv{stage}_{number}",
                    nn.Conv2d(
                        in_channels if number == 1 else out_channels, out_channels, 3, padding=1
                    ),
                )
        self.fc6, self.fc7 = nn.Conv2d(512, 1024, 3, padding=3), nn.Conv2d(1024, 1024, 1)
        self.conv6_1, self.conv6_2 = nn.Conv2d(1024, 256, 1), nn.Conv2d(256, 512, 3, 2, 1)
        self.conv7_1, self.conv7_2 = nn.Conv2d(512, 128, 1), nn.Conv2d(128, 256, 3, 2, 1)
        for name, channels, scale in _HEADS:
            if scale:
                self.add_module(name, L2Norm(channels, scale))
            # The finest scale tells three kinds of background apart, against false alarms.
            self.add_module(
                f"{name}_mbox_conf",
                nn.Conv2d(channels, 4 if name == _HEADS[0][0] else 2, 3, padding=1),
            )
            self.add_module(f"{name}_mbox_loc", nn.Conv2d(channels, 4, 3, padding=1))

    def forward(self, pictures: Tensor) -> list[tuple[Tensor, Tensor]]:
        return [
            self._predict(name, planes)
            for (name, _, _), planes in zip(_HEADS, self._scale_maps(pictures), strict=True)
        ]

    def _scale_maps(self, planes: Tensor) -> list[Tensor]:
        """The planes that the six heads see, finest first."""
        scales = []
        for stage, (_, _, convolutions) in enumerate(_VGG, start=1):
            for number in range(1, convolutions + 1):
                planes = relu(self.get_submodule(f"conv{stage}_{number}")(planes), inplace=True)
            if stage >= 3:
                scales.append(self.get_submodule(f"conv{stage}_3_norm")(planes))
            planes = max_pool2d(planes, 2)
        for first, second in (
            (self.fc6, self.fc7),
            (self.conv6_1, self.conv6_2),
            (self.conv7_1, self.conv7_2),
        ):
            planes = relu(second(relu(first(planes), inplace=True)), inplace=True)
            scales.append(planes)
        return scales

    def _predict(self, name: str, planes: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.get_submodule(f"{name}_mbox_conf")(planes)
        background = logits[:, :-1].amax(1)
        return torch.sigmoid(logits[:, -1] - background), self.get_submodule(f"{name}_mbox_loc")(
            planes
        )


STRIDES: Final = (4, 8, 16, 32, 64, 128)
MEAN: Final = (104.0, 117.0, 123.0)

# Channels in, channels out, convolutions of each stage.
_VGG: Final = ((3, 64, 2), (64, 128, 2), (128, 256, 3), (256, 512, 3), (512, 512, 3))
# Where the heads look: the layer, its channels, and the scale that its normed planes start with (0
# = not normed).
_HEADS: Final = (
    ("conv3_3_norm", 256, 10.0),
    ("conv4_3_norm", 512, 8.0),
    ("conv5_3_norm", 512, 5.0),
    ("fc7", 1024, 0.0),
    ("conv6_2", 512, 0.0),
    ("conv7_2", 256, 0.0),
)
