"""Blenders: how the new face meets the plate around it.

A blender is a class of options whose `build()` gives a `Blend`. Its name is a `--mode` of merge.
"""

from __future__ import annotations

from typing import ClassVar

from understudy.core.compose.blend import Blend
from understudy.registry import Part, Registry


class Blender(Part):
    """The options of one blender; `build` makes it ready."""

    # Whether its `Blend.light` gives a field, which merge then averages over frames.
    has_light: ClassVar[bool] = False

    def build(self) -> Blend:
        """The two steps that make the face layer."""
        raise NotImplementedError


blenders: Registry[Blender] = Registry("blenders", __name__, "blender")
