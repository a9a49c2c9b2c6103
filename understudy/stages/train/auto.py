"""`auto`: which model to train when nobody says, by this machine's memory and the faces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from understudy.core.face import align
from understudy.core.training.split import MIN_FACES
from understudy.io.faceset.faceset import Faceset
from understudy.io.model_files import checkpoint
from understudy.nets.device import resolve_device
from understudy.nets.memory_estimate import estimate_step_bytes
from understudy.parts.models import models
from understudy.parts.models.base.model import Batch, Samples
from understudy.stages.project import Project
from understudy.stages.saved_models.recipe import (
    CHECKPOINTS,
    OPTIONS_FILE,
    ModelRecipe,
    list_model_folders,
    read_recipe,
    saved_at,
)
from understudy.stages.train.options import TrainOptions
from understudy.types import FaceType

# Sides of the faces to choose from, the best first, and pairs of faces an iteration. What is larger
# learns for weeks.
RESOLUTIONS = (256, 224, 192, 160, 128, 96)
BATCH_SIZES = (16, 8, 4)
# In fewer minutes than this no large model learns much.
MIN_MINUTES = 60
# The share of a card's free memory that a step may take: what the libraries of the network use by
# the way is not counted.
MEMORY_SHARE = 0.75
# From the widest on: the face types that the models of a GPU learn.
_FACE_TYPES: tuple[FaceType, ...] = ("whole", "full", "mid-full", "half")


@dataclass(frozen=True)
class Choice:
    """A model with its settings, pairs of faces an iteration (None = its own), and why."""

    model: str
    settings: dict[str, Any]
    pairs: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """The options of one run of `train`, with all that `auto` decides decided.

    Attributes:
        options: Of the run: defaults, files, flags and decisions.
        flags: Of the command line, and the decisions.
        reason: Why it is this model; empty when the user named it.
    """

    options: TrainOptions
    flags: TrainOptions
    reason: str


def resolve(project: Project, flags: TrainOptions) -> Resolved:
    """The options of `train` for a show, with a model in place of auto: once, at the start."""
    options = project.options("train", flags)
    decided, reason = _decide(project, options)
    options, flags = (
        TrainOptions.layered(_without_auto(each), decided, where="train")
        for each in (options, flags)
    )
    return Resolved(options, flags, reason)


def _decide(project: Project, options: TrainOptions) -> tuple[dict[str, Any], str]:
    """What `auto` sets, as a layer of options, and why.

    A show that has a model goes on with the one that was trained last. Settings that were asked for
    come before ours.
    """
    if options.model != "auto" or options.from_:
        return {}, ""
    if options.name and (project.model(options.name) / OPTIONS_FILE).exists():
        model = read_recipe(project.model(options.name)).model
        return {"model": model, **_decide_end(project, options, model)}, ""
    if not options.name and (known := newest_model(project)):
        model = read_recipe(project.model(known)).model
        return (
            {"model": model, "name": known, **_decide_end(project, options, model)},
            f"goes on with {known}, which was trained last. Another: --model, --name",
        )
    device = resolve_device("auto" if options.device == "all" else options.device)
    choice = choose(project, device, options.minutes)
    decided: dict[str, Any] = {"model": choice.model, **_decide_end(project, options, choice.model)}
    if settings := {**choice.settings, **options.settings_of(choice.model)}:
        decided[choice.model] = settings
    if choice.pairs and not options.batch:
        decided["batch"] = choice.pairs
    return decided, choice.reason


def _without_auto(options: TrainOptions) -> dict[str, Any]:
    """What was set of these options. The model auto is as good as none."""
    return {
        name: value
        for name, value in options.set_values().items()
        if (name, value) != ("model", "auto")
    }


def newest_model(project: Project) -> str:
    """The name of the model of a show that was trained last; empty where none has weights."""
    known = list_model_folders(project.folder / "models")
    found = [each for each in known if checkpoint.peek(each / CHECKPOINTS)]
    return max(found, key=saved_at).name if found else ""


def choose(project: Project, device: torch.device, minutes: float | None = None) -> Choice:
    """The model for a device, the faces of a show and the time there is; None = any."""
    if device.type == "cpu":
        return Choice(
            "tiny", {}, None, "tiny: what a processor learns in minutes. On a GPU it would be saehd"
        )
    if minutes and minutes < MIN_MINUTES:
        return Choice(
            "tiny",
            {},
            None,
            f"tiny: what is learnt in {minutes:g} minutes. With {MIN_MINUTES} or more it would"
            " be saehd",
        )
    free = free_bytes(device)
    face_type, across = visible_faces(project)
    best = largest_that_fits(free, face_type, across)
    if best is None:
        return Choice(
            "tiny",
            {},
            None,
            f"tiny: {free / 1e9:.1f} GB are free on {device}, too little for saehd",
        )
    return best


def largest_that_fits(free: int, face_type: FaceType, across: int) -> Choice | None:
    """The largest saehd whose steps fit into the memory; None when none does.

    Args:
        free: Bytes that are free on the device.
        across: The side of dst's faces in the plate, px.
    """
    # Beyond what the plate shows there is nothing to learn; the smallest is taken however small the
    # faces are.
    sides = [side for side in RESOLUTIONS if side <= across] or [RESOLUTIONS[-1]]
    for side, pairs in _candidates(sides):
        settings = {
            "resolution": side,
            "archi": "liae-ud" if side < 192 else "liae-udt",
            "face_type": face_type,
        }
        needed = estimate_memory(ModelRecipe(model="saehd", settings=settings), pairs)
        if needed <= MEMORY_SHARE * free:
            why = (
                f"saehd {settings['archi']} at {side} px, {pairs} pairs: a step takes about"
                f" {needed / 1e9:.1f} of the {free / 1e9:.1f} GB that are free, and dst's"
                f" {face_type} faces are about {across} px wide in the plate"
            )
            return Choice("saehd", settings, pairs, why)
    return None


def estimate_memory(recipe: ModelRecipe, pairs: int) -> int:
    """Bytes that a step of a model takes in float32; in bf16 it is less."""
    meta = torch.device("meta")
    model = recipe.build(meta)
    side = model.resolution
    planes = [(pairs, channels, side, side) for channels in (3, 3, 1, 1, 1)]
    batch = Batch(
        *(Samples(*(torch.empty(shape, device=meta) for shape in planes)) for _ in range(2))
    )

    def loss(group: str) -> Callable[[], torch.Tensor]:
        return lambda: torch.stack(list(model.losses(batch, group).values())).sum()

    groups = model.parameter_groups()
    learning = [weight for group in groups.values() for weight in group.values()]
    return estimate_step_bytes([loss(group) for group in groups], learning)


def free_bytes(device: torch.device) -> int:
    """Bytes that are free on a GPU."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(torch.mps.recommended_max_memory()) if device.type == "mps" else 0


