"""DeepFaceLab's seamless modes: colours are matched after the clone, by its formulas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from skimage.color import lab2rgb, rgb2lab

from understudy.core.color import dfl
from understudy.core.color.transfer import UNCHANGED, Transfer
from understudy.core.compose import blend
from understudy.core.compose.composite import Swap, composite, fit_match, warp_face
from understudy.core.compose.options import CompositeOptions
from understudy.types import Floats

SIDE, FRAME, AT = 48, 80, 16
SQUARE = np.s_[AT : AT + SIDE, AT : AT + SIDE]


def plate() -> Floats:
    """A plate whose light changes from side to side, with some texture."""
    down, across = (np.mgrid[:FRAME, :FRAME] / FRAME).astype(np.float32)
    rng = np.random.default_rng(2)
    picture = np.stack([0.3 + 0.3 * across, 0.35 + 0.2 * down, 0.5 - 0.2 * across], -1)
    return (picture + rng.normal(0, 0.01, picture.shape)).astype(np.float32)


def swap(scale: float = 0, transfer: Transfer | None = None, **more: object) -> Swap:
    """A face of other colours on that plate, its square on whole pixels, its mask soft."""
    down, across = np.mgrid[:SIDE, :SIDE] / SIDE
    face = np.stack([0.7 - 0.2 * down, 0.5 + 0.2 * across * down, 0.3 + 0.1 * across], -1)
    far = np.hypot(down * SIDE - 23.5, across * SIDE - 23.5)
    options = CompositeOptions.layered(
        {
            "formulas": "dfl",
            "mode": "seamless",
            "erode": 0,
            "blur": 0,
            "sharpen": 0,
            "texture": 0,
            "grain": 0,
            "face_scale": scale,
        },
        more,
    )
    return Swap(
        np.array([[1.0, 0, -AT], [0, 1, -AT]]),
        face.astype(np.float32),
        plate()[SQUARE],
        np.clip((20 - far) / 8, 0, 1).astype(np.float32),
        options,
        transfer or dfl.rct(),
        blend.SEAMLESS,
    )


def cloned(one: Swap) -> tuple[Floats, Floats]:
    """The clone of that face over the whole square, and its matte there."""
    warped = warp_face(plate(), one, fit_match(one))
    assert warped is not None
    x0, y0, x1, y1 = warped.box
    layer, matte = plate(), np.zeros((FRAME, FRAME), np.float32)
    below = layer[y0:y1, x0:x1].copy()
    layer[y0:y1, x0:x1] = np.clip(blend.SEAMLESS(below, warped.face, warped.matte), 0, 1)
    matte[y0:y1, x0:x1] = warped.matte
    return layer[SQUARE], matte[SQUARE]


def reinhard(seen: Floats, like: Floats, weight: Floats, face: Floats) -> Floats:
    """rct: the map from `seen` to `like`, by what weighs a half and more, put upon `face`."""
    lab, goal = (
        np.where((weight >= 0.5)[..., None], rgb2lab(each), 0).reshape(-1, 3)
        for each in (seen, like)
    )
    moved = (rgb2lab(face) - lab.mean(0)) * goal.std(0) / lab.std(0) + goal.mean(0)
    return np.clip(lab2rgb(moved), 0, 1).astype(np.float32)


def test_rct_after_the_clone_by_its_formula() -> None:
    one = swap()
    dst, (layer, matte) = one.dst, cloned(one)
    soft = matte[..., None]
    out = dst + (layer - dst) * soft
    result = composite(plate(), [one]).image[SQUARE]
    expected = dst + (reinhard(out, dst, matte, layer) - dst) * soft
    assert np.abs(result - expected).max() < 1.5 / 255
    # The original takes the feather twice, ...
    slipped = dst + (reinhard(out, dst, matte, out) - dst) * soft
    feather = (matte > 0.2) & (matte < 0.8)
    assert np.abs(slipped - expected)[feather].max() > 2 / 255
    # ... and before the clone the same formula gives another picture.
    before = blend.SEAMLESS(dst, reinhard(one.face, dst, one.mask, one.face), matte)
    assert np.abs((dst + (before - dst) * soft) - expected)[matte > 0.9].max() > 1 / 255


def test_lct_and_a_histogram_match_after_the_clone() -> None:
    one = swap(transfer=dfl.lct(), mode="seamless-hist-match", hist_match_threshold=238)
    layer, matte = cloned(one)
    soft, dst = matte[..., None], one.dst
    out = (dst + (layer - dst) * soft).reshape(-1, 3).astype(np.float64)
    (mean, root), (goal, wanted) = (
        (each.mean(0), _root(np.cov(each.T, ddof=0) + 1e-5 * np.eye(3)))
        for each in (out, dst.reshape(-1, 3).astype(np.float64))
    )
    colored = np.clip((out - mean) @ (wanted @ np.linalg.inv(root)).T + goal, 0, 1)
    moves = np.empty_like(colored)
    for channel in range(3):
        # Of the whole square, whatever the mask: the n-th value becomes the n-th of dst's, cut off.
        order, values = np.argsort(colored[:, channel]), np.sort(dst[..., channel].ravel())
        ranks = np.arange(1, len(order) + 1)
        moves[order, channel] = (
            np.interp(238 / 255 * ranks, ranks, values) - colored[order, channel]
        )
    whole = np.clip((layer.reshape(-1, 3) - mean) @ (wanted @ np.linalg.inv(root)).T + goal, 0, 1)
    expected = dst + (np.clip(whole + moves, 0, 1).reshape(dst.shape) - dst) * soft
    result = composite(plate(), [one]).image[SQUARE]
    assert np.abs(result - expected).max() < 2e-3


def _root(matrix: Floats) -> Floats:
    values, axes = np.linalg.eigh(matrix)
    return (axes * np.sqrt(values)) @ axes.T


@pytest.mark.parametrize("kind", ["rct", "lct", "mkl", "idt", "sot", "mix"])
def test_a_larger_face_has_no_black_ring(kind: str) -> None:
    made = getattr(dfl, kind)
    transfer = made() if kind in ("rct", "lct") else made(masked=True)
    one = swap(scale=45, transfer=transfer)
    layers = composite(plate(), [one])
    beyond = layers.matte > 0.05
    beyond[SQUARE] = False
    assert beyond.sum() > 20, "the face does not reach past dst's square"
    assert layers.image[beyond].min() > 0.15, "black beyond dst's square"
    assert np.abs(layers.image - plate())[layers.matte > 0].max() < 0.35


def test_a_face_that_is_dsts_own_stays_as_it_is() -> None:
    one = replace(swap(), face=plate()[SQUARE])
    assert np.abs(composite(plate(), [one]).image - plate()).max() < 1 / 255


def test_other_modes_and_formulas_match_before() -> None:
    seamless = {"formulas": "dfl", "mode": "seamless"}
    assert CompositeOptions.layered(seamless).matches_after_blend
    for other in ({"mode": "overlay"}, {"mode": "hist-match"}, {"formulas": "ours"}):
        assert not CompositeOptions.layered(seamless, other).matches_after_blend
    assert not len(fit_match(swap()).color)
    assert len(fit_match(swap(mode="overlay", transfer=dfl.rct())).color)
    plain = composite(plate(), [swap(transfer=UNCHANGED)]).image[SQUARE]
    layer, matte = cloned(swap())
    assert (
        np.abs(plain - (plate()[SQUARE] * (1 - matte[..., None]) + layer * matte[..., None])).max()
        < 1e-5
    )
