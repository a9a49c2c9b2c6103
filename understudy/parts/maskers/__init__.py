"""Maskers: where the new face shows. Each is a function of what the model saw and made, in face pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from understudy.registry import Registry
from understudy.types import Floats


@dataclass(frozen=True, slots=True)
class Masked:
    """What a masker looks at: one face of size S.

    landmarks: (68, 2) of dst, in face pixels. prd: (S, S) float32 in 0..1, where the model says that the new face is.
    dst: (S, S) float32 in 0..1, where it says that dst's face is. segmented_prd, segmented_dst: where the segmenter sees a face in
    the new one and in dst's, as prd; None where no mask asks for it.
    """

    landmarks: Floats
    prd: Floats
    dst: Floats
    segmented_prd: Floats | None = None
    segmented_dst: Floats | None = None


Masker = Callable[[Masked], Floats]

maskers: Registry[Masker] = Registry("maskers", __name__)


def product(names: Sequence[str], face: Masked) -> Floats:
    """The masks of these names multiplied, (S, S) float32 in 0..1. Raises BadOption for an unknown name."""
    mask = np.ones(face.prd.shape, np.float32)
    for name in names:
        mask = mask * maskers[name](face)
    return np.clip(mask, 0, 1)
