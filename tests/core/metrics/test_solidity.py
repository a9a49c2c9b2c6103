"""Masks that are none yet are told from masks of any shape."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from understudy.core.metrics.solidity import MIN_SOLIDITY, measure_solidity
from understudy.types import Floats

SIDE = 96
Y, X = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
OVAL = (np.hypot(X, Y) < 0.35).astype(np.float32)
NOISE = np.random.default_rng(0).random((SIDE, SIDE), np.float32)
FADING = np.asarray(cv2.blur(OVAL, (SIDE // 10, SIDE // 10)), np.float32)


@pytest.mark.parametrize(
    ("what", "mask", "is_one"),
    [
        ("an oval", OVAL, True),
        ("with an edge that fades over a tenth", FADING, True),
        ("the whole square", np.ones_like(OVAL), True),
        ("with a hand before it", OVAL * (X < 0.1), True),
        ("hair and neck, too", (np.hypot(X, Y) < 0.48).astype(np.float32), True),
        ("noise", NOISE, False),
        ("noise of black and white", (NOISE > 0.4).astype(np.float32), False),
        ("grey", np.full_like(OVAL, 0.55), False),
        ("young: a grey oval on grey", 0.35 + 0.3 * OVAL, False),
        ("young: grainy", np.clip(0.1 + 0.7 * OVAL + 0.3 * (NOISE - 0.5), 0, 1), False),
        ("nothing", np.zeros_like(OVAL), False),
    ],
)
def test_what_is_nearly_all_or_nothing_is_a_mask(what: str, mask: Floats, is_one: bool) -> None:
    assert (measure_solidity(np.asarray(mask, np.float32)) >= MIN_SOLIDITY) is is_one, what
