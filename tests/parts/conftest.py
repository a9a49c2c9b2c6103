"""Models to look at: as they are but without weights, or as small as their options let them be; and
what to feed them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import pytest
import torch

from understudy.parts.models import models
from understudy.parts.models.base.model import Batch, Model, Samples

SMALL: dict[str, dict[str, object]] = {
    "sae": {"resolution": 64, "ae_dims": 32, "e_ch_dims": 21, "d_ch_dims": 10},
    "saehd": {"resolution": 64, "ae_dims": 32, "e_dims": 16, "d_dims": 16, "d_mask_dims": 16},
    "saehd1": {"resolution": 64, "ae_dims": 32, "ed_ch_dims": 10},
    "amp": {
        "resolution": 64,
        "ae_dims": 32,
        "inter_dims": 32,
        "e_dims": 16,
        "d_dims": 16,
        "d_mask_dims": 16,
    },
    "trueface": {"resolution": 64, "dims": 8},
}


@pytest.fixture
def built() -> Callable[..., Model]:
    """built(name, **settings): a model of any size, on no device."""
    return _built


@pytest.fixture
def small() -> Callable[..., Model]:
    """small(name, **settings): a small model with weights, the same ones each time."""
    return _small


@pytest.fixture
def make_batch() -> Callable[..., Batch]:
    """make_batch(side, device="cpu"): two pairs of faces of `side` pixels, all of it noise."""
    return _batch


@pytest.fixture
def shown() -> Batch:
    """Two pairs of faces of 64 pixels, all of it noise."""
    return _batch(64)


@pytest.fixture
def learn() -> Callable[[Model, Batch], dict[str, float]]:
    """learn(model, batch): one iteration of every group, gradients summed up as a learner would
    find them; its losses.
    """
    return _learn


@pytest.fixture
def reached() -> Callable[[Model], set[str]]:
    """reached(model): the names of the weights that have a gradient."""
    return _reached


def _built(name: str, **settings: object) -> Model:
    with torch.device("meta"):
        return models[name].layered(settings).build()


def _small(name: str, **settings: object) -> Model:
    model = models[name].layered(SMALL[name], settings).build()
    model.initialise(torch.Generator().manual_seed(0))
    return model


def _batch(size: int, device: str = "cpu") -> Batch:
    rng = torch.Generator().manual_seed(0)
    channels = [3 if each.name in ("input", "target") else 1 for each in fields(Samples)]
    return Batch(
        *(
            Samples(*(torch.rand(2, c, size, size, generator=rng).to(device) for c in channels))
            for _ in range(2)
        )
    )


def _learn(model: Model, shown: Batch) -> dict[str, float]:
    told = {}
    for group in model.parameter_groups():
        found = model.losses(shown, group)
        torch.stack(list(found.values())).sum().backward()
        told |= {name: float(loss.detach()) for name, loss in found.items()}
    return told


def _reached(model: Model) -> set[str]:
    return {
        name
        for name, weight in model.named_parameters()
        if weight.grad is not None and float(weight.grad.abs().sum()) > 0
    }
