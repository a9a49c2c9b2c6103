"""`train`: a model that learns both faces."""

from __future__ import annotations

from pathlib import Path

from understudy.stages.events import Stage
from understudy.stages.jobs import verb
from understudy.stages.project import Project
from understudy.stages.train.callbacks.tensorboard import refuse_missing, watched
from understudy.stages.train.options import TrainOptions


@verb
def train(show: Path, options: TrainOptions) -> Stage:
    """Train a model on the faces of a show, or go on where it stopped.

    Ctrl-C saves and ends. Previews, losses and checkpoints lie in the show's models folder.
    """
    # Late, here and below: --help need not wait for torch.
    from understudy.stages.train.auto import settled
    from understudy.stages.train.resolve import model_name
    from understudy.stages.train.run import training

    project = Project.load(show)
    stage = training(project, options)
    chosen, _ = settled(project, options)
    if chosen.tensorboard:
        refuse_missing()
        stage = watched(stage, project.model(model_name(chosen)))
    yield from stage
