import pytest
import torch

from understudy.nets.optim import ema
from understudy.nets.optim.ema import Ema


def model_of(value: float) -> torch.nn.Linear:
    model = torch.nn.Linear(1, 1)
    with torch.no_grad():
        for weight in model.parameters():
            weight.fill_(value)
    return model


def test_the_mean_lags_behind_and_shows_itself_only_as_long_as_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ema, "UPDATE_EVERY", 2)
    model = model_of(0)
    mean = Ema(model, 0.9)
    with torch.no_grad():
        model.weight.fill_(1)
    mean.update(model, 101)
    assert float(mean.weights["weight"]) == 0
    mean.update(model, 102)
    assert float(mean.weights["weight"]) == pytest.approx(1 - 0.9**2)
    with mean.apply_to(model):
        assert model.weight.item() == pytest.approx(0.19) and float(mean.weights["weight"]) == 1
    assert model.weight.item() == 1 and float(mean.weights["weight"]) == pytest.approx(0.19)


def test_what_chance_began_with_is_soon_forgotten() -> None:
    model = model_of(100)
    mean = Ema(model, 0.9999)
    with torch.no_grad():
        model.weight.fill_(0)
    for iteration in range(1, 401):
        mean.update(model, iteration)
    assert abs(float(mean.weights["weight"])) < 0.01


def test_the_smaller_the_steps_the_less_it_lags_behind() -> None:
    left = []
    for share in (1, 0.5, 0.2, 0.01, 0):
        model = model_of(0)
        mean = Ema(model, 0.99)
        with torch.no_grad():
            model.weight.fill_(1)
        mean.update(model, 10_000 * ema.UPDATE_EVERY, share)
        left.append(1 - float(mean.weights["weight"]))
    assert left == pytest.approx(
        [0.99**ema.UPDATE_EVERY, 0.96**ema.UPDATE_EVERY, 0.75**ema.UPDATE_EVERY, 0, 0], abs=1e-3
    )


def test_it_goes_on_from_what_was_saved_where_that_fits() -> None:
    model = model_of(1)
    mean = Ema(model, 0.9)
    mean.load(model, {"weight": torch.full((1, 1), 5.0), "bias": torch.zeros(7)})
    assert float(mean.weights["weight"]) == 5 and float(mean.weights["bias"]) == 1
