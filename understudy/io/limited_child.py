"""A function of ours in a child process that may take only so much memory and time.

For what a foreign file makes a library do: the library answers no Ctrl-C and knows no bounds.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from typing import Any

from understudy import errors
from understudy.io import data_files, processes

# How long a child may wait for what is not computed: a disk, or its turn.
_PATIENCE = 300


class Exhausted(Exception):
    """The child took more memory or time than it may, or broke down; the text says which."""


def call(function: str, arguments: dict[str, Any], memory: int, seconds: int) -> Any:
    """Return what a function of ours returns in a child process.

    Args:
        function: "module:name"; its values are plain, as in JSON.
        arguments: By name.
        memory: Bytes that it may take beyond those of its imports.
        seconds: Time that it may compute, over all threads.

    Raises:
        Exhausted: It took more, or broke down.
        UnderstudyError: As the function raises it.
    """
    order = json.dumps(
        {"function": function, "arguments": arguments, "memory": memory, "seconds": seconds}
    )
    # Each arena of malloc reserves memory that it may never use, which counts all the same.
    environment = {**os.environ, **processes.python_environment(), "MALLOC_ARENA_MAX": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__],
            input=order.encode(),
            capture_output=True,
            env=environment,
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Exhausted(f"it took more than {_PATIENCE} s") from None
    answer = done.stdout.rpartition(b"\n")[2]
    if done.returncode or not answer:
        raise Exhausted(_describe_end(done.returncode, memory, seconds))
    found = data_files.parse_json(answer, "a child process")
    if "error" in found:
        kind = getattr(errors, found["error"], errors.UnderstudyError)
        raise kind(found["text"])
    return found["value"]


def main() -> None:
    """Carry out the order on standard input."""
    order = data_files.parse_json(sys.stdin.buffer.read(), "standard input")
    module, _, name = order["function"].partition(":")
    function = getattr(importlib.import_module(module), name)
    try:
        _limit(order["memory"], order["seconds"])
        answer = {"value": function(**order["arguments"])}
    except errors.UnderstudyError as error:
        answer = {"error": type(error).__name__, "text": str(error)}
    sys.stdout.write("\n" + json.dumps(answer))
    sys.stdout.flush()
    # What a library holds is not worth the time to free it, and may break down.
    os._exit(0)


def peak_memory() -> int:
    """The most memory that this process has had so far, in bytes; 0 where that is not known."""
    try:
        import resource
    except ImportError:
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most << 10


def _limit(memory: int, seconds: int) -> None:
    """Limit this process, where the system knows how."""
    try:
        import resource
    except ImportError:
        return
    spent = int(sum(os.times()[:2]))
    resource.setrlimit(resource.RLIMIT_CPU, (spent + seconds, spent + seconds + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        with open("/proc/self/statm", "rb") as file:
            present = int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (present + memory, present + memory))


def _describe_end(code: int, memory: int, seconds: int) -> str:
    if code in (-24, -9):  # SIGXCPU, SIGKILL
        return f"it took more than {seconds} s of computing"
    return f"it broke down, or took more than {memory >> 20} MB of memory"


if __name__ == "__main__":
    main()
