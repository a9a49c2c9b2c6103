"""TensorFlow Lite networks on the CPU."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock

import numpy as np

from understudy.types import Floats

Network = Callable[[Floats], list[Floats]]


def load(path: Path, threads: int = 1) -> Network:
    """The network in a .tflite file as a function: one float32 input of the shape it asks for -> its float32 outputs.

    threads: CPU threads it may use. Calls from several threads wait for each other.
    """
    # Not at the top: loading it takes a while, and most commands never see a network.
    from ai_edge_litert.interpreter import Interpreter

    with _quiet():
        interpreter = Interpreter(model_content=path.read_bytes(), num_threads=threads)
        interpreter.allocate_tensors()
    entry = interpreter.get_input_details()[0]["index"]
    exits = [output["index"] for output in interpreter.get_output_details()]
    turn = Lock()

    def run(values: Floats) -> list[Floats]:
        with turn:
            interpreter.set_tensor(entry, np.ascontiguousarray(values, np.float32))
            interpreter.invoke()
            return [np.array(interpreter.get_tensor(index), np.float32) for index in exits]

    return run


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what the C++ side writes to standard error ("INFO: Created TensorFlow Lite XNNPACK delegate")."""
    stderr = 2
    kept = os.dup(stderr)
    silence = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(silence, stderr)
        yield
    finally:
        os.dup2(kept, stderr)
        os.close(kept)
        os.close(silence)
