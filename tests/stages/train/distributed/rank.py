"""One rank of a team, for tests: `python rank.py ORDER.json`, in the environment that torchrun
would give it.

The order: a list of runs, {"port", "show", "options", "orders": {iteration: order}}; orders are for
the rank named "rank", and the rank named "die" falls out. The summaries go to the file "out", with
the rank's number behind.
"""

import json
import os
import sys
from pathlib import Path

from understudy.errors import UnderstudyError
from understudy.stages.events import Finished, Progress, read_order
from understudy.stages.train.command import train
from understudy.stages.train.options import TrainOptions


def run(order: dict) -> dict:
    os.environ["MASTER_PORT"] = str(order["port"])
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
