"""The face in the plate's light, after Pérez, Gangnet and Blake (2003)."""

from __future__ import annotations

from understudy.core.compose import blend
from understudy.core.compose.blend import Blend
from understudy.parts.blenders import Blender, blenders


@blenders.register("seamless")
class Seamless(Blender):
    """Keeps the face's detail and takes the plate's light."""

    has_light = True

    def build(self) -> Blend:
        return blend.SEAMLESS
