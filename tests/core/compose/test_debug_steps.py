"""The steps of a face: each is there, in its place, and the last is what the composite shows."""

from __future__ import annotations

import json

import numpy as np
import pytest

from understudy.core.color.transfer import UNCHANGED
from understudy.core.compose import blend, debug_steps
from understudy.core.compose.composite import (
    MatchParams,
    Swap,
    WarpedFace,
    fit_match,
    warp_face,
)
from understudy.core.compose.options import CompositeOptions
from understudy.types import Bytes, Floats

SIDE = 48
PLAIN = CompositeOptions(color_transfer="none", erode=0, blur=0, texture=0, sharpen=0, grain=0)


@pytest.fixture
def plate() -> Bytes:
    return np.random.default_rng(0).integers(60, 160, (90, 120, 3), dtype=np.uint8)


def swapped(options: CompositeOptions) -> Swap:
    """A green face on a grey one, the mask a square in its middle."""
    green = np.broadcast_to(np.float32((0.2, 0.8, 0.3)), (SIDE, SIDE, 3)).copy()
    mask = np.zeros((SIDE, SIDE), np.float32)
    mask[8:40, 8:40] = 1
    return Swap(
        np.array([[1.0, 0, -40], [0, 1, -30]]),
        green,
        np.full((SIDE, SIDE, 3), 0.4, np.float32),
        mask,
        options,
        UNCHANGED,
        getattr(blend, options.blender.upper()),
    )


def warped(plate: Bytes, options: CompositeOptions) -> tuple[WarpedFace, MatchParams]:
    swap = swapped(options)
    params = fit_match(swap)
    face = warp_face(plate, swap, params)
    assert face is not None
    return face, params


def shown(plate: Bytes, options: CompositeOptions = PLAIN) -> dict[str, Floats]:
    face, _ = warped(plate, options)
    return {
        name: np.asarray(picture, np.float32)
        for name, picture in debug_steps.step_images(plate, face, face.light_grid, face.grain)
    }


def test_every_step_is_there_in_order(plate: Bytes) -> None:
    found = shown(plate)
    assert list(found) == [
        "dst",
        "predicted",
        "mask",
        "coloured",
        "plate",
        "placed",
        "matte",
        "layer",
        "result",
    ]
    assert {found[name].shape[0] for name in ("dst", "predicted", "mask", "coloured")} == {SIDE}
    middle = tuple(side // 2 for side in found["result"].shape[:2])
    assert np.allclose(found["result"][middle], (0.2, 0.8, 0.3), atol=0.01)


def test_the_result_is_the_plate_outside_of_the_matte(plate: Bytes) -> None:
    found = shown(plate, PLAIN.model_copy(update={"blur": 10}))
    outside = found["matte"] == 0
    assert outside.any() and np.array_equal(found["result"][outside], found["plate"][outside])


def test_light_is_shown_around_grey_where_a_blend_has_some(plate: Bytes) -> None:
    light = shown(plate, PLAIN.model_copy(update={"mode": "seamless"}))["light"]
    assert light[..., 1].min() < 0.45 and light[..., 0].max() > 0.52, (
        "green is taken away, red added"
    )


def test_numbers_are_plain_and_long_ones_told_in_short(plate: Bytes) -> None:
    face, params = warped(plate, PLAIN.model_copy(update={"mode": "seamless", "grain": 100}))
    told = json.loads(
        json.dumps(debug_steps.step_numbers(face, params, face.light_grid, face.grain))
    )
    assert told["face_from_frame"] == [[1, 0, -40], [0, 1, -30]] and told["side"] == SIDE
    assert told["light"] == told["light averaged"] and len(told["light"]["shape"]) == 3
    assert debug_steps.summarize_array(np.arange(3)) == [0, 1, 2]
