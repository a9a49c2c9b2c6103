"""A device that fails while a model learns on it, or that is there and cannot be used."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import torch

from understudy.errors import DeviceLost
from understudy.io import system
from understudy.io.model_files import checkpoint
from understudy.nets.device import is_device_alive
from understudy.stages.events import Stage, Warned


@contextlib.contextmanager
def translate_device_errors(device: torch.device, checkpoints: Path) -> Iterator[None]:
    """Turn an error after which the device no longer answers into DeviceLost, and no other."""
    try:
        yield
    except RuntimeError as error:
        if is_device_alive(device):
            raise
        first = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        saved = checkpoint.peek(checkpoints)
        kept = (
            f"What was learnt until iteration {saved.iteration} is saved"
            if saved
            else "Nothing was saved yet"
        )
        raise DeviceLost(
            f"{device}: no longer answers: {first}. {kept}. Look at it with `doctor`, then run the"
            " same command again; --device cpu goes on without it."
        ) from error


def warn_unused_gpu(asked: str, device: torch.device) -> Stage:
    """Warn where the CPU is used because PyTorch cannot use the GPU that is there.

    Args:
        asked: What --device says.
    """
    found = system.list_gpus() if device.type == "cpu" and asked != "cpu" else []
    if found:
        built = (
            "is built without CUDA or ROCm"
            if not torch.version.cuda and not torch.version.hip
            else "cannot reach it"
        )
        yield Warned(
            text=(
                f"device: the model learns on the CPU, though there is a GPU of {found[0]}: PyTorch"
                f" {torch.__version__} {built}. Install the PyTorch for it, or its driver, as"
                " `doctor` says; --device cpu learns on the CPU without this line."
            )
        )
