"""What a collapse looks like, and what a model that has only just begun looks like."""

from __future__ import annotations

import math

import numpy as np
import pytest

from understudy.core.training.collapse import CollapseDetector, OutputStats, measure_outputs
from understudy.types import Floats

SIDE = 16


def faces(count: int = 4) -> tuple[Floats, Floats]:
    """Faces that differ, each with light and shade, and a mask that leaves a rim."""
    rng = np.random.default_rng(0)
    shade = np.linspace(0.2, 0.8, SIDE)[None, :, None, None] + rng.uniform(
        -0.15, 0.15, (count, SIDE, SIDE, 3)
    )
    masks = np.zeros((count, SIDE, SIDE), np.float32)
    masks[:, 3:-3, 3:-3] = 1
    return shade.clip(0, 1).astype(np.float32), masks


def checker(true: Floats) -> Floats:
    """Red and black squares, the same for every face: what SAEHD paints when it has died."""
    board = (np.add.outer(np.arange(SIDE), np.arange(SIDE)) // 2 % 2).astype(np.float32)
    return np.broadcast_to(board[None, :, :, None] * np.array([1, 0, 0], np.float32), true.shape)


def seen(painted: Floats, masks: Floats | None = None) -> OutputStats:
    true, mattes = faces()
    return measure_outputs(painted, mattes if masks is None else masks, true, mattes)


def test_faces_painted_as_they_are_measure_as_they_should() -> None:
    true, _ = faces()
    found = seen(true)
    assert (found.error, found.saturated, found.mask_outside) == (
        0,
        0,
        0,
    ) and found.mask_inside == 1
    assert found.contrast == pytest.approx(1) and found.variation == pytest.approx(1)


@pytest.mark.parametrize("painted", [np.zeros_like, np.ones_like, checker])
def test_black_white_and_chequered_faces_are_a_collapse_at_once(painted) -> None:  # type: ignore[no-untyped-def]
    assert "black or full" in CollapseDetector().check(seen(painted(faces()[0])), 12)


def test_what_comes_later_is_a_collapse_only_where_it_was_better_before() -> None:
    true, _ = faces()
    grey, mean = np.full_like(true, 0.9), np.repeat(true.mean(0, keepdims=True), len(true), 0)
    best = CollapseDetector()
    for young in (grey, mean, true):
        assert best.check(seen(young), 40) == ""
    assert "flat colour" in best.check(seen(grey), 5000)
    assert "alike" in best.check(seen(mean), 5000)
    assert best.check(seen(true), 5000) == ""


def test_noise_before_the_first_iteration_is_no_better_time() -> None:
    true, _ = faces()
    best = CollapseDetector()
    noise = np.random.default_rng(1).random(true.shape).astype(np.float32)
    assert best.check(seen(noise), 0) == "" and best.variation == 0
    assert best.check(seen(np.repeat(true.mean(0, keepdims=True), len(true), 0)), 50) == ""


def test_one_flat_colour_and_a_lost_mask_count_once_a_model_is_grown() -> None:
    true, masks = faces()
    flat = np.broadcast_to(true.mean((0, 1, 2)), true.shape)
    for painted, mask, told in (
        (flat, masks, "one flat"),
        (true, 0 * masks, "gone"),
        (true, 0 * masks + 1, "everywhere"),
    ):
        found = seen(painted, mask)
        assert CollapseDetector().check(found, 100) == "" and told in CollapseDetector().check(
            found, 1000
        )


def test_one_face_and_masks_without_a_rim_tell_nothing_of_what_cannot_be_told() -> None:
    true, masks = faces(1)
    found = measure_outputs(true, masks + 1, true, np.ones_like(masks))
    assert math.isnan(found.variation) and math.isnan(found.mask_outside)
    empty = measure_outputs(true, 0 * masks, true, 0 * masks)
    assert (
        CollapseDetector().check(found, 1000) == "" and CollapseDetector().check(empty, 1000) == ""
    )
