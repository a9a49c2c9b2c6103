"""What learns compiled learns the same; the fastest way stays, and what cannot be compiled is told
and learns on.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from stepper import Stepper

from understudy.errors import BadOption
from understudy.nets import ranks
from understudy.parts.models.base.model import Batch, Samples
from understudy.stages.events import Note, Warned
from understudy.stages.saved_models.recipe import ModelRecipe
from understudy.stages.train.callbacks import compile_tuner
from understudy.stages.train.callbacks.compile_tuner import CompileTuner, Mode, compile_modes
from understudy.stages.train.command import train
from understudy.stages.train.options import TrainOptions

CPU = torch.device("cpu")
COMPILE = torch.compile

pytestmark = [
    pytest.mark.usefixtures("small_models"),
    # PyTorch's compiler uses what PyTorch says to use no more.
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
]


def batch_of(pairs: int, device: torch.device = CPU) -> Batch:
    chance = torch.Generator().manual_seed(pairs)
    sides = (
        [
            torch.rand((pairs, planes, 64, 64), generator=chance).to(device)
            for planes in (3, 3, 1, 1, 1)
        ]
        for _ in range(2)
    )
    return Batch(*(Samples(*side) for side in sides))


def stepper_of(device: torch.device = CPU, model: str = "tiny", **options: object) -> Stepper:
    recipe = ModelRecipe(model=model, settings={"resolution": 64} if model == "tiny" else {})
    return Stepper(
        recipe,
        TrainOptions.layered({"precision": "fp32", "optimizer": "rmsprop", **options}),
        device,
    )


def apart(one: Stepper, other: Stepper) -> float:
    """How far the weights of two steppers are apart, as a share of their length."""
    both = list(zip(one.model.parameters(), other.model.parameters(), strict=True))
    far = sum(float((ours - theirs).detach().square().sum()) for ours, theirs in both)
    return float((far / sum(float(ours.detach().square().sum()) for ours, _ in both)) ** 0.5)


class Broken:
    """In place of torch.compile, with no compiler: what it makes fails after so many calls. made:
    how often it was asked.
    """

    def __init__(self, after: int = 0) -> None:
        self.made, self.after = 0, after

    def __call__(self, work: Callable[..., Any], **settings: object) -> Callable[..., Any]:
        self.made += 1

        def fail(*given: object) -> object:
            self.after -= 1
            if self.after >= 0:
                return work(*given)
            raise LookupError("No working C++ compiler found.\nSee above.")

        return fail


class Clock:
    """In place of the module `time`: it stands until it is told to go on."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    perf_counter = monotonic


@pytest.mark.parametrize(
    ("taking", "best"),
    [((0.3, 0.2, 0.1), "graphs"), ((0.3, 0.1, 0.2), "on"), ((0.1, 0.3, 0.2), "off")],
)
def test_a_trial_keeps_the_fastest_way_and_says_so(
    monkeypatch: pytest.MonkeyPatch, taking: tuple[float, ...], best: Mode
) -> None:
    clock, ways = Clock(), ("off", "on", "graphs")
    tried: list[str] = []
    monkeypatch.setattr(compile_tuner, "time", clock)
    monkeypatch.setattr(torch, "compile", lambda work, **_: work)
    trial = CompileTuner(ways, CPU)
    trial.attach(stepper_of().model)

    def learn() -> None:
        tried.append(trial.mode)
        # Compiling itself takes a minute.
        clock.now += dict(zip(ways, taking, strict=True))[trial.mode] + 60 * (
            tried.count(trial.mode) == 1 and trial.mode != "off"
        )

    for _ in range(5):
        trial.run(learn, lambda: None)
    assert trial.mode == "off" and not list(trial.on_report(None, ()))
    clock.now += compile_tuner.PATIENCE
    for _ in range(3 * (compile_tuner.WARMUP + compile_tuner.TIMED)):
        trial.run(learn, lambda: None)
    assert trial.mode == best and list(dict.fromkeys(tried)) == list(ways)
    (note,) = trial.on_report(None, ())
    assert isinstance(note, Note) and f"it goes on {compile_tuner.NAMES[best]}" in note.text
    assert all(f"{1e3 * each:.1f} ms" in note.text for each in taking)
    trial.attach(stepper_of().model)
    assert trial.mode == best and not list(trial.on_report(None, ()))


def test_without_a_compiler_it_learns_on_as_it_stands_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # In the second half of a batch, when there are gradients of the first.
    monkeypatch.setattr(torch, "compile", Broken(after=1))
    plain, without = (stepper_of(compile=choice, accumulate=2) for choice in ("off", "on"))
    for _ in range(2):
        told = [stepper.step(batch_of(2)) for stepper in (plain, without)]
        assert all(torch.equal(told[0][name], loss) for name, loss in told[1].items())
    assert apart(plain, without) == 0 and not plain.messages()
    (warned,) = without.messages()
    assert (
        isinstance(warned, Warned)
        and "No working C++ compiler found. See above. It learns as it stands" in warned.text
    )
    assert not without.messages()


def test_a_way_that_fails_in_a_trial_leaves_the_fastest_of_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compile_tuner, "PATIENCE", 0)
    monkeypatch.setattr(torch, "compile", Broken())
    stepper = stepper_of()
    stepper.tune(("off", "on"))
    for _ in range(compile_tuner.WARMUP + compile_tuner.TIMED + 1):
        stepper.step(batch_of(1))
    assert stepper.tuner.mode == "off" and [type(each) for each in stepper.messages()] == [Warned]


