"""What the pixels of face pictures show, measured once: blur, light, colour, a small picture."""

from __future__ import annotations

from dataclasses import dataclass

from understudy.types import Bytes, Floats


@dataclass(frozen=True, slots=True)
class PixelMeasures:
    """Of N face pictures, all within the face's own region (the hull of its landmarks).

    A picture that cannot be decoded has NaN, zero histograms and a black thumbnail, and a reason.

    Attributes:
        detail: (N,) float32, `detail.measure_face_detail`: pixels in the frame.
        sharpness: (N,) float32, 0..1, the same at any size of the face.
        motion_blur: (N,) float32, 0..1: how much more it is blurred along one line than across it.
        brightness: (N,) float32, 0..1, mean of HSV's V.
        hue: (N,) float32, 0..1, circular mean weighted by saturation.
        black: (N,) float32, 0..1, share of the picture outside the screen: black to its edge.
        light: (N, 2) float32, -1..1: how much brighter right is than left, and below than above.
        histogram: (N, 4, 32) float32, each sums to 1: R, G, B, grey.
        thumbnail: (N, 16, 16) uint8, grey, of the aligned face.
        reasons: By row, why a picture could not be read.
    """

    detail: Floats
    sharpness: Floats
    motion_blur: Floats
    brightness: Floats
    hue: Floats
    black: Floats
    light: Floats
    histogram: Floats
    thumbnail: Bytes
    reasons: dict[int, str]

    def __len__(self) -> int:
        return len(self.detail)
