"""The face as it is, without regard to the plate."""

from __future__ import annotations

from understudy.core.compose import blend
from understudy.core.compose.blend import Blend
from understudy.parts.blenders import Blender, blenders


@blenders.register("overlay")
class Overlay(Blender):
    """Lays the face in as it is."""

    def build(self) -> Blend:
        return blend.OVERLAY
