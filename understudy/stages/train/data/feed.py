"""How the options of `train`, and where they say nothing those of the model, become batches."""

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
from understudy.stages.train.data.batches import Batches, Feed
from understudy.stages.train.data.face_store import FaceStore, load_faces
from understudy.stages.train.options import TrainOptions
from understudy.stages.train.state import TrainState


def loaded(
    project: Project, options: TrainOptions, recipe: ModelRecipe
) -> tuple[FaceStore, FaceStore]:
    """src's and dst's faces for a model; where it pretrains, those of many people for both."""
    shape = recipe.build(torch.device("meta"))
    margin = max(each.margin for each in motions(options, recipe.model_options.motion))
    places = (
        [Path(options.pretrain)]
        if options.pretrain
        else [project.faces("src"), project.faces("dst")]
    )
    found = [
        load_faces(Faceset(each), shape.face_type, shape.resolution, margin) for each in places
    ]
    return found[0], found[-1]


def workers(device: torch.device) -> int:
    """How many threads make batches: where the CPU is the device they would only take cores from
    it.
    """
    return 1 if device.type == "cpu" else min(8, os.cpu_count() or 1)


def batches(state: TrainState, src: FaceStore, dst: FaceStore) -> Batches:
    """The batches of a run, from this state to the end of its phase."""
    options, own = state.options, state.recipe.model_options
    moved = motions(options, own.motion)
    is_warped = state.phase == "warp"
    src_motion, dst_motion = moved if is_warped else (replace(each, warp=0.0) for each in moved)
    feed = Feed(
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
        src_motion,
        dst_motion,
        options.random_color,
        state.model.resolution,
        state.batch_size,
        state.device,
        state.recipe.seed,
        rank,
        feed,
        size,
    )


def _color_fit(options: TrainOptions) -> ColorFit | None:
    if options.ct_mode == "none":
        return None
    return color_transfers.configured(options.ct_mode, options).pixel_fit()


def motions(options: TrainOptions, own: AugmentConfig) -> tuple[AugmentConfig, AugmentConfig]:
    """How src's and dst's faces move: what the options say, and where they say nothing (-1) what is
    the model's own.
    """
    both = AugmentConfig(
        own.rotation if options.rotation is None else math.radians(options.rotation),
        own.shift if options.shift is None else options.shift,
        own.scale if options.scale is None else options.scale,
        warp=own.warp if options.warp is None else options.warp,
    )
    return replace(both, flip=options.src_flip, zoom=options.src_scale), replace(
        both, flip=options.dst_flip
    )
