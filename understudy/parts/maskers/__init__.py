"""Maskers: where the new face shows.

A masker is a class of options whose `build()` gives a function: what the model saw and made, in
face pixels -> a mask.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from typing import ClassVar

import numpy as np

from understudy.options import Options
from understudy.registry import Part, Registry
from understudy.types import Floats


@dataclass(frozen=True, slots=True)
class MaskInput:
    """What a masker looks at: one face of size S.

    landmarks: (68, 2) of dst, in face pixels. prd: (S, S) float32 in 0..1, where the model says
    that the new face is. dst: (S, S) float32 in 0..1, where it says that dst's face is.
    segmented_prd, segmented_dst: where the segmenter sees a face in the new one and in dst's, as
    prd; None where no mask asks for it. polygons: what was drawn by hand on dst's face, as prd;
    None where nobody drew. brows: what is to cover dst's brows, as prd; None = they show as
    they come.
    """

    landmarks: Floats
    prd: Floats
    dst: Floats
    segmented_prd: Floats | None = None
    segmented_dst: Floats | None = None
    polygons: Floats | None = None
    brows: Floats | None = None


# What a masker sees of a face -> (S, S) float32 in 0..1.
Mask = Callable[[MaskInput], Floats]


class Masker(Part):
    """The options of one masker; `build` makes it ready."""

    # Whether it shows what the model learned: nothing, while that has learnt little.
    is_learned: ClassVar[bool] = False

    def build(self) -> Mask:
        """The masker as a function."""
        raise NotImplementedError


maskers: Registry[Masker] = Registry("maskers", __name__, "masker")


def combine(
    names: Sequence[str], face: MaskInput, settings: Options, *, dfl: bool = False
) -> Floats:
    """Multiply the masks of these names, (S, S) float32 in 0..1.

    A name may be several: "a+b" unites, "a*b" multiplies. Products go first: "a*b+c" is either both
    of a and b, or c.

    Args:
        names: Names of maskers, or such expressions.
        face: What the maskers look at.
        settings: Options that hold the maskers' settings.
        dfl: Whether united masks are added and cut off at 1, as in DeepFaceLab. Else edges that
            coincide stay where they are.

    Raises:
        BadOption: A name is none.
    """
    mask = np.ones(face.prd.shape, np.float32)
    for name in names:
        products = [_product(part, face, settings) for part in name.split("+")]
        mask = mask * _unite(products, dfl)
    return np.clip(mask, 0, 1)


def names_in(expressions: Sequence[str]) -> frozenset[str]:
    """The maskers that these expressions ask for. Raises BadOption for an unknown one."""
    single = frozenset(
        each for name in expressions for part in name.split("+") for each in _factors(part)
    )
    for each in single:
        maskers[each]
    return single


def _unite(masks: Sequence[Floats], dfl: bool) -> Floats:
    if dfl:
        return np.asarray(np.minimum(np.sum(masks, axis=0), 1), np.float32)
    return reduce(lambda one, other: one + other - one * other, masks)


def _product(name: str, face: MaskInput, settings: Options) -> Floats:
    return reduce(
        np.multiply,
        [_built(maskers.configured(each, settings))(face) for each in _factors(name)],
    )


@cache
def _built(masker: Masker) -> Mask:
    """The masker, built once: it may hold a network."""
    return masker.build()


def _factors(name: str) -> list[str]:
    # People type XSeg-dst and FAN-dst as they know them.
    return [each.strip().lower() for each in name.split("*")]
