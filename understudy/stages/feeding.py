"""How the options of `train`, and where they say nothing those of the model, become batches."""

from __future__ import annotations

import math
from dataclasses import replace

from understudy.core.augment import Motion
from understudy.stages.batches import Batches, Feed
from understudy.stages.face_store import FaceStore
from understudy.stages.learner import Learner
from understudy.stages.train import TrainOptions


def batches(options: TrainOptions, src: FaceStore, dst: FaceStore, learner: Learner, finishing: bool) -> Batches:
    """Batches for a model that learns. finishing: nothing is bent any more."""
    own, recipe = learner.recipe.model_options, learner.recipe
    moved = motions(options, own.motion)
    src_motion, dst_motion = (replace(each, warp=0.0) for each in moved) if finishing else moved
    feed = Feed(options.uniform_yaw, options.yaw_matched, options.random_hsv_power, options.ct_mode, own.plain_every)
    pairs, resolution = options.batch or own.batch, learner.model.resolution
    return Batches(
        src, dst, src_motion, dst_motion, options.random_color, resolution, pairs, learner.device, recipe.seed, feed=feed
    )


def motions(options: TrainOptions, own: Motion) -> tuple[Motion, Motion]:
    """How src's and dst's faces move: what the options say, and where they say nothing (-1) what is the model's own."""
    both = Motion(
        own.rotation if options.rotation < 0 else math.radians(options.rotation),
        own.shift if options.shift < 0 else options.shift,
        own.scale if options.scale < 0 else options.scale,
        warp=own.warp if options.warp < 0 else options.warp,
    )
    return replace(both, flip=options.src_flip, zoom=options.src_scale), replace(both, flip=options.dst_flip)
