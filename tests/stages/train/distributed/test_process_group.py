"""Two processes that learn as one does."""

import json
import os
import runpy
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from understudy.errors import BadOption
from understudy.io.model_files import checkpoint, history
from understudy.stages.saved_models.recipe import ModelRecipe, read_recipe
from understudy.stages.train.command import train
from understudy.stages.train.distributed.process_group import ProcessGroup, join
from understudy.stages.train.distributed.rank_sync import send_setup
from understudy.stages.train.options import TrainOptions

Make = Callable[..., Path]
Options = dict[str, Any]

CPU: Options = {"batch": 4, "device": "cpu", "precision": "fp32", "preview_minutes": 0}
TINY: Options = {**CPU, "tiny": {"resolution": 64}}
SMALL = {"resolution": 64, "ae_dims": 32, "e_dims": 16, "d_dims": 16}
POWERS = {
    "gan_power": 0.1,
    "true_face_power": 0.01,
    "face_style_power": 0.01,
    "bg_style_power": 2.0,
}

RANK = Path(__file__).with_name("rank.py")
# In float64 two ranks and one end 2e-14 apart after plain gradient steps: they add the same numbers
# in another order. The mildest of six faults put into the sharing of a batch ends 0.03 apart.
EXACT = 1e-9
# In float32 the last digit may decide on which side of a kink of |x| or ReLU a number falls. Adam
# divides by the size of the gradient, so this reaches every weight. One process whose batch lies in
# another order ends 0.004 from itself, two ranks up to 0.006 from one. The faults end 0.03 to 0.5
# apart.
ROUNDING = 0.03


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def alone(show: Path, options: Options) -> None:
    list(train(show, TrainOptions.layered(options)))


