"""What each model makes of the same faces in the same time: one row a model, and its preview to
look at.

    python benchmarks/models.py OUT [MODEL ...] [--size small|full]
        [--iterations N | --minutes M] [--batch N] [--lr X]

Src is talker-d, dst talker-c of the test footage (UNDERSTUDY_FOOTAGE, else ../shared/footage), both
extracted as whole faces. small: what a processor learns in a few minutes; full: the sizes that
people train on a GPU. Every model has a process of its own, so that its peak memory can be told.
l1, SSIM and mask (intersection over union with the hull) are of faces that were never learnt from;
identity and movement are those of `measure` on every second frame of the merged clip. OUT keeps
show, previews and sheets.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from understudy.errors import NoFaces
from understudy.stages.events import Finished, Stage
from understudy.stages.jobs import call
from understudy.stages.project import Project

FOOTAGE = Path(
    os.environ.get("UNDERSTUDY_FOOTAGE", Path(__file__).parents[2] / "shared" / "footage")
)
_SLIM: dict[str, Any] = {
    "resolution": 64,
    "ae_dims": 128,
    "e_dims": 32,
    "d_dims": 32,
    "d_mask_dims": 16,
}
# By name: the model and its settings.
SMALL: dict[str, tuple[str, dict[str, Any]]] = {
    "tiny": ("tiny", {}),
    "quick96": ("quick96", {}),
    "saehd-df": ("saehd", {**_SLIM, "archi": "df"}),
    "saehd-df-udt": ("saehd", {**_SLIM, "archi": "df-udt"}),
    "saehd-liae": ("saehd", {**_SLIM, "archi": "liae"}),
    "saehd-liae-ud": ("saehd", {**_SLIM, "archi": "liae-ud"}),
    "saehd-liae-udc": ("saehd", {**_SLIM, "archi": "liae-udc"}),
    "sae-df": ("sae", {"resolution": 64, "ae_dims": 128, "e_ch_dims": 21}),
    "sae-liae": ("sae", {"resolution": 64, "ae_dims": 128, "e_ch_dims": 21, "archi": "liae"}),
    "amp": ("amp", {**_SLIM, "inter_dims": 256}),
    "h64": ("h64", {"light": True}),
    "h128": ("h128", {"light": True}),
    "df": ("df", {}),
    "liaef128": ("liaef128", {}),
}
FULL: dict[str, tuple[str, dict[str, Any]]] = {
    "tiny": ("tiny", {}),
    "quick96": ("quick96", {}),
    "df": ("df", {}),
    "sae-df-128": ("sae", {}),
    "saehd-df-128": ("saehd", {"archi": "df"}),
    "saehd-liae-ud-128": ("saehd", {}),
    "saehd-df-256": ("saehd", {"archi": "df", "resolution": 256}),
    "saehd-liae-ud-256": ("saehd", {"resolution": 256}),
    "amp-224": ("amp", {}),
}


def main() -> None:
    """Print one JSON line a model."""
    options = arguments()
    plans = SMALL if options.size == "small" else FULL
    show = options.out / "show"
    if not (show / "understudy.toml").exists():
        run(call("new")(show, FOOTAGE / "talker-d.mp4", FOOTAGE / "talker-c.mp4"))
    run(call("extract")(show, face_type="whole"))
    if options.alone:
        print(json.dumps(row(show, options.alone, *plans[options.alone], options)), flush=True)
        return
    for name in options.models or plans:
        subprocess.run([sys.executable, __file__, *sys.argv[1:], "--alone", name], check=True)


def row(
    show: Path, name: str, model: str, settings: dict[str, Any], options: argparse.Namespace
) -> dict[str, Any]:
    """Train, merge and measure one model."""
    plan: dict[str, Any] = (
        {"minutes": options.minutes} if options.minutes else {"iterations": options.iterations}
    )
    plan |= {"batch": options.batch, "lr": options.lr, **({model: settings} if settings else {})}
    first, began = {}, time.monotonic()
    for event in call("train")(show, model=model, name=name, device=options.device, **plan):
        if not first and getattr(event, "values", None):
            first = dict(event.values)
        if isinstance(event, Finished):
            told = event.summary
    minutes = told["minutes"]
    run(call("merge")(show, model=name, device=options.device))
    try:
        measured = run(call("measure")(show, every=2, samples=12))
        (show / "sheet.png").replace(options.out / f"{name}-sheet.png")
    except NoFaces as error:
        measured = {"problem": str(error)}
    last = told["losses"]
    return {
        "model": name,
        "parameters M": round(parameters(show, name) / 1e6, 1),
        "iterations": told["iteration"],
        "ms an iteration": round(60e3 * minutes / max(told["iteration"], 1), 1),
        "memory GB": round(memory(options.device), 2),
        "loss": {key: [round(first.get(key, 0), 3), round(last[key], 3)] for key in last},
        "held out": told["held_out"],
        **{
            key: measured[key]
            for key in ("identity_shift", "movement", "movement_correlation", "problem")
            if key in measured
        },
        "wall minutes": round((time.monotonic() - began) / 60, 1),
    }


def run(stage: Stage) -> dict[str, Any]:
    """Run a stage to its end; what it found."""
    told: dict[str, Any] = {}
    for event in stage:
        if isinstance(event, Finished):
            told = event.summary
    return told


def parameters(show: Path, name: str) -> int:
    """How many numbers a trained model has learnt."""
    from understudy.stages.saved_models.load import load_model

    return sum(
        each.numel() for each in load_model(Project.load(show).model(name), "cpu").parameters()
    )


def memory(device: str) -> float:
    """The most that this process, or its GPU, has held at a time, in GB."""
    import torch

    if torch.cuda.is_available() and device != "cpu":
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--size", choices=("small", "full"), default="small")
    parser.add_argument("--iterations", type=int, default=600)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--batch", type=int, default=0)
    parser.add_argument("--lr", type=float, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--alone", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