def test_in_a_team_a_compiler_that_fails_ends_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", Broken())
    stepper = stepper_of(compile="on")
    monkeypatch.setattr(ranks, "rank_and_world_size", lambda: (1, 2))
    with pytest.raises(BadOption, match=r"No working C\+\+ compiler.*All processes end"):
        stepper.step(batch_of(1))
    assert compile_modes("auto", torch.device("cuda")) == ("off",)


def test_an_error_that_is_not_the_compilers_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda work, **_: work)
    stepper = stepper_of(compile="on")
    bad = batch_of(1)
    object.__setattr__(bad.src, "mask", torch.rand(1, 1, 7, 7))
    for _ in range(compile_tuner.WARMUP):
        stepper.step(batch_of(1))
    with pytest.raises(RuntimeError, match="size"):
        stepper.step(bad)
    assert stepper.tuner.mode == "on" and not stepper.messages()
    assert all(weight.grad is None for weight in stepper.model.parameters())


def test_a_cpu_compiles_only_what_it_is_told_to_and_has_no_cuda_graphs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = Broken()
    monkeypatch.setattr(torch, "compile", broken)
    assert (compile_modes("auto", CPU), compile_modes("on", CPU)) == (("off",), ("on",))
    assert compile_modes("auto", torch.device("cuda")) == ("off", "on")
    stepper_of().step(batch_of(1))
    assert broken.made == 0
    with pytest.raises(BadOption, match="none on cpu, only on CUDA"):
        stepper_of(compile="graphs")


def test_another_network_and_another_batch_are_compiled_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[object] = []
    monkeypatch.setattr(torch, "compile", lambda work, **_: made.append(work) or work)
    stepper = stepper_of(compile="on", batch=4)
    stepper.step(batch_of(4))
    stepper.halve_batch()
    stepper.step(batch_of(2))
    stepper.change_settings(stepper.state.recipe)
    stepper.step(batch_of(2))
    assert made == [made[0], made[0], stepper.model.losses]


@pytest.mark.parametrize(
    "options", [{}, {"checkpointing": True, "accumulate": 2, "clip": 1}], ids=["plain", "thrifty"]
)
def test_what_pytorch_takes_apart_to_compile_leads_to_the_same_place(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, object]
) -> None:
    torch.compiler.reset()
    # All of it but the compiler's own part, which takes a minute.
    monkeypatch.setattr(
        torch,
        "compile",
        lambda work, **_: COMPILE(work, dynamic=False, fullgraph=True, backend="aot_eager"),
    )
    plain, compiled = (stepper_of(compile=choice, **options) for choice in ("off", "on"))
    keys = list(compiled.model.state_dict())
    for _ in range(3):
        told = [stepper.step(batch_of(2)) for stepper in (plain, compiled)]
    assert all(
        float(told[0][name]) == pytest.approx(float(loss), rel=1e-3)
        for name, loss in told[1].items()
    )
    assert apart(plain, compiled) < 1e-3 and compiled.tuner.mode == "on" and not compiled.messages()
    assert list(compiled.model.state_dict()) == keys


def run_trial(stepper: Stepper, ways: tuple[Mode, ...]) -> list[Note | Warned]:
    """What is said when a stepper of 2 pairs has tried these ways."""
    stepper.tune(ways)
    for _ in range(len(ways) * (compile_tuner.WARMUP + compile_tuner.TIMED)):
        losses = stepper.step(batch_of(2, stepper.state.device))
    assert all(torch.isfinite(loss) for loss in losses.values())
    return stepper.messages()  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_trial_with_the_real_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if not shutil.which("g++"):
        pytest.skip("needs a C++ compiler, g++")
    if "ATEN_CPU_CAPABILITY" in os.environ:
        # PyTorch's cache does not know it: code compiled under another one gives nan under this.
        monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(compile_tuner, "PATIENCE", 0)
    stepper = stepper_of(model="h64")
    (note,) = run_trial(stepper, ("off", "on"))
    assert isinstance(note, Note) and "ms as it stands" in note.text and "ms compiled" in note.text


@pytest.mark.gpu
@pytest.mark.parametrize(
    "options", [{}, {"checkpointing": True, "accumulate": 2, "clip": 1}], ids=["plain", "thrifty"]
)
def test_a_gpu_learns_the_same_every_way(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, object]
) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU of CUDA")
    gpu = torch.device("cuda", 0)
    made = partial(stepper_of, gpu, **options)
    plain, others = made(compile="off"), [made(compile="on"), made(compile="graphs")]
    for _ in range(6):
        told = [stepper.step(batch_of(2, gpu)) for stepper in (plain, *others)]
    for stepper, losses in zip(others, told[1:], strict=True):
        assert all(
            float(told[0][name]) == pytest.approx(float(loss), rel=1e-2)
            for name, loss in losses.items()
        )
        assert apart(plain, stepper) < 1e-2 and not stepper.messages()
    monkeypatch.setattr(compile_tuner, "PATIENCE", 0)
    (note,) = run_trial(made(), ("off", "on", "graphs"))
    assert isinstance(note, Note) and "CUDA graphs" in note.text


def test_a_run_tells_what_there_is_to_say(show: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", Broken())
    asked = {
        "model": "tiny",
        "tiny": {"resolution": 64},
        "batch": 1,
        "device": "cpu",
        "iterations": 2,
        "compile": "on",
    }
    events = list(train(show, TrainOptions.layered(asked)))
    assert (
        sum(
            event.text.startswith("compile: cpu: No working")
            for event in events
            if isinstance(event, Warned)
        )
        == 1
    )