def visible_faces(project: Project) -> tuple[FaceType, int]:
    """The widest face type that both facesets show, and how wide dst's median face is, in px."""
    sets = [Faceset(project.faces("src")), Faceset(project.faces("dst"))]
    common = (
        kind for kind in _FACE_TYPES if all(align.contains(each.face_type, kind) for each in sets)
    )
    face_type = next(common, _FACE_TYPES[-1])
    matrices = [align.face_from_frame(points, face_type, 1) for points in sets[1].faces.landmarks]
    return face_type, round(
        1 / float(np.median([np.sqrt(abs(np.linalg.det(each[:, :2]))) for each in matrices]))
    )


def _decide_end(project: Project, options: TrainOptions, model: str) -> dict[str, Any]:
    """The end that auto sets where the options name none: once the score has plateaued.

    That is the finish, and what follows it where the model has a critic.
    """
    has_end = options.iterations or options.minutes or "until" in options.model_fields_set
    sides = (Faceset(project.faces(side)) for side in ("src", "dst"))
    if (
        has_end
        or options.pretrain
        or options.exchange
        or any(not side.is_there or len(side) < MIN_FACES for side in sides)
    ):
        return {}
    return {"until": "gan" if models[model].has_critic() else "finish"}


def _candidates(sides: list[int]) -> Iterator[tuple[int, int]]:
    """Sides and batch sizes to try, the best first.

    The largest face with enough pairs comes first; few pairs only where nothing else fits.
    """
    yield from ((side, pairs) for side in sides for pairs in BATCH_SIZES[:2])
    yield from ((side, BATCH_SIZES[2]) for side in reversed(sides))
