"""How a new face meets the plate around it.

Pictures are (H, W, 3) float32, the matte (H, W) float32 in 0..1. All cover the same region of the
frame; the region should reach past the matte, so that there is plate to take the border from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from understudy.core.compose.multiband import blend_bands
from understudy.core.compose.poisson import CORE as CORE
from understudy.core.compose.poisson import solve_light
from understudy.types import Floats


@dataclass(frozen=True, slots=True)
class Blend:
    """One way to make the face layer, which the matte then mixes in; called, it does both steps.

    light: (plate, face, matte) -> what to add to the face, (H, W, 3), a smooth field within the
    matte that may be averaged over time; None where there is nothing to average. apply: (plate,
    face, matte, light) -> the face layer, (H, W, 3).
    """

    light: Callable[[Floats, Floats, Floats], Floats | None]
    apply: Callable[[Floats, Floats, Floats, Floats | None], Floats]

    def __call__(self, plate: Floats, face: Floats, matte: Floats) -> Floats:
        """The face layer of this picture alone."""
        return self.apply(plate, face, matte, self.light(plate, face, matte))


def _no_light(plate: Floats, face: Floats, matte: Floats) -> None:
    return None


def _add_light(plate: Floats, face: Floats, matte: Floats, light: Floats | None) -> Floats:
    return face if light is None else face + light


def _blend_bands(plate: Floats, face: Floats, matte: Floats, light: Floats | None) -> Floats:
    return blend_bands(plate, face, matte)


# The face as it is.
OVERLAY: Final = Blend(_no_light, _add_light)
# The face's detail in the plate's light.
SEAMLESS: Final = Blend(solve_light, _add_light)
# Coarse light joins over a wide border, fine detail at the matte's edge.
PYRAMID: Final = Blend(_no_light, _blend_bands)
