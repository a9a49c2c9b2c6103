"""A face made sharper or softer, by so much or until it is as sharp as the one it replaces."""

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


def sharpened(face: Floats, amount: float, mode: SharpenMode = "unsharp", dfl: bool = False) -> Floats:
    """The face with what a blur would take from it added, (S, S, 3) float32 in 0..1; with a negative amount it is taken away.

    face: (S, S, 3) float32 in 0..1. amount: percent of what the blur takes; -100 = the blurred face, 0 = the face as it is. mode:
    the blur. "unsharp" and "match": a Gaussian of 1 % of the side, so that the look does not change with the model's resolution;
    "box": 3 x 3 pixels; "gaussian": 3 x 3 pixels of standard deviation 0.8. dfl: DeepFaceLab's numbers: "box" with a gain of
    `amount`, not a hundredth of it, "gaussian" half of that, any negative amount as passes of a 5 x 5 median, one for every 10.
    """
    if amount == 0:
        return face
    # DeepFaceLab has no such modes.
    dfl = dfl and mode not in ("match", "unsharp")
    if dfl and amount < 0:
        return _medians(face, -amount)
    gain = amount / 100
    if dfl:
        gain = {"box": amount, "gaussian": amount / 2}[mode]
    return np.asarray(np.clip(face + (face - _blurred(face, mode)) * np.float32(gain), 0, 1), np.float32)


def lacking(face: Floats, like: Floats, weight: Floats) -> Floats:
    """The share of its detail that the face lacks to be as sharp as `like`, (1,) float32: 1 = as much again, -1 = it is too sharp.

    face, like: (S, S, 3) in 0..1, aligned, in like colours. weight: (S, S) in 0..1, where to look. Detail is what a Gaussian of 1 %
    of the side takes away; its energy is what is made alike. Held within -1..2, so that a face without any does not become noise.
    """
    fine, wanted = (each - _blurred(each, "unsharp") for each in (face, like))
    finer = fine - _blurred(fine, "unsharp")
    shown = weight[..., None]
    # Energy of fine + gain * finer = energy of wanted, solved for the gain.
    a, b, c = (float((shown * each).sum()) for each in (finer * finer, fine * finer, fine * fine - wanted * wanted))
    if a <= 1e-9 * max(float(weight.sum()), 1):
        return np.zeros(1, np.float32)
    # Without a solution the face cannot become so soft; this is as near as it gets.
    root = math.sqrt(max(b * b - a * c, 0))
    return np.array([min(max((root - b) / a, _LEAST_GAIN), _MOST_GAIN)], np.float32)


def _blurred(face: Floats, mode: SharpenMode) -> Floats:
    if mode == "box":
        return np.asarray(cv2.blur(face, (3, 3)), np.float32)
    if mode == "gaussian":
        return np.asarray(cv2.GaussianBlur(face, (3, 3), _FINE_RADIUS), np.float32)
    return np.asarray(cv2.GaussianBlur(face, (0, 0), max(_RADIUS * face.shape[0], _LEAST_RADIUS)), np.float32)


def _medians(face: Floats, amount: float) -> Floats:
    """One pass for every 10; what is left over of them counts as a part of a pass."""
    while amount > 0:
        share = np.float32(min(amount / 10, 1))
        face = face + (np.asarray(cv2.medianBlur(face, _MEDIAN), np.float32) - face) * share
        amount -= 10
    return face
