"""What a run tells, for TensorBoard."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.errors import MissingExtra
from understudy.io.footage import stills
from understudy.stages.events import Event, Measured, Progress, Saved, Stage

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

# In a model's folder.
FOLDER = "tensorboard"


def refuse_missing() -> None:
    """Raises MissingExtra where the package tensorboard is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        raise MissingExtra(
            "tensorboard: the package is not installed. Run: pip install 'understudy[tensorboard]',"
            " or leave it out."
        )


def watched(stage: Stage, folder: Path) -> Stage:
    """The events of a run of `train`, which still takes orders; numbers and previews go into
    `folder`/tensorboard as well.
    """
    # Late: --help need not wait for torch.
    from torch.utils.tensorboard import SummaryWriter

    try:
        event = next(stage)
        with SummaryWriter(str(folder / FOLDER)) as writer:
            while True:
                try:
                    _write(writer, event)
                    order = yield event
                except BaseException as error:
                    # Ctrl-C among them: the run saves before it ends.
                    event = stage.throw(error)
                else:
                    event = stage.send(order)
    except StopIteration:
        return


def _write(writer: SummaryWriter, event: Event) -> None:
    match event:
        case Progress(stage="train", done=done, values=values):
            for name, value in values.items():
                writer.add_scalar(f"learning/{name}", value, done)
        case Measured(iteration=iteration, values=values):
            for name, value in values.items():
                writer.add_scalar(f"held-out/{name}", value, iteration)
        case Saved(what="preview", path=path) if path.stem.isdigit():
            writer.add_image("preview", stills.read_image(path), int(path.stem), dataformats="HWC")
