"""Pictures without colour, grey or toned: whether they are, and a picture given the same tone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from understudy.types import Doubles, Floats

# Colour is looked at on a grid of so many cells a side, in which noise and the coarse colours of a
# codec average out.
_CELLS: Final = 16
# The lumas at which a tone is known; in between it runs straight.
_KNOTS: Final = np.linspace(0, 1, 9)
_LUMA: Final = np.array([0.299, 0.587, 0.114])
# A picture has no colour of its own when what its tone leaves over is below a level of 255, or
# below this share of the tone. Measured, in levels and shares: grey footage with chroma noise of 8
# levels 0.7; toned footage, coded hard, 0.03 to 0.14; footage in colour 8.7 to 24 and 0.23 to 1.
_GREY: Final = 1.0 / 255
_TONED: Final = 0.12
# In a dark picture colours are weak, too: below this mean luma less is asked for.
_DARK: Final = 40 / 255


def fit_tone(pictures: Sequence[Floats]) -> Floats | None:
    """Return the tone of pictures without colours of their own; None where most are in colour.

    Args:
        pictures: At least one, (H, W, 3) float32 in 0..1.

    Returns:
        (9, 2) float32: red less luma and blue less luma, at even steps of luma; all 0 where the
        pictures are grey.
    """
    cells = np.stack(
        [cv2.resize(each, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA) for each in pictures]
    ).astype(np.float64)
    luma = cells @ _LUMA
    chroma = np.stack([cells[..., 0] - luma, cells[..., 2] - luma], -1)
    tone = _fit(luma.ravel(), chroma.reshape(-1, 2))
    left = np.linalg.norm(chroma - _at(tone, luma), axis=-1)
    # The median of the pictures: a few grey frames do not make a shot grey.
    left_over = float(np.median(np.sqrt((left**2).mean((1, 2)))))
    strength = float(np.median(np.linalg.norm(chroma, axis=-1).mean((1, 2))))
    least = _GREY * float(np.clip(np.median(luma.mean((1, 2))) / _DARK, 0.2, 1))
    if left_over > max(least, _TONED * strength):
        return None
    return np.asarray(tone if strength > least else np.zeros_like(tone), np.float32)


def apply_tone(picture: Floats, tone: Floats) -> Floats:
    """Return the picture with no colour but the tone's.

    Args:
        picture: (H, W, 3) float32 in 0..1.
        tone: From `fit_tone`.

    Returns:
        (H, W, 3) float32 in 0..1; three equal channels where the tone is grey.
    """
    luma = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.float32)
    if not tone.any():
        return np.repeat(luma[..., None], 3, axis=2)
    chroma = _at(tone.astype(np.float64), luma.astype(np.float64))
    red, blue = luma + chroma[..., 0], luma + chroma[..., 1]
    green = (luma - _LUMA[0] * red - _LUMA[2] * blue) / _LUMA[1]
    return np.asarray(np.clip(np.stack([red, green, blue], -1), 0, 1), np.float32)


def _fit(luma: Doubles, chroma: Doubles) -> Doubles:
    """The chroma at each knot, (9, 2), as even as it can be where no luma is seen."""
    shares = np.stack([np.interp(luma, _KNOTS, row) for row in np.eye(len(_KNOTS))], 1)
    bends = np.diff(np.eye(len(_KNOTS)), 2, axis=0)
    return np.asarray(
        np.linalg.solve(
            shares.T @ shares + 1e-3 * len(luma) * bends.T @ bends + 1e-9 * np.eye(len(_KNOTS)),
            shares.T @ chroma,
        ),
        np.float64,
    )


def _at(tone: Doubles, luma: Doubles) -> Doubles:
    return np.stack([np.interp(luma, _KNOTS, each) for each in tone.T], -1)
