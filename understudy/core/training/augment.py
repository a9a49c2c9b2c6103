"""Chance for training: where the pixels of one training picture come from, as maps into its stored
face.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from understudy.core import affine
from understudy.types import Doubles, Floats

# The warp's grids: so many cells along a side.
WARP_CELLS = (2, 4, 8)
# How far a node of the grid moves at most, in cells, and where the normal distribution behind it is
# cut, in deviations.
WARP_REACH, NORMAL_CUT = 0.24, 2.5


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """How far pictures are moved at random, evenly both ways. rotation: radians. shift: in widths
    of the face.

    scale: 0.05 = up to 5 % larger or smaller. flip: mirror every second one. warp: how much the
    input is bent, 0..1. zoom: 0.1 = all of them 10 % larger.
    """

    rotation: float = math.radians(10)
    shift: float = 0.05
    scale: float = 0.05
    flip: bool = False
    warp: float = 1.0
    zoom: float = 0.0

    @property
    def margin(self) -> float:
        """How much of the surroundings the motion can reach on each side, in widths of the face."""
        turned = math.cos(self.rotation) + math.sin(self.rotation)
        return max(0.0, (0.5 * (1 + self.scale) * turned + self.shift) / (1 + self.zoom) - 0.5)


def sample_augmentation(
    rng: np.random.Generator, motion: AugmentConfig, size: int
) -> tuple[Doubles, Floats]:
    """One picture's motion: moved_from_picture, (2, 3) between pictures of `size` pixels, and the
    nodes of its warp.

    nodes: (cells + 1, cells + 1, 2) float32, how far to look aside in pixels; nought on the rim.
    """
    middle = np.full(2, size / 2 - 0.5)
    angle = rng.uniform(-motion.rotation, motion.rotation)
    scale = math.exp(rng.uniform(-1, 1) * math.log1p(motion.scale)) * (1 + motion.zoom)
    shift = rng.uniform(-motion.shift, motion.shift, 2) * size
    mirror = -1.0 if motion.flip and rng.random() < 0.5 else 1.0
    turn = (
        scale
        * np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        @ np.diag([mirror, 1.0])
    )
    moved_from_picture = np.hstack([turn, (middle + shift - turn @ middle)[:, None]])
    cells = int(rng.choice(WARP_CELLS))
    nodes = np.zeros((cells + 1, cells + 1, 2), np.float32)
    if motion.warp:
        nodes[1:-1, 1:-1] = (
            _cut_normal(rng, (cells - 1, cells - 1, 2))
            / NORMAL_CUT
            * motion.warp
            * WARP_REACH
            * size
            / cells
        )
    return moved_from_picture, nodes


def sampling_map(store_from_picture: Doubles, nodes: Floats, size: int) -> Floats:
    """Where each pixel of the (size, size) picture looks in the store: (size, size, 2) xy, float32;
    bent by `nodes`.
    """
    weights = _spread(len(nodes), size)
    aside = np.stack([weights @ nodes[..., axis] @ weights.T for axis in (0, 1)], -1)
    places = np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1)
    return affine.apply(store_from_picture, places + aside).astype(np.float32)


def _spread(nodes: int, size: int) -> Floats:
    """How much each node counts for each pixel, bilinear, (size, nodes); nodes lie evenly from rim
    to rim of the area.
    """
    places = (np.arange(size, dtype=np.float32) + 0.5) / size * (nodes - 1)
    weights: Floats = np.maximum(
        0, 1 - np.abs(places[:, None] - np.arange(nodes, dtype=np.float32))
    )
    return weights


def _cut_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Normal numbers, drawn again until all lie within the cut."""
    drawn = rng.standard_normal(shape, np.float32)
    while (outside := np.abs(drawn) > NORMAL_CUT).any():
        drawn[outside] = rng.standard_normal(int(outside.sum()), np.float32)
    return drawn
