"""Writes what a run tells for TensorBoard."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from understudy.errors import MissingExtra
from understudy.io.footage import stills
from understudy.io.installation import install_extra
from understudy.stages.events import Event, Measured, Progress, Saved
from understudy.stages.train.callbacks.base import Callback

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

# In a model's folder.
FOLDER = "tensorboard"
# TensorBoard's number for it.
_RGB = 3


def require_tensorboard() -> None:
    """Raises MissingExtra where the package tensorboard is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        raise MissingExtra(
            "tensorboard: the package is not installed. Leave --tensorboard out, or run:"
            f" {install_extra('tensorboard')}."
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
                self._write_picture("preview", path.read_bytes(), int(path.stem))

    def _write_picture(self, tag: str, png: bytes, iteration: int) -> None:
        """Write a file as it is, with its mark: `add_image` would code the pixels anew."""
        summaries: Any = importlib.import_module("tensorboard.compat.proto.summary_pb2")
        writer: Any = self._writer.file_writer
        height, width = stills.decode_image(png, Path(tag)).shape[:2]
        image = summaries.Summary.Image(
            height=height, width=width, colorspace=_RGB, encoded_image_string=png
        )
        value = summaries.Summary.Value(tag=tag, image=image)
        writer.add_summary(summaries.Summary(value=[value]), iteration)
