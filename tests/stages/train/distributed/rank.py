"""One rank of a team, for tests: `python rank.py ORDER.json`, in the environment that torchrun
would give it.

The order: a list of runs, {"port", "show", "options", "orders": {iteration: order}}; orders are for
the rank named "rank", and the rank named "die" falls out. The summaries go to the file "out", with
the rank's number behind.

A run with "model", the folder of one, takes gradient steps in double precision instead. The weights
go to the file "weights".
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from unittest import mock

import torch

from understudy.errors import UnderstudyError
from understudy.nets.losses import reconstruction
from understudy.parts.models.base.model import Batch
from understudy.stages.events import Finished, Progress, read_order
from understudy.stages.project import Project
from understudy.stages.saved_models.recipe import read_recipe
from understudy.stages.train.callbacks.compile_tuner import CompileTuner
from understudy.stages.train.command import train
from understudy.stages.train.data import input_pipeline
from understudy.stages.train.distributed.process_group import join
from understudy.stages.train.options import TrainOptions
from understudy.stages.train.state import TrainState
from understudy.stages.train.train_step import train_step
from understudy.stages.train.trainable import TrainableModel

STEPS = 2


def train_in_float64(show: Path, folder: Path, options: dict) -> dict[str, torch.Tensor]:
    """The weights after steps of plain gradient descent in float64.

    folder: of the model. It starts from its first weights, with the options' batches.
    """
    chosen = TrainOptions.layered({**options, "lr": 1e-3, "clip": 0})
    recipe = read_recipe(folder)
    with join("cpu") as group:
        trainable = TrainableModel(recipe, chosen, group.device)
        trainable.model.double()
        trainable.optimizers = {
            name: torch.optim.SGD(list(parameters.values()))
            for name, parameters in trainable.groups.items()
        }
        state = TrainState(chosen, trainable)
        tuner = CompileTuner(("off",), group.device)
        tuner.attach(trainable.model)
        faces = input_pipeline.load_faces(Project.load(show), chosen, recipe)
        batches = input_pipeline.make_batches(state, *faces)
        for number in range(STEPS):
            batch = _to_float64(batches.make(number))
            with _float_means_double():
                state, _ = train_step(state, batch, tuner)
        return {name: each.detach() for name, each in trainable.model.named_parameters()}


@contextlib.contextmanager
def _float_means_double() -> Iterator[None]:
    """Where the nets ask for float32, because bf16 would be too coarse, they get float64."""
    window = reconstruction._gaussian_window
    with (
        mock.patch.object(torch.Tensor, "float", torch.Tensor.double),
        mock.patch.object(
            reconstruction, "_gaussian_window", lambda *given: window(*given).double()
        ),
    ):
        yield


def _to_float64(batch: Batch) -> Batch:
    sides = (
        replace(side, **{each.name: getattr(side, each.name).double() for each in fields(side)})
        for side in (batch.src, batch.dst)
    )
    return Batch(*sides)


def run(order: dict) -> dict:
    os.environ["MASTER_PORT"] = str(order["port"])
    if "model" in order:
        weights = train_in_float64(Path(order["show"]), Path(order["model"]), order["options"])
        if os.environ["RANK"] == "0":
            torch.save(weights, order["weights"])
        return {}
    stage, answer, told = (
        train(Path(order["show"]), TrainOptions.layered(order["options"])),
        None,
        {},
    )
    waiting = order.get("orders", {}) if os.environ["RANK"] == str(order.get("rank")) else {}
    try:
        event = next(stage)
        while True:
            answer = None
            if isinstance(event, Progress):
                if order.get("die") == int(os.environ["RANK"]) and event.done > 2:
                    os._exit(9)
                due = [at for at in waiting if event.done >= int(at)]
                answer = read_order.validate_python(waiting.pop(due[0])) if due else None
            if isinstance(event, Finished):
                told = event.summary
            event = stage.send(answer)
    except StopIteration:
        return told
    except UnderstudyError as error:
        return {"error": type(error).__name__, "text": str(error)}


if __name__ == "__main__":
    book = json.loads(Path(sys.argv[1]).read_text())
    found = []
    for order in book["runs"]:
        found.append(run(order))
        Path(f"{book['out']}{os.environ['RANK']}").write_text(json.dumps(found))
