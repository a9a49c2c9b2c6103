"""Whether curation pays: `tiny` trained on a third of src that `final` chose, beside all of it.

    python benchmarks/curation.py OUT [--iterations 1500] [--share 3] [--seed 0]

Src is talker-d, dst talker-c of the test footage, extracted into OUT/show unless a show is there.
Each contender learns from the same dst with the same seed for the same iterations: from "all" of
src, from the share that `sort final` chooses of it, and from as many that chance chooses, as a
control. Other seeds tell how much chance does. No one learns from the held-out faces nor from those
spared beside them, and all are measured on these: OUT/NAME-SEED.json holds what was measured, the
last line printed the ratios of scores to that of all (lower is better).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from models import FOOTAGE, run
from numpy.typing import NDArray

from understudy.io.faceset.faceset import Faceset
from understudy.parts.sorters import sorters
from understudy.stages.curate.measuring import measure_pixels
from understudy.stages.curate.sort import sort_faces
from understudy.stages.jobs import call
from understudy.stages.project import Project
from understudy.stages.train.auto import resolve
from understudy.stages.train.callbacks.compile_tuner import CompileTuner
from understudy.stages.train.data import input_pipeline
from understudy.stages.train.data.face_store import FaceStore
from understudy.stages.train.evaluation.validation import Validation
from understudy.stages.train.options import TrainOptions
from understudy.stages.train.resolve import resolve_recipe
from understudy.stages.train.state import TrainState
from understudy.stages.train.train_step import train_step
from understudy.stages.train.trainable import TrainableModel

Result = TypeVar("Result")

CPU = torch.device("cpu")
CONTENDERS = ("all", "final", "random")


def main() -> None:
    """Print a line for each contender, and the scores at the end."""
    options = arguments()
    project, scores = prepared(options.out), {}
    for name in CONTENDERS:
        path = options.out / f"{name}-{options.seed}.json"
        if not path.exists():
            path.write_text(json.dumps(compete(project, name, options)), encoding="utf-8")
        measured = json.loads(path.read_text(encoding="utf-8"))
        print(json.dumps({"contender": name, **measured}), flush=True)
        scores[name] = measured["score"]
    print(json.dumps({f"{name} / all": each / scores["all"] for name, each in scores.items()}))


def prepared(out: Path) -> Project:
    """The show in `out`, made from the test footage where there is none."""
    show = out / "show"
    if not (show / "understudy.toml").exists():
        run(call("new")(show, FOOTAGE / "talker-d.mp4", FOOTAGE / "talker-c.mp4"))
        run(call("extract")(show))
    return Project.load(show)


def compete(project: Project, name: str, asked: argparse.Namespace) -> dict[str, float]:
    """Let one contender learn, and measure it on the faces that are held out of all."""
    flags = TrainOptions(
        name="curation", model="tiny", iterations=asked.iterations, seed=asked.seed, device="cpu"
    )
    options = resolve(project, flags).options
    recipe, _ = resolve_recipe(project.model("curation"), options)
    src, dst = input_pipeline.load_faces(project, options, recipe)
    chosen = choose(Faceset(project.faces("src")), src, name, asked.share)
    learnt_from = replace(src, excluded=~chosen & ~src.held_out)
    state = TrainState(options, TrainableModel(recipe, options, CPU))
    tuner = CompileTuner(("off",), CPU)
    tuner.attach(state.model)
    batches = input_pipeline.make_batches(state, learnt_from, dst)
    for _ in range(asked.iterations):
        state, _ = train_step(state, batches.make(state.iteration), tuner)
    validation = Validation(src, dst)
    validation.prepare(state.model.resolution)
    with state.trainable.averaged():
        measured = validation.measure(state.model)
    return {"faces": int(chosen.sum()), **measured}


def choose(faceset: Faceset, src: FaceStore, name: str, share: int) -> NDArray[np.bool_]:
    """The rows that a contender learns from, (N,)."""
    rows, chosen = src.train_rows, np.zeros(len(faceset), bool)
    if name == "random":
        rows = np.random.default_rng(0).choice(rows, len(rows) // share, replace=False)
    elif name == "final":
        usable = np.zeros(len(faceset), bool)
        usable[rows] = True
        set_ = faceset.select(usable)
        faces = replace(sort_faces(set_), pixels=returned(measure_pixels(set_)))
        sorting = sorters["final"](count=len(rows) // share).build()(faces)
        rows = rows[sorting.chosen]
    chosen[rows] = True
    return chosen


def returned(stage: Generator[Any, Any, Result]) -> Result:
    """What a generator returns; its events are passed over."""
    while True:
        try:
            next(stage)
        except StopIteration as end:
            return end.value


def arguments() -> argparse.Namespace:
    """What the command line asks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--iterations", type=int, default=1500, help="of each contender")
    parser.add_argument("--seed", type=int, default=0, help="where chance starts")
    parser.add_argument("--share", type=int, default=3, help="one face of so many is chosen")
    return parser.parse_args()


if __name__ == "__main__":
    main()
