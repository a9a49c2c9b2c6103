"""Colour transfer by mean and spread of each channel of CIE LAB, after Reinhard et al. (2001)."""

from __future__ import annotations

from typing import Final

import numpy as np

from understudy.core.color.lab import MeanStd, apply_matrix
from understudy.types import Floats

# A spread may at most double or halve: a flat prediction must not blow up into noise.
GAIN_LIMITS: Final = (0.5, 2.0)
# A spread below this is noise.
_FLAT: Final = 1e-3


def fit_lab_shift(moments: MeanStd, wanted: MeanStd) -> Floats:
    """Fit the gain and shift of each channel that move one mean and spread to another.

    Args:
        moments: Mean and standard deviation of the channels, (3,) each.
        wanted: Those to reach.

    Returns:
        (2, 3) float32, gain and shift; the gain is held within 0.5..2.
    """
    (mean, spread), (mean_wanted, spread_wanted) = moments, wanted
    gain = np.clip(np.maximum(spread_wanted, _FLAT) / np.maximum(spread, _FLAT), *GAIN_LIMITS)
    return np.stack([gain, mean_wanted - gain * mean]).astype(np.float32)


def shift_lab(lab: Floats, shift: Floats) -> Floats:
    """Move CIE LAB colours: each channel times its gain plus its shift.

    Args:
        lab: (H, W, 3) or (N, 3) float32.
        shift: (2, 3), gain and shift.

    Returns:
        The same shape, held within L 0..100 and a, b -127..127.
    """
    moved = apply_matrix(lab, np.column_stack([np.diag(shift[0]), shift[1]]))
    np.clip(moved[..., :1], 0, 100, out=moved[..., :1])
    np.clip(moved[..., 1:], -127, 127, out=moved[..., 1:])
    return moved
