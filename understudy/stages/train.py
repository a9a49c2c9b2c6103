"""`train`: a model that learns both faces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from understudy.options import Options, option
from understudy.stages.events import Stage
from understudy.stages.jobs import verb
from understudy.stages.project import Project

if TYPE_CHECKING:
    from understudy.parts.models import Model


class TrainOptions(Options):
    """What `train` asks. A model keeps what it was built with: model, seed, resolution, light and pixel_loss."""

    model: str = option("tiny", "What to train: tiny, h64, h128, df or liaef128")
    name: str = option("", "Name under which this model is kept; empty = what it is called under model")
    resolution: int = option(0, "Side of the faces; 0 = the model's own", low=0, high=1024, unit="px")
    light: bool = option(False, "The variant for little memory (h64, h128)")
    pixel_loss: bool = option(False, "Learn squared differences of pixels in place of structural similarity (all but tiny)")
    seed: int = option(0, "Where chance starts; the same seed and faces give the same run", low=0)
    iterations: int = option(0, "Stop when the model has learnt this many iterations in all; 0 = no such end", low=0, live=True)
    minutes: float = option(0, "Stop when the model has learnt this long in all; 0 = no such end", low=0, unit="minutes", live=True)
    batch: int = option(0, "Pairs of faces an iteration; 0 = the model's own", low=0, high=512)
    lr: float = option(0, "Step size of Adam; 0 = the model's own", low=0, high=0.1, live=True)
    clip: float = option(-1, "Longest gradient that is not shortened; 0 = any, -1 = the model's own", low=-1, live=True)
    device: str = option("auto", "Where to compute: auto, cpu, cuda, cuda:1, mps, …")
    precision: Literal["auto", "fp32", "bf16"] = option("auto", "Number format of the network; auto = bf16 where the device has it")
    channels_last: Literal["auto", "on", "off"] = option("auto", "Memory layout of the network; auto = on for CUDA")
    save_minutes: float = option(
        5, "Save this often at the latest; more often in the first minutes", low=0.01, unit="minutes", live=True
    )
    preview_minutes: float = option(2, "Draw a preview this often; 0 = only at the end", low=0, unit="minutes", live=True)
    rotation: float = option(-1, "Turn faces at random by up to this; -1 = the model's own", low=-1, high=30, unit="degrees")
    shift: float = option(-1, "Move faces at random by up to this; -1 = the model's own", low=-1, high=0.2, unit="face widths")
    scale: float = option(-1, "Enlarge or shrink faces at random by up to this share; -1 = the model's own", low=-1, high=0.3)
    warp: float = option(-1, "Bend the faces that go in, so that the model learns to undo it; -1 = the model's own", low=-1, high=1)
    finish: float = option(
        0.4, "Last share of a run with an end, in which the step size falls and nothing is bent", low=0, high=1, live=True
    )
    src_flip: bool = option(False, "Mirror src's faces at random: helps when dst turns to a side that src never shows")
    dst_flip: bool = option(False, "Mirror dst's faces at random")
    random_color: float = option(0, "Change brightness and contrast at random by this much", low=0, high=1)


@verb
def train(show: Path, options: TrainOptions) -> Stage:
    """Train a model on the faces of a show, or go on where it stopped.

    Ctrl-C saves and ends. Previews, losses and checkpoints lie in the show's models folder.
    """
    # Late, here and below: --help need not wait for torch.
    from understudy.stages.training import training

    project = Project.load(show)
    yield from training(project, project.options("train", options))


def load_model(folder: Path, device: str) -> Model:
    """The model saved in `folder` (a show's models/NAME) with its newest weights, to predict with. Raises BadProject without."""
    from understudy.stages.saved_model import load

    return load(folder, device)
