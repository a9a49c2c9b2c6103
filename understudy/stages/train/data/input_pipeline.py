"""From the options of `train` to batches: which faces are loaded, and how they are augmented."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path

import torch

from understudy.core.color.maps import ColorFit
from understudy.core.training.augment import AugmentConfig
from understudy.io.faceset.faceset import Faceset
from understudy.nets import ranks
from understudy.parts.color_transfers import color_transfers
from understudy.stages.project import Project
from understudy.stages.saved_models.recipe import ModelRecipe
from understudy.stages.train.data.batches import Batches, Sampling
from understudy.stages.train.data.face_store import FaceStore, load_face_store
from understudy.stages.train.options import TrainOptions
from understudy.stages.train.state import TrainState


def load_faces(
    project: Project, options: TrainOptions, recipe: ModelRecipe
) -> tuple[FaceStore, FaceStore]:
    """Load src's and dst's faces for a model; where it pretrains, those of many people for both.

    The first are those that the model learns as src: dst's where they are exchanged.

    options: with people by their numbers, see `training_faces.choose_people`.
    """
    shape = recipe.build(torch.device("meta"))
    margin = max(each.margin for each in augment_configs(options, recipe.model_options.motion))
    places: list[tuple[Path, int | None]] = (
        [(Path(options.pretrain), None)]
        if options.pretrain
        else [
            (project.faces("src"), options.src_person),
            (project.faces("dst"), options.dst_person),
        ]
    )
    found = [
        load_face_store(Faceset(each), shape.face_type, shape.resolution, margin, person)
        for each, person in places
    ]
    return (found[-1], found[0]) if options.exchange else (found[0], found[-1])


def worker_count(device: torch.device) -> int:
    """How many threads make batches."""
    # Where the CPU is the device more would only take cores from it.
    return 1 if device.type == "cpu" else min(8, os.cpu_count() or 1)


def make_batches(state: TrainState, src: FaceStore, dst: FaceStore) -> Batches:
    """The batches of a run, from this state to the end of its phase."""
    options, own = state.options, state.trainable.model_options
    configs = augment_configs(options, own.motion)
    if state.phase != "warp":
        configs = replace(configs[0], warp=0.0), replace(configs[1], warp=0.0)
    sampling = Sampling(
        options.uniform_yaw,
        options.yaw_matched,
        options.random_hsv_power,
        _color_fit(options),
        own.plain_every,
    )
    rank, size = ranks.rank_and_world_size()
    return Batches(
        src,
        dst,
        *configs,
        options.random_color,
        state.model.resolution,
        state.batch_size,
        state.device,
        state.recipe.seed,
        rank,
        sampling,
        size,
    )


def _color_fit(options: TrainOptions) -> ColorFit | None:
    if options.ct_mode == "none":
        return None
    return color_transfers.configured(options.ct_mode, options).pixel_fit()


def augment_configs(
    options: TrainOptions, own: AugmentConfig
) -> tuple[AugmentConfig, AugmentConfig]:
    """How the faces of `load_faces` are augmented: as the options say, else as the model prefers.

    What is said of src's faces goes with them, also where they are exchanged.
    """
    both = AugmentConfig(
        own.rotation if options.rotation is None else math.radians(options.rotation),
        own.shift if options.shift is None else options.shift,
        own.scale if options.scale is None else options.scale,
        warp=own.warp if options.warp is None else options.warp,
    )
    src = replace(both, flip=options.src_flip, zoom=options.src_scale)
    dst = replace(both, flip=options.dst_flip)
    return (dst, src) if options.exchange else (src, dst)
