"""A Laplacian pyramid of face and plate, after Burt and Adelson (1983)."""

from __future__ import annotations

from understudy.core.compose import blend
from understudy.core.compose.blend import Blend
from understudy.parts.blenders import Blender, blenders


@blenders.register("pyramid")
class Pyramid(Blender):
    """Joins coarse detail over a wide border and fine detail over a narrow one."""

    def build(self) -> Blend:
        return blend.PYRAMID
