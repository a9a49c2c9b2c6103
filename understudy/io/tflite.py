"""TensorFlow Lite networks on the CPU."""

from __future__ import annotations

import contextlib
import math
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock
from typing import Final

import numpy as np

from understudy.errors import WeightsMissing
from understudy.types import Floats

Network = Callable[[Floats], list[Floats]]


def load(path: Path, threads: int = 1, member: str = "") -> Network:
    """Return the network in a .tflite file as a function of one float32 input.

    Args:
        path: The file, or a bundle of several (.task).
        threads: CPU threads it may use. Calls from several threads wait for each other.
        member: The file within a bundle.

    Returns:
        A function from an array of the shape that the network asks for to its float32 outputs.

    Raises:
        WeightsMissing: There is no network in it.
    """
    # Not at the top: loading it takes a while, and most commands never see a network.
    from ai_edge_litert.interpreter import Interpreter

    content = _read_member(path, member) if member else path.read_bytes()
    try:
        with _silence_stderr():
            interpreter = Interpreter(model_content=content, num_threads=threads)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        first = str(error).partition("\n")[0]
        raise WeightsMissing(
            f"{path}{f', {member}' if member else ''}: not a network ({first}). Replace the file."
        ) from error
    entry = interpreter.get_input_details()[0]["index"]
    exits = [output["index"] for output in interpreter.get_output_details()]
    turn = Lock()

    def run(values: Floats) -> list[Floats]:
        with turn:
            interpreter.set_tensor(entry, np.ascontiguousarray(values, np.float32))
            interpreter.invoke()
            return [np.array(interpreter.get_tensor(index), np.float32) for index in exits]

    return run


def sigmoid(logit: float) -> float:
    """Return a network's logit as a score in 0..1."""
    return 1 / (1 + math.exp(-min(max(logit, -60), 60)))


def _read_member(bundle: Path, name: str) -> bytes:
    """A file of a bundle, which is a zip archive."""
    try:
        with zipfile.ZipFile(bundle) as members, members.open(name) as file:
            content = file.read(_LARGEST + 1)
    except (
        KeyError,
        OSError,
        RuntimeError,
        NotImplementedError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise WeightsMissing(
            f"{bundle}: holds no {name} that can be read ({error}). Replace the file."
        ) from error
    if len(content) > _LARGEST:
        raise WeightsMissing(
            f"{bundle}: its {name} is larger than any network should be. Replace the file."
        )
    return content


@contextlib.contextmanager
def _silence_stderr() -> Iterator[None]:
    """Hold back what the C++ side writes to standard error."""
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


# Bytes of the largest member of a bundle that we unpack.
_LARGEST: Final = 2**26
