"""Command lines in processes that are forked from this one, with everything loaded already.

A program of its own, driven by `harness`. It reads requests from standard input, a JSON object a
line, and answers each with one. So a run costs what it does, and not the seconds of its imports.

What a child does to files is counted by Python's audit events, and by its calls of fsync; at one of
them it is killed, or its disk is full from there on.
"""

from __future__ import annotations

import atexit
import errno
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

# Whatever a run changes, in Python's words; "open" counts where it may write.
CHANGES = {
    "open",
    "os.chmod",
    "os.fsync",
    "os.link",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.symlink",
    "os.truncate",
    "os.utime",
}
# Of them, what takes room.
TAKES_ROOM = {"open", "os.fsync", "os.link", "os.mkdir", "os.symlink"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Operations:
    """Counts what this process does to the files below a folder, and interferes at the `at`-th.

    fault: "kill", or the name of the error that every operation that takes room meets from there
    on; None = only count. Every operation goes to the file `log`, a line each.
    """

    def __init__(self, root: str, fault: str | None, at: int, log: str) -> None:
        self.root, self.fault, self.at, self.count = root, fault, at, 0
        self.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        sync = os.fsync

        def fsync(handle: int) -> None:
            self.meet("os.fsync", "")
            sync(handle)

        os.fsync = fsync
        sys.addaudithook(self.heard)

    def heard(self, event: str, words: tuple[Any, ...]) -> None:
        if event not in CHANGES or (event == "open" and not is_writing(words)):
            return
        # A folder that is removed is held open by number, and names are relative to it.
        path = os.fsdecode(words[0]) if isinstance(words[0], str | bytes | os.PathLike) else ""
        if os.path.abspath(path).startswith(self.root):
            self.meet(event, path)

    def meet(self, event: str, path: str) -> None:
        self.count += 1
        os.write(self.log, f"{event} {path}\n".encode(errors="surrogateescape"))
        if self.fault is None or self.count < self.at:
            return
        if self.fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if event in TAKES_ROOM:
            number = getattr(errno, self.fault)
            raise OSError(number, os.strerror(number), path or None)


def is_writing(words: tuple[Any, ...]) -> bool:
    """Whether the event "open" is of a file that may be written."""
    _, mode, flags = words
    return bool(set(mode) & set("wax+")) if isinstance(mode, str) else bool(flags & WRITING)


def load() -> None:
    """Load what a run needs, without any computation that would start a thread."""
    import functools

    import torch

    from understudy import cli
    from understudy.parts.detectors import detectors
    from understudy.stages import jobs

    torch.set_num_threads(1)
    for verb in jobs.verbs().values():
        jobs.options_of(verb)
    cli.build_app = functools.cache(cli.build_app)
    cli.parse(["new", "a", "b", "c"])
    assert detectors["blazeface"]
    for name in (
        "onnx",
        "onnxruntime",
        "onnxscript",
        "torch.onnx",
        "c2pa",
        "ai_edge_litert.interpreter",
        "understudy.stages.train.run",
        "understudy.stages.export.onnx",
        "understudy.stages.saved_models.load",
    ):
        try:
            __import__(name)
        except ImportError:
            continue
    shrink_models()


def shrink_models() -> None:
    """As the fixture `small_models`, and chunks of three frames, so that a run has several."""
    from understudy.nets.autoencoder.decoders import ConditionalDecoder
    from understudy.nets.autoencoder.encoders import Encoder, Inter
    from understudy.nets.autoencoder.swappers import SharedDecoder
    from understudy.parts.models.base.autoencoder import Autoencoder, AutoencoderLossConfig
    from understudy.parts.models.tiny import Tiny
    from understudy.stages.parallel import chunks
    from understudy.stages.train.evaluation import validation
    from understudy.stages.train.evaluation.swap_metrics import MetricNets

    def build(options: Tiny) -> Autoencoder:
        encoder = Encoder(options.resolution, (8, 8, 16), fold=2)
        decoder = ConditionalDecoder(2, 16, 2 * encoder.size, (16, 8), fold=2)
        net = SharedDecoder(encoder, Inter(encoder, 24, 16, 16, pixel_norm=True), decoder)
        return Autoencoder(
            net, options.resolution, "full", AutoencoderLossConfig(l1=10, codes=0.3), "kaiming"
        )

    Tiny.build = build
    validation.load_metric_nets = MetricNets
    chunks._FEWEST = chunks._MOST = 3


def become(request: dict[str, Any]) -> int:
    """Be the run that a request asks for; its exit code."""
    os.setsid()
    os.chdir(request["folder"])
    nothing = os.open(os.devnull, os.O_RDONLY)
    told = os.open(request["told"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(nothing, 0)
    os.dup2(told, 1)
    os.dup2(told, 2)
    os.environ.update(request["environment"])
    import tempfile

    # Python tries the folder by writing to it.
    tempfile.tempdir = None
    tempfile.gettempdir()
    sys.argv = ["understudy", *request["words"]]
    for name, limit in request["limits"].items():
        import resource

        resource.setrlimit(getattr(resource, name), (limit, limit))
    if "start" in request:
        while not Path(request["start"]).exists():
            time.sleep(0.001)
    Operations(request["root"], request["fault"], request["at"], request["log"])
    from understudy import signals
    from understudy.__main__ import main

    # Python's own start, in which a signal cannot be seen to, is none of what is tried here.
    signals.end_at_once(130)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals.stop_signals())
    return main()


def end(code: int) -> None:
    """As Python ends, but for what libraries do last: their threads did not come along."""
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(code)


def serve() -> None:
    load()
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            answer = os.fork()
            if answer == 0:
                end(become(request))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve()
