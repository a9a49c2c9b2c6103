"""Writes what a run tells for TensorBoard."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from understudy.errors import MissingExtra
from understudy.io.footage import stills
from understudy.stages.events import Event, Measured, Progress, Saved
from understudy.stages.train.callbacks.base import Callback

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

# In a model's folder.
FOLDER = "tensorboard"


def require_tensorboard() -> None:
    """Raises MissingExtra where the package tensorboard is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        raise MissingExtra(
            "tensorboard: the package is not installed. Run: pip install 'understudy[tensorboard]',"
            " or leave it out."
        )


class TensorBoard(Callback):
    """Writes losses, measurements and previews into `folder`/tensorboard. Use it as a context."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER

    def __enter__(self) -> Self:
        # Late: it is an extra, and takes a second.
        from torch.utils.tensorboard import SummaryWriter

        self._writer: SummaryWriter = SummaryWriter(str(self._folder))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()

    def on_event(self, event: Event) -> None:
        match event:
            case Progress(done=done, values=values):
                for name, value in values.items():
                    self._writer.add_scalar(f"learning/{name}", value, done)
            case Measured(iteration=iteration, values=values):
                for name, value in values.items():
                    self._writer.add_scalar(f"held-out/{name}", value, iteration)
            case Saved(what="preview", path=path) if path.stem.isdigit():
                self._writer.add_image(
                    "preview", stills.read_image(path), int(path.stem), dataformats="HWC"
                )
