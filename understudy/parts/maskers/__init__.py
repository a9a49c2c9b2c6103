"""Maskers: where the new face shows. Each is a function of what the model saw and made, in face
pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from understudy.registry import Registry
from understudy.types import Floats


@dataclass(frozen=True, slots=True)
class Masked:
    """What a masker looks at: one face of size S.

    landmarks: (68, 2) of dst, in face pixels. prd: (S, S) float32 in 0..1, where the model says
    that the new face is. dst: (S, S) float32 in 0..1, where it says that dst's face is.
    segmented_prd, segmented_dst: where the segmenter sees a face in the new one and in dst's, as
    prd; None where no mask asks for it. polygons: what was drawn by hand on dst's face, as prd;
    None where nobody drew.
    """

    landmarks: Floats
    prd: Floats
    dst: Floats
    segmented_prd: Floats | None = None
    segmented_dst: Floats | None = None
    polygons: Floats | None = None


Masker = Callable[[Masked], Floats]

maskers: Registry[Masker] = Registry("maskers", __name__)


def combined(names: Sequence[str], face: Masked, *, dfl: bool = False) -> Floats:
    """The masks of these names, (S, S) float32 in 0..1: multiplied, where a name may be several:
    "a+b" unites, "a*b" multiplies.

    In a name products go first: "a*b+c" is either both of a and b, or c. dfl: united masks are
    added and cut off at 1, as in DeepFaceLab; else edges that coincide stay where they are. Raises
    BadOption for an unknown name.
    """
    mask = np.ones(face.prd.shape, np.float32)
    for name in names:
        mask = mask * _united([_product(part, face) for part in name.split("+")], dfl)
    return np.clip(mask, 0, 1)


def asked(names: Sequence[str]) -> frozenset[str]:
    """The maskers that these names ask for. Raises BadOption for an unknown one."""
    single = frozenset(
        each for name in names for part in name.split("+") for each in _factors(part)
    )
    for each in single:
        maskers[each]
    return single


def _united(masks: Sequence[Floats], dfl: bool) -> Floats:
    if dfl:
        return np.asarray(np.minimum(np.sum(masks, axis=0), 1), np.float32)
    return reduce(lambda one, other: one + other - one * other, masks)


def _product(name: str, face: Masked) -> Floats:
    return reduce(np.multiply, [maskers[each](face) for each in _factors(name)])


def _factors(name: str) -> list[str]:
    return [each.strip() for each in name.split("*")]
