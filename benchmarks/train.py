"""Milliseconds an iteration for each model, in fp32 and bf16, beside what this machine's convolutions can do at most.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/train.py [MODEL ...] [--device cpu] [--rounds 5] [--batch 4] [--threads 1]

The variants take turns (A B A B), so that other work on the machine disturbs them alike; the median of the rounds counts. On
one CPU thread the time is processor time, else wall time. GFLOP are counted, forward and backward. The limit is measured in
the same run: the best of a few convolutions 3x3, forward and backward, in the same number format.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from understudy.nets import bridge
from understudy.parts.models import models
from understudy.parts.models.contract import Batch, Samples
from understudy.stages.learner import Learner
from understudy.stages.recipes import Recipe
from understudy.stages.train import TrainOptions

FORMATS = ("fp32", "bf16")
# Channels and side of the convolutions that stand for what the machine can do.
SHAPES = ((128, 64), (256, 32), (512, 16))


@dataclass(frozen=True)
class Clock:
    """Measures calls on a device, in seconds."""

    device: torch.device
    threads: int

    def __call__(self, work: Callable[[], object]) -> float:
        now = time.process_time if self.device.type == "cpu" and self.threads == 1 else time.perf_counter
        self._wait()
        start = now()
        work()
        self._wait()
        return now() - start

    def _wait(self) -> None:
        if self.device.type != "cpu":
            torch.accelerator.synchronize()


def main() -> None:
    options = arguments()
    torch.set_num_threads(options.threads)
    clock = Clock(bridge.device_of(options.device), options.threads)
    limit = {name: conv_limit(name, clock) for name in FORMATS}
    print(json.dumps({"device": str(clock.device), "threads": options.threads, "limit GFLOP/s": limit}))
    for model in options.models or sorted(models, key=lambda name: name != "tiny"):
        for row in measured(model, options.batch, options.rounds, clock, limit):
            print(json.dumps(row))


def measured(model: str, batch: int, rounds: int, clock: Clock, limit: dict[str, float]) -> list[dict[str, object]]:
    """A row of results for each number format."""
    learners = {name: Learner(Recipe(model=model), TrainOptions.layered({"precision": name}), clock.device) for name in FORMATS}
    pairs = batch or learners["fp32"].recipe.model_options.batch
    data = batch_of(pairs, learners["fp32"].model.resolution, clock.device)
    with FlopCounterMode(display=False) as counter:
        learners["fp32"].step(data)
    learners["bf16"].step(data)
    times: dict[str, list[float]] = {name: [] for name in FORMATS}
    for _ in range(rounds):
        for name, learner in learners.items():
            times[name].append(clock(lambda learner=learner: learner.step(data)))  # type: ignore[misc]
    work = counter.get_total_flops() / 1e9
    rows: list[dict[str, object]] = []
    for name in FORMATS:
        seconds = statistics.median(times[name])
        share = work / seconds / limit[name]
        shown = {
            "ms": round(1e3 * seconds, 1),
            "GFLOP": round(work, 1),
            "GFLOP/s": round(work / seconds),
            "of limit": round(share, 2),
        }
        rows.append({"model": model, "pairs": pairs, "format": name, **shown})
    return rows


def conv_limit(precision: str, clock: Clock) -> float:
    """The best rate of convolutions, forward and backward, in GFLOP/s."""
    best = 0.0
    for channels, side in SHAPES:
        layer = torch.nn.Conv2d(channels, channels, 3, padding=1, device=clock.device)
        maps = torch.rand(8, channels, side, side, device=clock.device, requires_grad=True)

        def both(layer: torch.nn.Module = layer, maps: torch.Tensor = maps) -> None:
            with bridge.computing(precision, clock.device):  # type: ignore[arg-type]
                painted = layer(maps)
            painted.backward(torch.ones_like(painted))

        both()
        flop = 3 * 2 * 8 * side**2 * channels**2 * 9 / 1e9
        best = max(best, flop / min(clock(both) for _ in range(6)))
    return round(best, 1)


def batch_of(pairs: int, side: int, device: torch.device) -> Batch:
    """A batch of noise."""
    chance = torch.Generator().manual_seed(0)
    shapes = [(pairs, channels, side, side) for channels in (3, 3, 1, 1, 1)]
    return Batch(*(Samples(*(torch.rand(shape, generator=chance).to(device) for shape in shapes)) for _ in range(2)))


def arguments() -> argparse.Namespace:
    """What the command line asks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="*", help="which to measure; all without")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=0, help="pairs of faces; 0 = each model's own")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
