"""How soon a model is good: `auto` beside a plain SAEHD, on the same faces, by the same clock.

    OMP_NUM_THREADS=1 python benchmarks/quality.py OUT [CONTENDER ...] [--minutes 25]

Src is talker-d, dst talker-c of the test footage, extracted as whole faces into OUT/show unless a
show is there. "auto" is the model that `train` chooses for so many minutes, and learns as it does.
"saehd" is the plain step of `reference.py`, 4 pairs, with the model as it stands by default;
"saehd-small" the same, 8 pairs, with a network that has a chance on a processor. All learn the same
type of face from the same facesets, one thread each. The clock is the processor time of learning:
batches count, measuring does not. All are measured on the same held-out faces at SIZE pixels: what
is painted smaller is resampled up. OUT/NAME.jsonl holds a row a measurement, OUT/NAME.png shows
what the newest weights paint, OUT/quality.svg the curves. Who went to the end is kept.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import reference
import torch
from models import FOOTAGE, run
from torch import Tensor
from torch.nn import functional

from understudy.core.drawing import svg
from understudy.core.drawing.contact_sheet import draw_grid
from understudy.io.faceset.faceset import Faceset
from understudy.io.footage import stills
from understudy.io.model_files import history
from understudy.nets.device import to_numpy, to_tensor
from understudy.parts.models.base.model import Model
from understudy.stages.jobs import call
from understudy.stages.project import Project
from understudy.stages.saved_models.recipe import ModelRecipe
from understudy.stages.train.auto import resolve
from understudy.stages.train.callbacks.compile_tuner import CompileTuner
from understudy.stages.train.data import input_pipeline
from understudy.stages.train.data.face_store import FaceStore, load_face_store, warp_face
from understudy.stages.train.evaluation.validation import Validation
from understudy.stages.train.options import TrainOptions
from understudy.stages.train.resolve import resolve_recipe
from understudy.stages.train.state import TrainState
from understudy.stages.train.train_step import train_step
from understudy.stages.train.trainable import TrainableModel
from understudy.types import FaceType

CPU = torch.device("cpu")
# All are measured at so many pixels.
SIZE = 128
# Seconds of learning up to the first measurement; from then on the share of what was learnt that
# lies between two.
FIRST, PACE = 10, 0.05
SHOWN = 6
_SMALL: dict[str, Any] = {
    "resolution": 64,
    "ae_dims": 128,
    "e_dims": 32,
    "d_dims": 32,
    "d_mask_dims": 16,
}
# Settings of the plain saehd and its pairs; auto chooses for itself.
PLAIN: dict[str, tuple[dict[str, Any], int]] = {"saehd": ({}, 4), "saehd-small": (_SMALL, 8)}
CONTENDERS = ("auto", *PLAIN)
# What is to be reached, and whether by falling. A mean face has much of src's identity already:
# expression tells it from a swap.
GOALS = {
    "dssim": ((0.15, 0.12, 0.10, 0.08, 0.06), True),
    "identity": ((0.4, 0.6, 0.7), False),
    "expression": ((0.6, 0.8, 0.9), False),
}

Rows = list[dict[str, float]]
# A step of learning after so many seconds of it, the model that learns, and a context in which it
# has the weights it would show.
Contender = tuple[Callable[[float], None], Model, Callable[[], AbstractContextManager[None]]]


class AtSize(Model):
    """A model as if its faces had `resolution` pixels: what goes in is resampled to its own size,
    what comes out back.
    """

    def __init__(self, model: Model, resolution: int) -> None:
        super().__init__()
        self.model, self.resolution, self.face_type = model, resolution, model.face_type

    def reconstruct(self, src: Tensor, dst: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        made = self.model.reconstruct(
            *(resampled(each, self.model.resolution) for each in (src, dst))
        )
        return {
            name: (resampled(face, self.resolution), resampled(mask, self.resolution))
            for name, (face, mask) in made.items()
        }


def main() -> None:
    """Print a line for each contender: the minutes to each goal, and how it ended."""
    options = arguments()
    if options.alone:
        compete(options.alone, options.out, options.minutes)
        return
    prepared(options.out)
    for name in options.contenders or CONTENDERS:
        if ran(options.out, name) < options.minutes:
            given = [str(options.out), "--minutes", str(options.minutes), "--alone", name]
            subprocess.run(
                [sys.executable, __file__, *given],
                check=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
    rows = {name: history.read(options.out / f"{name}.jsonl") for name in CONTENDERS}
    rows = {name: each for name, each in rows.items() if each}
    for name, each in rows.items():
        print(json.dumps({"contender": name, **told(each)}))
    (options.out / "quality.svg").write_text(curves(rows), encoding="utf-8")


def prepared(out: Path) -> Project:
    """The show in `out`, made from the test footage where there is none."""
    show = out / "show"
    if not (show / "understudy.toml").exists():
        run(call("new")(show, FOOTAGE / "talker-d.mp4", FOOTAGE / "talker-c.mp4"))
        run(call("extract")(show, face_type="whole"))
    return Project.load(show)


def compete(name: str, out: Path, minutes: float) -> None:
    """Let one contender learn for so long, and write down how good it is on the way."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    project, path = prepared(out), out / f"{name}.jsonl"
    path.unlink(missing_ok=True)
    flags = TrainOptions(name="quality", minutes=minutes, device="cpu")
    options = resolve(project, flags).options
    recipe, _ = resolve_recipe(project.model("quality"), options)
    face_type = recipe.build(torch.device("meta")).face_type
    step, model, shown = (
        auto(project, options, recipe) if name == "auto" else plain(project, name, face_type)
    )
    src, dst = (
        load_face_store(Faceset(project.faces(side)), face_type, SIZE, 0) for side in ("src", "dst")
    )
    validation, seen = Validation(src, dst), AtSize(model, SIZE)
    validation.prepare(SIZE)
    spent, wall, due, iteration = 0.0, 0.0, float(FIRST), 0
    while spent < 60 * minutes:
        start, began = time.process_time(), time.perf_counter()
        step(spent)
        spent, wall = spent + time.process_time() - start, wall + time.perf_counter() - began
        iteration += 1
        if spent >= min(due, 60 * minutes):
            far = {
                "minutes": round(spent / 60, 3),
                "wall": round(wall / 60, 3),
                "iteration": iteration,
            }
            with shown():
                history.append(path, [far | validation.measure(seen)])
                (out / f"{name}.png").write_bytes(
                    stills.encode_image(sheet(seen, src, dst), ".png")
                )
            due = max(spent + FIRST, (1 + PACE) * spent)


