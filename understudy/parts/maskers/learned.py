"""Masks that the model learned."""

from __future__ import annotations

from understudy.parts.maskers import Masked, maskers
from understudy.types import Floats


@maskers.register("learned")
def learned(face: Masked) -> Floats:
    """Where both the new face and dst's face are: nothing is painted beside either."""
    return face.prd * face.dst


@maskers.register("learned-prd")
def learned_prd(face: Masked) -> Floats:
    """Where the new face is."""
    return face.prd


@maskers.register("learned-dst")
def learned_dst(face: Masked) -> Floats:
    """Where dst's face is."""
    return face.dst
