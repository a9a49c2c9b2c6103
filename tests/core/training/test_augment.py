import math

import numpy as np

from understudy.core import affine
from understudy.core.training.augment import (
    WARP_CELLS,
    WARP_REACH,
    AugmentConfig,
    sample_augmentation,
    sampling_map,
)

STILL = AugmentConfig(rotation=0, shift=0, scale=0, warp=False)
UNMOVED = np.array([[1.0, 0, 0], [0, 1, 0]])


def chance(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_without_motion_every_pixel_looks_at_itself() -> None:
    moved, nodes = sample_augmentation(chance(), STILL, 32)
    places = sampling_map(moved, nodes, 32)
    assert np.allclose(places[5, 7], (7, 5)) and np.allclose(places[31, 0], (0, 31))


def test_the_same_chance_gives_the_same_motion() -> None:
    (one, nodes), (other, others) = (
        sample_augmentation(chance(3), AugmentConfig(), 64),
        sample_augmentation(chance(3), AugmentConfig(), 64),
    )
    assert np.array_equal(one, other) and np.array_equal(nodes, others)


def test_motion_stays_within_its_bounds_and_its_margin() -> None:
    motion, size = AugmentConfig(math.radians(10), 0.05, 0.1, True, False), 96
    rng = chance()
    for _ in range(500):
        moved, _ = sample_augmentation(rng, motion, size)
        assert 1 / 1.1 - 1e-9 <= affine.scale_of(moved) <= 1.1 + 1e-9
        reached = affine.apply(affine.invert(moved), affine.corners((size, size))) / size
        slack = 0.01 + 0.1 * motion.shift * 2
        assert (np.abs(reached - 0.5) <= 0.5 + motion.margin + slack).all()


def test_zoom_enlarges_every_picture_and_a_smaller_face_needs_more_around_it() -> None:
    moved, _ = sample_augmentation(chance(), AugmentConfig(0, 0, 0, warp=0, zoom=-0.2), 64)
    assert abs(affine.scale_of(moved) - 0.8) < 1e-9 and np.allclose(
        affine.apply(moved, [31.5, 31.5]), 31.5
    )
    assert (
        abs(AugmentConfig(0, 0, 0, zoom=-0.2).margin - 0.125) < 1e-9
        and AugmentConfig(zoom=0.3).margin < AugmentConfig().margin
    )


def test_flip_mirrors_about_half_of_the_pictures() -> None:
    rng = chance()
    mirrored = sum(
        np.linalg.det(sample_augmentation(rng, AugmentConfig(flip=True), 64)[0][:, :2]) < 0
        for _ in range(400)
    )
    assert 150 < mirrored < 250


def test_the_warp_holds_the_rim_never_folds_and_bends_both_ways_by_itself() -> None:
    rng, size = chance(), 64
    across, down = [], []
    for _ in range(60):
        _, nodes = sample_augmentation(rng, AugmentConfig(0, 0, 0), size)
        cells = len(nodes) - 1
        assert cells in WARP_CELLS and np.abs(nodes).max() <= WARP_REACH * size / cells + 1e-4
        assert (
            not nodes[0].any()
            and not nodes[-1].any()
            and not nodes[:, 0].any()
            and not nodes[:, -1].any()
        )
        places = sampling_map(UNMOVED, nodes, size)
        assert (np.diff(places[..., 0], axis=1) > 0).all() and (
            np.diff(places[..., 1], axis=0) > 0
        ).all()
        inner = nodes[1:-1, 1:-1].reshape(-1, 2) / (size / cells)
        across += list(inner[:, 0])
        down += list(inner[:, 1])
    assert abs(np.corrcoef(across, down)[0, 1]) < 0.15
    assert 0.07 < np.std(across) < 0.11
