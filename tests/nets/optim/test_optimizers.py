import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import Parameter

from understudy.errors import BadOption
from understudy.nets.optim import update_rules
from understudy.nets.optim.optimizers import (
    OptimizerConfig,
    OptimizerName,
    build_optimizers,
    load_state,
    state_to_arrays,
    step_in_backward,
)

PLAIN = ("adabelief", "rmsprop")
LR = 0.01


def parameters() -> dict[str, dict[str, Parameter]]:
    """One group: a kernel with its channels last, a bias, and a weight that never learns."""
    chance = torch.Generator().manual_seed(0)
    kernel = torch.randn((6, 4, 3, 3), generator=chance).to(memory_format=torch.channels_last)
    drawn = {
        "kernel": kernel,
        "bias": torch.randn(5, generator=chance),
        "frozen": torch.randn(2, generator=chance),
    }
    return {"generator": {name: Parameter(value) for name, value in drawn.items()}}


def gradient(name: str, step: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.random.default_rng([len(name), step]).normal(0.3, 1, shape).astype(np.float32)


def learn(
    optimizers: dict[str, torch.optim.Optimizer],
    groups: dict[str, dict[str, Parameter]],
    steps: range,
) -> None:
    for step in steps:
        for name in ("kernel", "bias"):
            parameter = groups["generator"][name]
            parameter.grad = torch.from_numpy(gradient(name, step, tuple(parameter.shape)))
        optimizers["generator"].step()


def reference(
    kind: str,
    weight: NDArray[np.float64],
    gradients: list[NDArray[np.float32]],
    cosine: bool = False,
) -> NDArray[np.float64]:
    """The update rules, written down as the field states them."""
    mean, square = np.zeros_like(weight), np.zeros_like(weight)
    for step, slope in enumerate(gradients):
        if kind == "adabelief":
            mean = 0.9 * mean + 0.1 * slope
            square = 0.999 * square + 0.001 * (slope - mean) ** 2
            move = mean / (np.sqrt(square) + 1e-6)
        else:
            square = 0.9 * square + 0.1 * slope**2
            move = slope / (np.sqrt(square) + 1e-6)
        weight = weight - LR * move * (
            (math.cos(2 * math.pi * step / 500) + 1) / 2 if cosine else 1
        )
    return weight


@pytest.mark.parametrize("kind", PLAIN)
def test_steps_equal_the_plain_rules(kind: OptimizerName) -> None:
    groups = parameters()
    start = {
        name: value.detach().double().numpy().copy() for name, value in groups["generator"].items()
    }
    learn(build_optimizers(kind, groups, LR), groups, range(7))
    for name in ("kernel", "bias"):
        slopes = [gradient(name, step, start[name].shape) for step in range(7)]
        assert np.allclose(
            groups["generator"][name].detach(), reference(kind, start[name], slopes), atol=1e-6
        )
    assert np.array_equal(groups["generator"]["frozen"].detach(), start["frozen"])


@pytest.mark.parametrize("kind", ["adam", *PLAIN])
@pytest.mark.parametrize("lr_dropout", [False, True])
def test_a_resumed_run_equals_the_unbroken_one_bit_for_bit(
    kind: OptimizerName, lr_dropout: bool
) -> None:
    if kind == "adam" and lr_dropout:
        pytest.skip("refused, see below")
    whole, parts, config = parameters(), parameters(), OptimizerConfig(lr_dropout)
    learn(build_optimizers(kind, whole, LR, config), whole, range(6))
    before = build_optimizers(kind, parts, LR, config)
    learn(before, parts, range(3))
    saved = {name: np.array(value) for name, value in state_to_arrays(before, parts).items()}
    after = build_optimizers(kind, parts, LR, config)
    load_state(after, parts, saved)
    learn(after, parts, range(3, 6))
    for name, value in whole["generator"].items():
        assert torch.equal(value, parts["generator"][name])


@pytest.mark.parametrize("kind", PLAIN)
def test_lr_dropout_takes_three_elements_in_ten_of_the_same_step(kind: OptimizerName) -> None:
    full, dropped = ({"generator": {"wide": Parameter(torch.zeros(200, 200))}} for _ in range(2))
    slope = torch.randn(200, 200, generator=torch.Generator().manual_seed(1))
    masks = []
    for groups, dropping in ((full, False), (dropped, True)):
        weight = groups["generator"]["wide"]
        (optimizer,) = build_optimizers(
            kind, groups, LR, OptimizerConfig(lr_dropout=dropping, cosine=False)
        ).values()
        for _ in range(2):
            before, weight.grad = weight.detach().clone(), slope
            optimizer.step()
            masks.append((weight.detach() - before) != 0)
    moved = dropped["generator"]["wide"].detach()
    one, other = masks[2:]
    assert (
        all(0.28 < float(mask.float().mean()) < 0.32 for mask in (one, other))
        and 0.07 < float((one & other).float().mean()) < 0.11
    )
    # Where both steps were taken, they are those of the plain run: the memories heed every
    # gradient.
    assert torch.allclose(
        moved[one & other], full["generator"]["wide"].detach()[one & other], atol=1e-7
    )


def test_the_step_swings_with_lr_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(update_rules, "KEEP_SHARE", 1.0)
    groups = parameters()
    start = groups["generator"]["bias"].detach().double().numpy().copy()
    learn(
        build_optimizers("adabelief", groups, LR, OptimizerConfig(lr_dropout=True)),
        groups,
        range(260),
    )
    slopes = [gradient("bias", step, (5,)) for step in range(260)]
    assert np.allclose(
        groups["generator"]["bias"].detach(),
        reference("adabelief", start, slopes, cosine=True),
        atol=1e-5,
    )
    assert not np.allclose(
        groups["generator"]["bias"].detach(), reference("adabelief", start, slopes), atol=1e-2
    )


def test_nothing_saved_means_a_fresh_start_and_a_foreign_state_is_refused() -> None:
    groups = parameters()
    optimizers = build_optimizers("rmsprop", groups, LR)
    assert state_to_arrays(optimizers, groups) == {}
    learn(optimizers, groups, range(2))
    saved = state_to_arrays(optimizers, groups)
    assert set(saved) == {
        "generator/kernel/square_avg",
        "generator/bias/square_avg",
        "generator/steps",
    }
    load_state(optimizers, groups, {})
    assert state_to_arrays(optimizers, groups) == {}
    with pytest.raises(KeyError, match="Adam"):
        load_state(build_optimizers("adam", groups, LR), groups, saved)
    with pytest.raises(BadOption, match="adabelief"):
        build_optimizers("adam", groups, LR, OptimizerConfig(lr_dropout=True))


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("adam", OptimizerConfig()),
        ("adabelief", OptimizerConfig()),
        ("rmsprop", OptimizerConfig(True, memory="half")),
    ],
)
def test_steps_taken_as_gradients_come_in_are_the_same_and_hold_no_gradients(
    kind: OptimizerName, config: OptimizerConfig
) -> None:
    after, whole = parameters(), parameters()
    for groups in (after, whole):
        (optimizer,), weights = (
            build_optimizers(kind, groups, LR, config).values(),
            groups["generator"],
        )
        for step in range(3):
            loss = torch.stack(
                [(weight * weight).sum() * (step + 1) for weight in weights.values()]
            ).sum()
            if groups is after:
                with step_in_backward(optimizer, weights.values()):
                    loss.backward()
                assert all(weight.grad is None for weight in weights.values())
            else:
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
    assert all(
        torch.equal(after["generator"][name], whole["generator"][name])
        for name in after["generator"]
    )


