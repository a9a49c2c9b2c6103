"""Landmarkers: where in a detected face do the 68 points lie?

A landmarker is a class of options. Its `build()` gives a function from a picture (H, W, 3) uint8
RGB and a detection to points. None says that there is no face after all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from understudy.parts.detectors import Detection
from understudy.registry import Part, Registry
from understudy.types import Bytes, Floats


@dataclass(frozen=True, slots=True)
class FaceLandmarks:
    """The points of a face.

    landmarks: (68, 2) float32 frame pixels, iBUG order (`core.face.landmarks`). score: 0..1, how
    sure that this is a face.
    """

    landmarks: Floats
    score: float


Locate = Callable[[Bytes, Detection], FaceLandmarks | None]


class Landmarker(Part):
    """The options of one landmarker; `build` makes it ready."""

    def build(self) -> Locate:
        """The landmarker as a function. Raises WeightsMissing."""
        raise NotImplementedError


landmarkers: Registry[Landmarker] = Registry("landmarkers", __name__, "landmarker")
