"""`--device all`: a process for each GPU of this machine, as torchrun would start them."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from understudy import errors
from understudy.io import data_files, processes, system
from understudy.stages.events import Stage, read_event
from understudy.stages.jobs import Job
from understudy.stages.project import Project
from understudy.stages.train.options import TrainOptions


def launch(project: Project, flags: TrainOptions, count: int) -> Stage:
    """Train in `count` processes on this machine: events of rank 0 come out, orders go in to it.

    Raises what ended them, as one process would.
    """
    # Each may use its share of the cores; torchrun would give them one.
    environment = {"OMP_NUM_THREADS": str(max(1, system.cpu_count() // count))}
    troubles: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="understudy-") as folder:
        job = Path(folder) / "job.json"
        order = Job(
            verb="train", arguments={"show": str(project.folder)}, options=flags.set_values()
        )
        job.write_text(order.model_dump_json(), encoding="utf-8")
        torchrun = [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node",
            str(count),
        ]
        with processes.Child(
            [*torchrun, "-m", "understudy", "run", str(job), "--json", "--orders"], environment
        ) as child:
            for line in child.lines():
                # Libraries may say something too.
                message = (
                    data_files.parse_json(line, "a process")
                    if line.startswith('{"event"')
                    else {"event": "none"}
                )
                if message["event"] == "error":
                    troubles.append(message)
                elif message["event"] != "none" and (
                    answer := (yield read_event.validate_python(message))
                ):
                    child.send(answer.model_dump_json())
            code = child.wait_for_exit()
    # Who was left alone by another says so too; what that one says is the reason.
    for trouble in sorted(troubles, key=lambda each: each["kind"] == errors.WorkerLost.__name__):
        kind = getattr(errors, trouble["kind"], errors.UnderstudyError)
        raise kind(trouble["text"])
    if code:
        raise errors.WorkerLost(
            f"a process of {count} ended with code {code}. See what it said above, then start"
            " again."
        )