def auto(project: Project, options: TrainOptions, recipe: ModelRecipe) -> Contender:
    """What `train` makes of the options of auto."""
    src, dst = input_pipeline.load_faces(project, options, recipe)
    state = TrainState(options, TrainableModel(recipe, options, CPU))
    tuner = CompileTuner(("off",), CPU)
    tuner.attach(state.model)

    def step(seconds: float) -> None:
        nonlocal state
        state = replace(state, seconds=seconds)
        batch = input_pipeline.make_batches(state, src, dst).make(state.iteration)
        state, _ = train_step(state, batch, tuner)

    return step, state.model, state.trainable.averaged


def plain(project: Project, name: str, face_type: FaceType) -> Contender:
    """A plain saehd that learns from the faces of the show, without those that are held out or
    spared.
    """
    settings, pairs = PLAIN[name]
    stores = [
        load_face_store(Faceset(project.faces(side)), face_type, reference.STORED, 0)
        for side in ("src", "dst")
    ]
    faces = [
        np.stack(
            [
                warp_face(store.pictures[row], store.store_from_face, reference.STORED)
                for row in store.train_rows
            ]
        )
        for store in stores
    ]
    recipe = ModelRecipe(model="saehd", settings={**settings, "face_type": face_type})
    learning = reference.Reference(recipe, pairs, faces=faces)
    return lambda _: learning.step(), learning.whole, nullcontext


def resampled(planes: Tensor, side: int) -> Tensor:
    """Pictures or masks (N, C, H, W) in 0..1 at another size."""
    return functional.interpolate(planes, (side, side), mode="bicubic", antialias=True).clamp(0, 1)


@torch.inference_mode()
def sheet(model: Model, src: FaceStore, dst: FaceStore) -> np.ndarray:
    """What it makes of held-out faces, a row each."""
    held = [np.flatnonzero(each.held_out) for each in (src, dst)]
    rows = [each[np.linspace(0, len(each) - 1, SHOWN).astype(int)] for each in held]
    (src_faces, _), (dst_faces, mask) = (
        store.aligned(few, SIZE) for store, few in zip((src, dst), rows, strict=True)
    )
    made = model.reconstruct(to_tensor(src_faces, CPU), to_tensor(dst_faces, CPU))
    painted, matte = {name: to_numpy(face) for name, (face, _) in made.items()}, mask[..., None]
    laid = painted["sd"] * matte + dst_faces * (1 - matte)
    columns = {
        "src": src_faces,
        "rebuilt": painted["ss"],
        "dst": dst_faces,
        "rebuilt ": painted["dd"],
        "swap": painted["sd"],
    }
    return draw_grid({**columns, "swap in dst": laid})


def ran(out: Path, name: str) -> float:
    """The minutes that a contender has learnt."""
    return max((row["minutes"] for row in history.read(out / f"{name}.jsonl")), default=0.0)


def told(rows: Rows) -> dict[str, Any]:
    """Minutes to each goal, None where it was not reached, and the newest values."""
    found: dict[str, Any] = {}
    for what, (bounds, falling) in GOALS.items():
        found |= {f"{what} {bound:g}": reached(rows, what, bound, falling) for bound in bounds}
    last = rows[-1]
    return (
        found
        | {name: last[name] for name in last if name not in GOALS}
        | {what: value(last, what) for what in GOALS}
    )


def reached(rows: Rows, what: str, bound: float, falling: bool) -> float | None:
    """The minutes after which a goal was reached and, at the next measurement, still was."""
    is_there = [value(row, what) <= bound if falling else value(row, what) >= bound for row in rows]
    return next(
        (
            row["minutes"]
            for row, now, then in zip(rows, is_there, is_there[1:], strict=False)
            if now and then
        ),
        None,
    )


def value(row: dict[str, float], what: str) -> float:
    """What was measured, NaN where it was not; dssim: the mean of both sides."""
    if what == "dssim":
        return round((row["src dssim"] + row["dst dssim"]) / 2, 5)
    return row.get(what, float("nan"))


def curves(rows: dict[str, Rows]) -> str:
    """The curves over the minutes, as a file."""
    plots = []
    for what in GOALS:
        lines = {
            name: ([row["minutes"] for row in each], [value(row, what) for row in each])
            for name, each in rows.items()
        }
        title = f"{what} over minutes of learning"
        plots.append(svg.CurvePlot(title, lines, (), what == "dssim", "minutes"))
    return svg.draw_curves_file(plots)


def arguments() -> argparse.Namespace:
    """What the command line asks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("contenders", nargs="*", help="which to train; all without")
    parser.add_argument("--minutes", type=float, default=25, help="of learning, for each")
    parser.add_argument("--alone", choices=CONTENDERS, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