def pair(folder: Path, *runs: Options) -> tuple[list[Options], list[Options]]:
    """What the runs told each of two ranks."""
    order = folder / "order.json"
    order.write_text(
        json.dumps(
            {"out": str(folder / "told"), "runs": [{"port": free_port(), **each} for each in runs]}
        )
    )
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    ranks = [
        subprocess.Popen(
            [sys.executable, RANK, order],
            env={**os.environ, **place, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(2)
    ]
    for each in ranks:
        each.wait(1200)
    told = [Path(f"{folder}/told{rank}") for rank in range(2)]
    first, second = (json.loads(each.read_text()) if each.exists() else [] for each in told)
    return first, second


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def newest(show: Path, name: str = "tiny") -> checkpoint.Checkpoint:
    return checkpoint.load_intact(show / "models" / name / "checkpoints")[0][0]


def apart(one: Path, other: Path, name: str = "tiny") -> float:
    """How far two models are apart, 1 = as far as the first has come."""
    recipe = read_recipe(one / "models" / name)
    fresh = recipe.build(torch.device("cpu"))
    fresh.initialise(torch.Generator().manual_seed(recipe.seed))
    ours, theirs = newest(one, name).arrays("weights"), newest(other, name).arrays("weights")
    start = {key: value.double().numpy() for key, value in fresh.state_dict().items()}
    gap, way = (
        sum(float(np.square(ours[key] - each[key]).sum()) for key in ours)
        for each in (theirs, start)
    )
    return float(np.sqrt(gap / way))


def apart_in_float64(run: Options) -> float:
    """How far the weights in the run's file, of two ranks, are from those of one process.

    1 = as far as these moved.
    """
    train_in_float64 = runpy.run_path(str(RANK))["train_in_float64"]
    ours = train_in_float64(Path(run["show"]), Path(run["model"]), run["options"])
    theirs, recipe = torch.load(run["weights"]), read_recipe(Path(run["model"]))
    fresh = recipe.build(torch.device("cpu"))
    fresh.initialise(torch.Generator().manual_seed(recipe.seed))
    start = {name: each.detach() for name, each in fresh.named_parameters()}
    gap, way = (
        sum(float((ours[key] - each[key]).square().sum()) for key in ours)
        for each in (theirs, start)
    )
    return float(np.sqrt(gap / way))


def losses(show: Path, name: str = "tiny") -> dict[str, float]:
    rows = [
        row for row in history.read(show / "models" / name / "history.jsonl") if "losses" in row
    ]
    return {
        f"{row['iteration']} {key}": value for row in rows for key, value in row["losses"].items()
    }


def test_two_learn_as_one_heed_orders_to_either_and_end_when_one_dies(
    make_show: Make, tmp_path: Path
) -> None:
    whole, parts, stopped = (make_show(tmp_path / name) for name in ("whole", "parts", "stopped"))
    steady = {**TINY, "finish": 0}
    alone(whole, {**steady, "iterations": 6})
    alone(parts, {**steady, "iterations": 2})
    orders = {
        "rank": 1,
        "orders": {"2": {"order": "change", "options": {"lr": 1e-4}}, "3": {"order": "stop"}},
    }
    first, second = pair(
        tmp_path,
        {"show": str(parts), "options": {**steady, "iterations": 4}},
        {"show": str(stopped), "options": TINY, **orders},
        {"show": str(stopped), "options": TINY, "die": 1},
    )
    alone(parts, {**steady, "iterations": 6})
    assert apart(whole, parts) < ROUNDING
    ours, theirs = newest(whole), newest(parts)
    assert ours.iteration == theirs.iteration == 6
    assert np.allclose(ours.state["recent"], theirs.state["recent"], rtol=1e-3)
    assert (first[0]["ended"], first[1]["ended"], second) == ("iterations", "stopped", [{}, {}])
    assert first[2]["error"] == "WorkerLost" and "checkpoint stands" in first[2]["text"]
    assert newest(stopped).iteration == first[1]["iteration"] >= 3


@pytest.mark.slow
def test_two_learn_as_one_whatever_the_model_and_the_feed(make_show: Make, tmp_path: Path) -> None:
    fed = {
        "ct_mode": "rct",
        "random_hsv_power": 0.1,
        "random_color": 0.5,
        "yaw_matched": True,
        "src_flip": True,
    }
    wanted: dict[str, Options] = {
        "tiny": {**TINY, **fed},
        "saehd": {**CPU, "model": "saehd", "saehd": {**SMALL, **POWERS, "archi": "df"}},
        "amp": {
            **CPU,
            "model": "amp",
            "amp": {**SMALL, "inter_dims": 32, "face_type": "full", "gan_power": 0.1},
        },
        "trueface": {**CPU, "model": "trueface", "trueface": {"resolution": 64, "dims": 8}},
    }
    for name, options in wanted.items():
        # The last of them is of the finish.
        options["iterations"] = 4
        alone(make_show(tmp_path / f"{name}-alone"), options)
    runs = [
        {"show": str(make_show(tmp_path / name)), "options": options}
        for name, options in wanted.items()
    ]
    in_float64 = [
        {
            **each,
            "model": f"{tmp_path}/{name}-alone/models/{name}",
            "weights": f"{tmp_path}/{name}.pt",
        }
        for name, each in zip(wanted, runs, strict=True)
    ]
    pair(tmp_path, *runs, *in_float64)
    for name, each in zip(wanted, in_float64, strict=True):
        one, two = tmp_path / f"{name}-alone", tmp_path / name
        assert apart(one, two, name) < ROUNDING, name
        ours, theirs = losses(one, name), losses(two, name)
        assert ours.keys() == theirs.keys() and all(
            np.isclose(ours[key], theirs[key], rtol=1e-3) for key in ours
        ), name
        assert apart_in_float64(each) < EXACT, name


def test_a_batch_that_cannot_be_shared_is_refused_with_those_that_can() -> None:
    two = ProcessGroup(torch.device("cpu"), 0, 2)
    with pytest.raises(BadOption, match="Take 4 or 6"):
        send_setup(two, TrainOptions(batch=5), ModelRecipe())
    with pytest.raises(BadOption, match="Take 2:"):
        send_setup(two, TrainOptions(batch=1), ModelRecipe())


def test_without_torchrun_a_team_is_one_and_nothing_is_started() -> None:
    with join("cpu") as group:
        assert (group.is_lead, group.size, group.others) == (
            True,
            1,
            "",
        ) and not torch.distributed.is_initialized()
