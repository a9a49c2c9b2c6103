"""`train`: a model that learns both faces."""

from __future__ import annotations

from pathlib import Path

from understudy.stages.events import Stage
from understudy.stages.jobs import verb
from understudy.stages.project import Project
from understudy.stages.train.options import TrainOptions


@verb
def train(show: Path, options: TrainOptions) -> Stage:
    """Train a model on the faces of a show, or go on where it stopped.

    Ctrl-C saves and ends. Previews, losses and checkpoints lie in the show's models folder.
    """
    # Late: --help need not wait for torch.
    from understudy.stages.train.auto import resolve
    from understudy.stages.train.run import run_training

    project = Project.load(show)
    yield from run_training(project, resolve(project, options))
