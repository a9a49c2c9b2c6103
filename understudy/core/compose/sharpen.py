"""Sharpen or soften a face, by so much or until it is as sharp as the one it replaces."""

from __future__ import annotations

import math
from typing import Final, Literal

import cv2
import numpy as np

from understudy.types import Floats

SharpenMode = Literal["match", "unsharp", "box", "gaussian"]

# Radius of "unsharp" as a share of the face's side, in pixels no less than the second number.
_RADIUS: Final = 0.01
_LEAST_RADIUS: Final = 0.5
_FINE_RADIUS: Final = 0.8
_MEDIAN: Final = 5
# Matching sharpness takes no more than all detail away, and adds no more than this.
_LEAST_GAIN, _MOST_GAIN = -1.0, 2.0


def sharpen(
    face: Floats, amount: float, mode: SharpenMode = "unsharp", dfl: bool = False
) -> Floats:
    """Add to the face what a blur would take from it; with a negative amount it is taken away.

    Args:
        face: (S, S, 3) float32 in 0..1.
        amount: Percent of what the blur takes; -100 = the blurred face, 0 = the face as it is.
        mode: The blur. "unsharp" and "match": a Gaussian of 1 % of the side, so that the look does
            not change with the model's resolution; "box": 3 x 3 pixels; "gaussian": 3 x 3 pixels
            of standard deviation 0.8.
        dfl: DeepFaceLab's numbers: "box" with a gain of `amount`, not a hundredth of it, "gaussian"
            half of that. A negative amount is passes of a 5 x 5 median, one for every 10, in any
            mode.

    Returns:
        (S, S, 3) float32 in 0..1.
    """
    if amount == 0:
        return face
    if dfl and amount < 0:
        return _medians(face, -amount)
    gain = amount / 100
    # DeepFaceLab has no other modes.
    if dfl and mode in ("box", "gaussian"):
        gain = {"box": amount, "gaussian": amount / 2}[mode]
    return np.asarray(
        np.clip(face + (face - _blurred(face, mode)) * np.float32(gain), 0, 1), np.float32
    )


def missing_detail(face: Floats, like: Floats, weight: Floats) -> Floats:
    """Measure the share of its detail that the face lacks to be as sharp as `like`.

    Detail is what a Gaussian of 1 % of the side takes away. How much of it there should be is told
    by its energy beside that of what is a little coarser: a face of strong features or in hard
    light has more of both, and is no sharper for that.

    Args:
        face: (S, S, 3) float32 in 0..1.
        like: (S, S, 3), aligned with it.
        weight: (S, S) in 0..1, where to look.

    Returns:
        (1,) float32 in -1..2: 1 = as much again, -1 = it is too sharp. Held there, so that a face
        without detail does not become noise.
    """
    shown = weight[..., None]
    (fine, coarser), (wanted, coarser_wanted) = (_fine_and_coarser(each) for each in (face, like))
    finer = fine - _blurred(fine, "unsharp")

    def energy(one: Floats, other: Floats) -> float:
        return float((shown * one * other).sum())

    most = 1e-9 * max(float(weight.sum()), 1)
    a, coarse_wanted = energy(finer, finer), energy(coarser_wanted, coarser_wanted)
    if min(a, coarse_wanted) <= most:
        return np.zeros(1, np.float32)
    goal = energy(wanted, wanted) * energy(coarser, coarser) / coarse_wanted
    # Energy of fine + gain * finer = goal, solved for the gain; where the face cannot become so
    # soft, as near as it gets.
    b, c = energy(fine, finer), energy(fine, fine) - goal
    gain = (math.sqrt(max(b * b - a * c, 0)) - b) / a
    return np.array([min(max(gain, _LEAST_GAIN), _MOST_GAIN)], np.float32)


def _fine_and_coarser(face: Floats) -> tuple[Floats, Floats]:
    """What sharpening changes, and what is coarser than that by up to three times."""
    soft = _blurred(face, "unsharp")
    wide = 3 * max(_RADIUS * len(face), _LEAST_RADIUS)
    return face - soft, soft - np.asarray(cv2.GaussianBlur(face, (0, 0), wide), np.float32)


def _blurred(face: Floats, mode: SharpenMode) -> Floats:
    if mode == "box":
        return np.asarray(cv2.blur(face, (3, 3)), np.float32)
    if mode == "gaussian":
        return np.asarray(cv2.GaussianBlur(face, (3, 3), _FINE_RADIUS), np.float32)
    return np.asarray(
        cv2.GaussianBlur(face, (0, 0), max(_RADIUS * face.shape[0], _LEAST_RADIUS)), np.float32
    )


def _medians(face: Floats, amount: float) -> Floats:
    """One pass for every 10; what is left over of them counts as a part of a pass."""
    while amount > 0:
        share = np.float32(min(amount / 10, 1))
        face = face + (np.asarray(cv2.medianBlur(face, _MEDIAN), np.float32) - face) * share
        amount -= 10
    return face
