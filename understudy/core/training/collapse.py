"""Whether a model has collapsed, by a few numbers of what it makes of faces that it learns."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from understudy.types import Floats

# Values this near to black or full colour count as stuck there, where the face is at least FAR from
# it.
SATURATION_MARGIN, SATURATION_ERROR = 0.02, 0.1
# From this share of stuck values on faces are lost. Of a model that learns, however young, it was
# 0.00 in every look.
MAX_SATURATED = 0.5
# Once faces came nearer than LEARNT, they are never again worse than a flat colour (1), unless the
# model has collapsed.
LEARNT_ERROR, LOST_ERROR = 0.5, 1.0
# Differences between faces, as a share of the true ones: once more than TOLD_APART, and now less
# than ALIKE.
DISTINCT_VARIATION, ALIKE_VARIATION = 0.3, 0.03
# After so many iterations a model paints more than one flat colour (so much of a face's own spread
# at least), and its mask is neither nowhere nor everywhere.
MIN_ITERATION, FLAT_CONTRAST, EMPTY_MASK, FULL_MASK = 500, 0.03, 0.02, 0.98
# What differs less than this between true faces says nothing about the predicted ones; as much must
# lie outside a mask.
MIN_SPREAD = 0.01


@dataclass(frozen=True, slots=True)
class OutputStats:
    """How faces came out, within their masks; nan where the true faces cannot tell.

    Attributes:
        error: Squared error, 1 = as that of the best flat colour for each face.
        saturated: Share of values that are black or full where the face is neither.
        contrast: Spread of values within a face, 1 = as it should be.
        variation: Spread between faces, 1 = as it should be.
        mask_inside: Mean of the predicted mask within the true one.
        mask_outside: Its mean around the true one.
    """

    error: float
    saturated: float
    contrast: float
    variation: float
    mask_inside: float
    mask_outside: float


def measure_outputs(faces: Floats, masks: Floats, true: Floats, true_masks: Floats) -> OutputStats:
    """Measure what a model made against what it should have made.

    Args:
        faces: (N, S, S, 3) in 0..1, what it made.
        masks: (N, S, S) in 0..1, what it made.
        true: (N, S, S, 3) in 0..1.
        true_masks: (N, S, S) in 0..1.

    Returns:
        The statistics over all N faces.
    """
    weight = true_masks[..., None]
    flat, own = (_mean(each, weight) for each in (true, faces))
    beside = np.abs(np.where(faces < 0.5, true, 1 - true)) > SATURATION_ERROR
    stuck = ((faces < SATURATION_MARGIN) | (faces > 1 - SATURATION_MARGIN)) & beside
    shared = true_masks.min(0)[..., None]
    around = 1 - true_masks
    apart = _ratio((true.std(0) * shared).sum(), 3 * shared.sum())
    return OutputStats(
        error=_ratio((weight * (faces - true) ** 2).sum(), (weight * (true - flat) ** 2).sum()),
        saturated=_ratio((stuck * weight).sum(), 3 * weight.sum()),
        contrast=math.sqrt(
            _ratio((weight * (faces - own) ** 2).sum(), (weight * (true - flat) ** 2).sum())
        ),
        variation=(
            _ratio((faces.std(0) * shared).sum(), (true.std(0) * shared).sum())
            if apart > MIN_SPREAD
            else math.nan
        ),
        mask_inside=_ratio((masks * true_masks).sum(), true_masks.sum()),
        mask_outside=(
            _ratio((masks * around).sum(), around.sum()) if around.mean() > MIN_SPREAD else math.nan
        ),
    )


@dataclass(slots=True)
class CollapseDetector:
    """The best outputs of one side in a run; a collapse is a fall from there."""

    error: float = math.inf
    variation: float = 0.0

    def check(self, seen: OutputStats, iteration: int) -> str:
        """Say what is wrong with the outputs after so many iterations; empty when all is well.

        When all is well the best values are updated. A model of the first minutes, which makes the
        same mean face for everybody, is well: nothing here holds it to more.
        """
        if trouble := self._trouble(seen, iteration):
            return trouble
        # Comparisons with nan are false: what is unknown never counts.
        self.error = min(seen.error, self.error)
        # What has not learnt faces yet may paint noise, which differs from face to face too.
        self.variation = (
            max(self.variation, seen.variation)
            if seen.error < LEARNT_ERROR and seen.variation > 0
            else self.variation
        )
        return ""

    def _trouble(self, seen: OutputStats, iteration: int) -> str:
        if seen.saturated > MAX_SATURATED:
            return f"{seen.saturated:.0%} of its output is black or full colour and no face"
        if self.error < LEARNT_ERROR and seen.error > LOST_ERROR:
            return (
                "its output is further from the faces than a flat colour, and was near them before"
            )
        if self.variation > DISTINCT_VARIATION and seen.variation < ALIKE_VARIATION:
            return "all faces come out alike, and did not before"
        # Some models begin with a mask that is all but everywhere, or with hardly more than one
        # colour.
        if iteration < MIN_ITERATION:
            return ""
        if seen.contrast < FLAT_CONTRAST:
            return "its output is one flat colour"
        if seen.mask_inside < EMPTY_MASK:
            return "the mask is gone"
        return "the mask is everywhere" if seen.mask_outside > FULL_MASK else ""


def _mean(faces: Floats, weight: Floats) -> Floats:
    """The mean colour of each face, (N, 1, 1, 3)."""
    total = np.maximum(weight.sum((1, 2), keepdims=True), 1e-6)
    mean: Floats = (faces * weight).sum((1, 2), keepdims=True) / total
    return mean


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else math.nan