@pytest.mark.parametrize("kind", PLAIN)
def test_half_the_memory_leads_to_nearly_the_same_place_and_resumes_bit_for_bit(
    kind: OptimizerName,
) -> None:
    full, half, resumed = parameters(), parameters(), parameters()
    config = OptimizerConfig(memory="half")
    start = full["generator"]["kernel"].detach().clone()
    learn(build_optimizers(kind, full, LR), full, range(60))
    before = build_optimizers(kind, half, LR, config)
    learn(before, half, range(60))
    assert {
        each.dtype for each in before["generator"].state[half["generator"]["kernel"]].values()
    } == {torch.bfloat16}
    way = [groups["generator"]["kernel"].detach() - start for groups in (full, half)]
    assert float((way[0] - way[1]).norm() / way[0].norm()) < 0.03
    first = build_optimizers(kind, resumed, LR, config)
    learn(first, resumed, range(30))
    after = build_optimizers(kind, resumed, LR, config)
    load_state(after, resumed, state_to_arrays(first, resumed))
    learn(after, resumed, range(30, 60))
    assert torch.equal(half["generator"]["kernel"], resumed["generator"]["kernel"])


def test_rounding_by_chance_loses_nothing_on_average() -> None:
    value = torch.full((40000,), 1 + 1 / 1024)
    rounded = update_rules.StepRng(torch.device("cpu"), (0, 1)).round_stochastic(value)
    assert set(rounded.unique().tolist()) == {1.0, 1 + 1 / 128}
    assert abs(float(rounded.double().mean()) - float(value[0])) < 1e-4


def test_the_hosts_memory_is_no_choice_on_the_cpu_and_none_for_adam() -> None:
    with pytest.raises(BadOption, match="host"):
        build_optimizers("adabelief", parameters(), LR, OptimizerConfig(memory="host"))
    with pytest.raises(BadOption, match="optimizer_memory goes with"):
        build_optimizers("adam", parameters(), LR, OptimizerConfig(memory="half"))
