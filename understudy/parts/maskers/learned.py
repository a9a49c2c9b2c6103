"""Masks that the model learned."""

from __future__ import annotations

from understudy.parts.maskers import Mask, Masker, maskers


@maskers.register("learned")
class Learned(Masker):
    """Where both the new face and dst's face are: nothing is painted beside either."""

    is_learned = True

    def build(self) -> Mask:
        return lambda face: face.prd * face.dst


@maskers.register("learned-prd")
class LearnedPrd(Masker):
    """Where the new face is."""

    is_learned = True

    def build(self) -> Mask:
        return lambda face: face.prd


@maskers.register("learned-dst")
class LearnedDst(Masker):
    """Where dst's face is."""

    is_learned = True

    def build(self) -> Mask:
        return lambda face: face.dst
