"""Milliseconds and memory of an iteration of each model, beside a plain reference and what this
machine's convolutions can do.

    export OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=3000
    python benchmarks/train.py [MODEL ...] [--rounds 5] [--batch 4] [--threads 1] [--busy]
    python benchmarks/train.py saehd-256 --device cuda --batch 32 \\
        --set checkpointing=true optimizer_memory=half

An iteration is a batch made from stored faces and a step of learning from it. Each variant is a
process of its own: "reference" (`reference.py`: eager, plain, fp32), "fp32" and "bf16" (ours). They
take turns (A B C A B C), so that other work on the machine disturbs them alike; the median of the
rounds counts, and the ratio is the median of each round's. On one CPU thread the time is processor
time, else wall time; of several threads ours takes as many as `train` finds fastest, before the
rounds. Memory is the most that the process held, Python and PyTorch (about 330 MB) included; on a
GPU, what PyTorch held there. GFLOP are counted, forward and backward. The limit is measured in the
same run: the best of a few convolutions 3x3, forward and backward, in the same number format.
--set: options of train for ours. --busy: beside it, another process keeps a core busy.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import reference
import torch
from torch.utils.flop_counter import FlopCounterMode

from understudy.core import affine
from understudy.nets.device import autocast, resolve_device
from understudy.parts.models import models
from understudy.stages.saved_models.recipe import ModelRecipe
from understudy.stages.train.callbacks.compile_tuner import CompileTuner, compile_modes
from understudy.stages.train.callbacks.thread_tuner import (
    TIMED,
    WARMUP,
    ThreadTuner,
    thread_counts,
)
from understudy.stages.train.data import input_pipeline
from understudy.stages.train.data.face_store import OVERSAMPLING, FaceStore
from understudy.stages.train.options import TrainOptions
from understudy.stages.train.state import TrainState
from understudy.stages.train.train_step import train_step
from understudy.stages.train.trainable import TrainableModel

FORMATS = ("fp32", "bf16")
VARIANTS = ("reference", *FORMATS)
# Models with other settings than their own, by a name for them.
SET: dict[str, tuple[str, dict[str, object]]] = {
    "saehd-df": ("saehd", {"archi": "df"}),
    "saehd-256": ("saehd", {"resolution": 256}),
}
MEASURED = ("saehd-df", "saehd", "quick96", "h64")
# Channels and side of the convolutions that stand for what the machine can do.
SHAPES = ((128, 64), (256, 32), (512, 16))
FACES = 16


@dataclass(frozen=True)
class Clock:
    """Measures calls on a device, in seconds."""

    device: torch.device
    threads: int

    def __call__(self, work: Callable[[], object]) -> float:
        now = (
            time.process_time
            if self.device.type == "cpu" and self.threads == 1
            else time.perf_counter
        )
        self._wait()
        start = now()
        work()
        self._wait()
        return now() - start

    def _wait(self) -> None:
        if self.device.type != "cpu":
            torch.accelerator.synchronize()


@dataclass
class Ours:
    """A model that learns from batches as `train` makes them, of made-up faces."""

    state: TrainState
    pairs: int
    threads: ThreadTuner
    number: int = 0

    def __post_init__(self) -> None:
        side, recipe = self.state.model.resolution, self.state.recipe
        inner = round(side * OVERSAMPLING)
        rim = int(np.ceil(recipe.model_options.motion.margin * inner)) + 2
        chance = np.random.default_rng(0)
        pictures = chance.integers(0, 256, (FACES, inner + 2 * rim, inner + 2 * rim, 4), np.uint8)
        points = chance.uniform(rim, rim + inner, (FACES, 68, 2)).astype(np.float32)
        place = affine.compose(np.array([[1.0, 0, rim], [0, 1, rim]]), affine.scaling(inner / side))
        faces = FaceStore(
            pictures, points, place, np.zeros(FACES, bool), np.zeros(FACES, np.float32)
        )
        self.batches = input_pipeline.make_batches(self.state, faces, faces)
        device, choice = self.state.device, self.state.options.compile
        self.tuner = CompileTuner(compile_modes(choice, device), device)
        self.tuner.attach(self.state.model)

    def step(self) -> None:
        """Draw a batch and learn from it."""
        start = time.perf_counter()
        self.state, _ = train_step(self.state, self.batches.make(self.number), self.tuner)
        self.threads.record(time.perf_counter() - start)
        self.number += 1


def main() -> None:
    options = arguments()
    torch.set_num_threads(options.threads)
    clock = Clock(resolve_device(options.device), options.threads)
    limit = {name: conv_limit(name, clock) for name in FORMATS}
    print(
        json.dumps(
            {
                "device": str(clock.device),
                "threads": options.threads,
                "busy": options.busy,
                "limit GFLOP/s": limit,
            }
        )
    )
    beside = multiprocessing.get_context("spawn").Process(target=spin, daemon=True)
    if options.busy:
        beside.start()
    for model in options.models or [*MEASURED, *sorted(set(models) - set(MEASURED))]:
        for row in measured(model, options, limit):
            print(json.dumps(row), flush=True)


def measured(
    model: str, options: argparse.Namespace, limit: dict[str, float]
) -> list[dict[str, object]]:
    """A row of results for each variant."""
    kind, settings = SET.get(model, (model, {}))
    recipe = ModelRecipe(model=kind, settings=settings)
    pairs = options.batch or recipe.model_options.batch
    at_work: dict[str, Connection[Any, Any]] = {}
    facts: dict[str, float] = {}
    for name in options.variants:
        # One after the other, for each of ours tries in peace how many threads are fastest.
        line = start(name, recipe, pairs, options)
        if (fact := line.recv()) is not None:
            at_work[name], facts[name] = line, fact
    times: dict[str, list[float]] = {name: [] for name in at_work}
    for _ in range(options.rounds):
        for name, line in at_work.items():
            line.send("step")
            times[name].append(line.recv())
    rows: list[dict[str, object]] = []
    for name, line in at_work.items():
        line.send("end")
        seconds = statistics.median(times[name])
        against = [
            ours / theirs
            for ours, theirs in zip(times[name], times.get("reference", ()), strict=False)
        ]
        shown = {
            "ms": round(1e3 * seconds, 1),
            "ratio": round(statistics.median(against), 3) if against else None,
        }
        share = facts[name] / seconds / limit["bf16" if name == "bf16" else "fp32"]
        work = {"GFLOP": round(facts[name], 1), "of limit": round(share, 2), "MB": line.recv()}
        rows.append({"model": model, "pairs": pairs, "variant": name, **shown, **work})
    return rows


def start(
    variant: str, recipe: ModelRecipe, pairs: int, options: argparse.Namespace
) -> Connection[Any, Any]:
    """A process for a variant; the line to it. It first says how many GFLOP a step has, or None
    where there is none such.
    """
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    context.Process(
        target=serve, args=(theirs, variant, recipe, pairs, options), daemon=True
    ).start()
    return ours


def serve(
    line: Connection[Any, Any],
    variant: str,
    recipe: ModelRecipe,
    pairs: int,
    options: argparse.Namespace,
) -> None:
    """Steps on demand, until it is told to end; then the MB that this took."""
    torch.set_num_threads(options.threads)
    clock = Clock(resolve_device(options.device), options.threads)
    given = dict(each.split("=") for each in options.set)
    trials = 0
    try:
        if variant == "reference":
            learning: Ours | reference.Reference = reference.Reference(recipe, pairs, clock.device)
        else:
            asked = TrainOptions.layered({"precision": variant, "batch": pairs, **given})
            counts = thread_counts(asked, clock.device, 1)
            state = TrainState(asked, TrainableModel(recipe, asked, clock.device))
            learning = Ours(state, pairs, ThreadTuner(counts))
            trials = len(counts) * (WARMUP + TIMED) if len(counts) > 1 else 0
    except AssertionError:
        line.send(None)
        return
    with FlopCounterMode(display=False) as counter:
        learning.step()
    for _ in range(1 + trials):
        learning.step()
    line.send(counter.get_total_flops() / 1e9)
    while line.recv() == "step":
        line.send(clock(learning.step))
    line.send(round(held(clock.device)))


def held(device: torch.device) -> float:
    """The most MB that this process has held at a time; on a GPU, what PyTorch held there."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def conv_limit(precision: str, clock: Clock) -> float:
    """The best rate of convolutions, forward and backward, in GFLOP/s."""
    best = 0.0
    for channels, side in SHAPES:
        layer = torch.nn.Conv2d(channels, channels, 3, padding=1, device=clock.device)
        maps = torch.rand(8, channels, side, side, device=clock.device, requires_grad=True)

        def both(layer: torch.nn.Module = layer, maps: torch.Tensor = maps) -> None:
            with autocast(precision, clock.device):  # type: ignore[arg-type]
                painted = layer(maps)
            painted.backward(torch.ones_like(painted))

        both()
        flop = 3 * 2 * 8 * side**2 * channels**2 * 9 / 1e9
        best = max(best, flop / min(clock(both) for _ in range(6)))
    return round(best, 1)


def spin() -> None:
    """Keep a core busy as long as the process that began it lives."""
    parent = multiprocessing.parent_process()
    while parent is not None and parent.is_alive():
        sum(range(10**6))


def arguments() -> argparse.Namespace:
    """What the command line asks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="*", help="which to measure, saehd-df too; all without")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=0, help="pairs of faces; 0 = each model's own")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--variants", nargs="+", choices=VARIANTS, default=VARIANTS, help="which to measure"
    )
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="NAME=VALUE", help="options of train for ours"
    )
    parser.add_argument(
        "--busy", action="store_true", help="beside it, keep one core busy with something else"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
