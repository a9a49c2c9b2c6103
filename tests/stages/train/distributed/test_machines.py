"""The same through torchrun: on two machines, which here are two network namespaces, and where this
machine starts it by itself.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from understudy.errors import WorkerLost
from understudy.io.model_files import checkpoint
from understudy.stages.events import Finished, Progress, Saved, Stop
from understudy.stages.project import Project
from understudy.stages.train.command import train
from understudy.stages.train.distributed.launch import launch
from understudy.stages.train.options import TrainOptions

pytestmark = pytest.mark.slow

Make = Callable[..., Path]
OPTIONS = {"tiny": {"resolution": 64}, "batch": 2, "device": "cpu", "preview_minutes": 0}


@pytest.fixture
def machines() -> Iterator[list[str]]:
    """Two network namespaces with a wire between them: 10.83.0.1 and 10.83.0.2, on the devices of
    their names.
    """
    names = [f"us{os.getpid() % 10000}{end}" for end in "ab"]
    if (
        shutil.which("ip") is None
        or subprocess.run(
            ["ip", "netns", "add", names[0]], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("no network namespaces may be made here")
    try:
        subprocess.run(["ip", "netns", "add", names[1]], check=True)
        wire = [
            "ip",
            "link",
            "add",
            names[0],
            "netns",
            names[0],
            "type",
            "veth",
            "peer",
            "name",
            names[1],
            "netns",
            names[1],
        ]
        if subprocess.run(wire, capture_output=True, check=False).returncode:
            pytest.skip("no wire between namespaces may be made here")
        for end, name in enumerate(names, start=1):
            for words in (
                ["addr", "add", f"10.83.0.{end}/24", "dev", name],
                ["link", "set", name, "up"],
                ["link", "set", "lo", "up"],
            ):
                subprocess.run(["ip", "-n", name, *words], check=True)
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def test_two_machines_run_one_job_and_only_the_first_keeps_the_model(
    make_show: Make, tmp_path: Path, machines: list[str]
) -> None:
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nnodes",
        "2",
        "--nproc-per-node",
        "1",
    ]
    meeting, ends = ["--master-addr", "10.83.0.1", "--master-port", "29500"], []
    shows = [make_show(tmp_path / name) for name in ("here", "there")]
    list(train(shows[0], TrainOptions.layered({**OPTIONS, "iterations": 1})))
    for end, (name, show) in enumerate(zip(machines, shows, strict=True)):
        job = tmp_path / f"job{end}.json"
        job.write_text(
            json.dumps(
                {
                    "verb": "train",
                    "arguments": {"show": str(show)},
                    "options": {**OPTIONS, "iterations": 4},
                }
            )
        )
        within = ["ip", "netns", "exec", name, *torchrun, "--node-rank", str(end), *meeting]
        ends.append(
            subprocess.Popen(
                [*within, "-m", "understudy", "run", str(job), "--json"],
                env={**os.environ, "GLOO_SOCKET_IFNAME": name},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    (told, said), (silence, also) = (each.communicate(timeout=1200) for each in ends)
    assert [each.returncode for each in ends] == [0, 0], said + also
    last = [json.loads(line) for line in told.splitlines() if line.startswith('{"event"')][-1]
    assert last["event"] == "finished" and last["summary"]["iteration"] == 4
    assert not any(line.startswith('{"event"') for line in silence.splitlines())
    assert (
        checkpoint.load_intact(shows[0] / "models/tiny/checkpoints")[0][0].iteration == 4
        and not (shows[1] / "models").exists()
    )


def test_a_team_that_was_started_here_tells_stops_and_says_what_went_wrong(
    make_show: Make, tmp_path: Path
) -> None:
    project = Project.load(make_show(tmp_path / "show"))
    stage = launch(project, TrainOptions.layered(OPTIONS), 2)
    event = next(stage)
    while not isinstance(event, Finished):
        event = stage.send(Stop() if isinstance(event, Progress) else None)
        if isinstance(event, Saved):
            assert event.path.exists()
    assert event.summary["ended"] == "stopped" and list(stage) == []
    with pytest.raises(Exception, match="batch: 3 pairs") as found:
        list(launch(project, TrainOptions.layered({**OPTIONS, "batch": 3}), 2))
    assert not isinstance(found.value, WorkerLost) and type(found.value).__name__ == "BadOption"


@pytest.mark.gpu
def test_all_gpus_learn_as_a_team(make_show: Make, tmp_path: Path) -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    project = Project.load(make_show(tmp_path / "show"))
    options = {**OPTIONS, "device": "all", "iterations": 4, "batch": 2 * torch.cuda.device_count()}
    events = list(launch(project, TrainOptions.layered(options), torch.cuda.device_count()))
    assert isinstance(events[-1], Finished) and events[-1].summary["iteration"] == 4
