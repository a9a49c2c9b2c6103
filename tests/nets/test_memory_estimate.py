"""What a step takes, told without taking it."""

from __future__ import annotations

import torch
from torch import nn

from understudy.nets.memory_estimate import BYTES_PER_WEIGHT, estimate_step_bytes


def test_a_step_holds_its_weights_and_what_the_way_back_needs() -> None:
    with torch.device("meta"):
        net = nn.Sequential(
            nn.Linear(100, 200, bias=False), nn.Tanh(), nn.Linear(200, 10, bias=False)
        )
        faces = torch.empty(32, 100)
    weights = sum(weight.numel() for weight in net.parameters())
    # The way back needs the faces, what tanh made of them, and the weights, which are counted
    # already.
    assert estimate_step_bytes(
        [lambda: net(faces).sum()], net.parameters()
    ) == BYTES_PER_WEIGHT * weights + 4 * 32 * (100 + 200)


def test_what_does_not_learn_takes_its_own_place_only() -> None:
    with torch.device("meta"):
        net = nn.Linear(1000, 1000)

    def forward() -> torch.Tensor:
        return net(torch.empty(1, 1000, device="meta")).sum()

    frozen = estimate_step_bytes([forward], [net.bias])
    assert frozen < estimate_step_bytes([forward], net.parameters())
