"""Random augmentation: where the pixels of a training picture come from in its stored face."""

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
    """How far pictures are moved at random, evenly both ways.

    Attributes:
        rotation: Radians.
        shift: In widths of the face.
        scale: 0.05 = up to 5 % larger or smaller.
        flip: Mirror every second picture.
        warp: How much the input is warped, 0..1.
        zoom: 0.1 = all pictures 10 % larger.
    """

    rotation: float = math.radians(10)
    shift: float = 0.05
    scale: float = 0.05
    flip: bool = False
    warp: float = 1.0
    zoom: float = 0.0

    @property
    def margin(self) -> float:
        """How much of the surroundings can come into view on each side, in widths of the face."""
        turned = math.cos(self.rotation) + math.sin(self.rotation)
        return max(0.0, (0.5 * (1 + self.scale) * turned + self.shift) / (1 + self.zoom) - 0.5)


def sample_augmentation(
    rng: np.random.Generator, motion: AugmentConfig, size: int
) -> tuple[Doubles, Floats]:
    """Draw the augmentation of one picture.

    Args:
        rng: Where the random numbers come from.
        motion: How far it may move.
        size: Side of the picture in pixels.

    Returns:
        moved_from_picture, (2, 3) float64 between pictures of `size` pixels. And the nodes of its
            warp,
        (cells + 1, cells + 1, 2) float32: how many pixels aside to look, 0 on the rim.
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
            _truncated_normal(rng, (cells - 1, cells - 1, 2))
            / NORMAL_CUT
            * motion.warp
            * WARP_REACH
            * size
            / cells
        )
    return moved_from_picture, nodes


def sampling_map(store_from_picture: Doubles, nodes: Floats, size: int) -> Floats:
    """Return where each pixel of a picture looks in the store, for `cv2.remap`.

    Args:
        store_from_picture: (2, 3).
        nodes: (n, n, 2) of the warp, pixels.
        size: Side of the picture in pixels.

    Returns:
        (size, size, 2) float32 xy in the store.
    """
    weights = _bilinear_weights(len(nodes), size)
    aside = np.stack([weights @ nodes[..., axis] @ weights.T for axis in (0, 1)], -1)
    places = np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1)
    return affine.apply(store_from_picture, places + aside).astype(np.float32)


def _bilinear_weights(nodes: int, size: int) -> Floats:
    """How much each node counts for each pixel, bilinear, (size, nodes).

    Nodes lie evenly from rim to rim of the area.
    """
    places = (np.arange(size, dtype=np.float32) + 0.5) / size * (nodes - 1)
    weights: Floats = np.maximum(
        0, 1 - np.abs(places[:, None] - np.arange(nodes, dtype=np.float32))
    )
    return weights


def _truncated_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Normal numbers, drawn again until all lie within the cut."""
    drawn = rng.standard_normal(shape, np.float32)
    while (outside := np.abs(drawn) > NORMAL_CUT).any():
        drawn[outside] = rng.standard_normal(int(outside.sum()), np.float32)
    return drawn
