"""Detectors: where in a picture are faces?

A detector is a class of options. Its `build()` gives a function from a picture (H, W, 3) uint8 RGB
to its faces, largest first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from understudy.registry import Part, Registry
from understudy.types import Bytes, Floats


@dataclass(frozen=True, slots=True)
class Detection:
    """A face as a detector sees it.

    box: (4,) float32 x0 y0 x1 y1 in frame pixels, may reach beyond the frame. score: 0..1. angle:
    radians by which the head is turned clockwise on screen; 0 = upright. keypoints: (k, 2) float32
    frame pixels, the detector's own; may be empty.
    """

    box: Floats
    score: float
    angle: float
    keypoints: Floats


Detect = Callable[[Bytes], list[Detection]]


class Detector(Part):
    """The options of one detector; `build` makes it ready."""

    # What to try where it found no face in a whole footage.
    when_nothing_found: ClassVar[str] = "Try another detector"

    def build(self) -> Detect:
        """The detector as a function. Raises WeightsMissing."""
        raise NotImplementedError


detectors: Registry[Detector] = Registry("detectors", __name__, "detector")
