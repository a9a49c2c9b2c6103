"""One score for a model from measurements on held-out faces, and its curve over the iterations."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np

from understudy.core.metrics.quality import MIN_FOUND, without_noise

# So much lower a score must be to count as another: within it chance decides.
MIN_IMPROVEMENT: Final = 0.01
# What the swap counts beside the reconstruction, which it rests on.
_SWAP: Final = 0.1


def compute_score(measured: Mapping[str, float]) -> float:
    """Return one number for a model, lower is better.

    NaN where nothing was held out, and where no face is found in the swaps: noise has no score.

    It is the mean over both sides of L1 + DSSIM, times a factor of 1.1 to 1 for the swap. The
    factor is 1.1 for a swap that is all dst or does not act at all. It is 1 for one as much src as
    src itself, and in step with dst. What was not measured does not count.
    """
    rebuilt = [
        measured[f"{side} l1"] + measured[f"{side} dssim"]
        for side in ("src", "dst")
        if f"{side} l1" in measured
    ]
    if not rebuilt or measured.get("found", 1.0) < MIN_FOUND:
        return math.nan
    swap = [
        min(max(measured[name], 0.0), 1.0)
        for name in ("identity", "expression")
        if name in measured
    ]
    return float(np.mean(rebuilt) * (1 + _SWAP * (1 - np.mean(swap or [1.0]))))


def is_better(score: float, other: float) -> bool:
    """Whether a score is clearly better than another."""
    return score < (1 - MIN_IMPROVEMENT) * other


def score_curve(rows: Iterable[Mapping[str, Any]]) -> tuple[list[int], list[float]]:
    """Return iterations and scores of a history since its last change of settings.

    A curve before such a change says nothing about the model now.
    """
    found: dict[int, float] = {}
    for row in rows:
        if "changed" in row:
            found.clear()
        # Former versions gave noise a score, too.
        elif (score := without_noise(row.get("held_out", {})).get("score")) is not None:
            found[row["iteration"]] = score
    return list(found), list(found.values())
