"""Colour transfers: measured on one frame, averaged over several, then applied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

import cv2
import numpy as np

from understudy.core.color.maps import ColorFit, ColorMap, LabMap, LinearMap, Pixels, TableMap
from understudy.types import Floats

# Samples of a colour map along each axis of the colour cube: more follow noise, fewer lose the
# map's bends.
_TABLE: Final = 17

_Kind = TypeVar("_Kind", LabMap, LinearMap, TableMap)


@dataclass(frozen=True, slots=True)
class Transfer:
    """Takes colours over in two steps; called as a function, it takes both at once.

    fit: (face, like, weight) -> parameters, of the same shape for every picture of one size; where
    the weight leaves too little to go by, those that change nothing. apply: (face, parameters,
    weight) -> face in 0..1. face, like: (S, S, 3) in 0..1. weight: (S, S) in 0..1, how much each
    pixel counts. averages: whether the mean of several frames' parameters means anything.
    """

    fit: Callable[[Floats, Floats, Floats], Floats]
    apply: Callable[[Floats, Floats, Floats], Floats]
    averages: bool = True

    def __call__(self, face: Floats, like: Floats, weight: Floats) -> Floats:
        """The face with the colours of `like`."""
        return self.apply(face, self.fit(face, like, weight), weight)


def weighted_mean(parameters: Sequence[Floats], weights: Sequence[float]) -> Floats:
    """Return the weighted mean of arrays; where all are alike, exactly the first.

    Args:
        parameters: Arrays of one shape.
        weights: One each, their sum above 0.
    """
    own, share = parameters[0], np.asarray(weights, np.float64) / np.sum(weights)
    mean = own.copy()
    for each, much in zip(parameters, share, strict=True):
        mean += np.float32(much) * (each - own)
    return mean


def lab_transfer(fit: Callable[[Pixels, Pixels], LabMap]) -> Transfer:
    """Transfer by gain and shift of the channels of CIE LAB: parameters (2, 3)."""
    return Transfer(partial(fit_map, fit=fit, none=LabMap.none()), partial(apply_map, kind=LabMap))


def linear_transfer(
    fit: Callable[[Pixels, Pixels], LinearMap], *, everywhere: bool = False
) -> Transfer:
    """Transfer by a linear map and a shift of RGB: parameters (3, 4).

    everywhere: all pixels count alike, not as the weight says.
    """
    return Transfer(
        partial(fit_map, fit=fit, none=LinearMap.none(), everywhere=everywhere),
        partial(apply_map, kind=LinearMap),
    )


def table_transfer(fit: ColorFit, *, everywhere: bool = False, smooth: float = 0) -> Transfer:
    """Transfer by any map, as a table of how far colours move: parameters (17, 17, 17, 3).

    everywhere: all pixels count alike, not as the weight says. smooth: how far the change is
    blurred, as a share of S, so that detail stays the face's own.
    """
    return Transfer(
        partial(
            fit_map,
            fit=partial(_tabled, fit=fit),
            none=TableMap.none(_TABLE),
            everywhere=everywhere,
        ),
        partial(apply_map, kind=TableMap, everywhere=everywhere, smooth=smooth),
    )


def pixelwise_transfer(changes: Callable[[Floats, Floats, Floats], Floats]) -> Transfer:
    """Transfer that says of every pixel how far it moves: parameters (S, S, 3).

    No average of them over frames makes sense. changes: (face, like, weight) -> parameters.
    """
    return Transfer(changes, _apply_changes, averages=False)


def fit_map(
    face: Floats,
    like: Floats,
    weight: Floats,
    *,
    fit: Callable[[Pixels, Pixels], _Kind],
    none: _Kind,
    everywhere: bool = False,
) -> Floats:
    """Fit a map from the colours of the face to those of `like`.

    Args:
        face: (S, S, 3) float32 in 0..1.
        like: (S, S, 3) float32 in 0..1.
        weight: (S, S) in 0..1, how much each pixel counts.
        fit: Makes the map.
        none: The map to take where too little counts.
        everywhere: All pixels count alike.

    Returns:
        The map's parameters.
    """
    counts = np.ones_like(weight) if everywhere else weight
    ours, theirs = Pixels.of(face, counts), Pixels.of(like, counts)
    return (fit(ours, theirs) if ours.are_enough else none).parameters


def apply_map(
    face: Floats,
    parameters: Floats,
    weight: Floats,
    *,
    kind: type[_Kind],
    everywhere: bool = False,
    smooth: float = 0,
) -> Floats:
    """Put the face through the map of a kind that has these parameters.

    Args:
        face: (S, S, 3) float32 in 0..1.
        parameters: From `fit_map`.
        weight: (S, S) in 0..1, how much each pixel counts.
        kind: The kind of map.
        everywhere: All pixels count alike.
        smooth: How far the change is blurred, as a share of S.

    Returns:
        (S, S, 3) float32 in 0..1.
    """
    mapped: ColorMap = kind(parameters)
    moved = mapped(face)
    if smooth:
        counts = np.ones_like(weight) if everywhere else weight
        moved = face + _blur_change(moved - face, counts, smooth * face.shape[0])
    return np.clip(moved, 0, 1)


def _no_parameters(face: Floats, like: Floats, weight: Floats) -> Floats:
    return np.zeros(0, np.float32)


def _unchanged(face: Floats, parameters: Floats, weight: Floats) -> Floats:
    return face


def _apply_changes(face: Floats, parameters: Floats, weight: Floats) -> Floats:
    if parameters.shape != face.shape:
        parameters = np.asarray(cv2.resize(parameters, (face.shape[1], face.shape[0])), np.float32)
    return np.asarray(np.clip(face + parameters, 0, 1), np.float32)


def _tabled(face: Pixels, like: Pixels, fit: ColorFit) -> TableMap:
    return TableMap.of(fit(face, like), _TABLE)


def _blur_change(change: Floats, weight: Floats, sigma: float) -> Floats:
    """The change, averaged with what counts around it."""
    # Far from all that counts, everything counts a little.
    counts = (weight + np.float32(1e-3))[..., None]
    total = cv2.GaussianBlur(counts, (0, 0), sigma)[..., None]
    return np.asarray(cv2.GaussianBlur(change * counts, (0, 0), sigma) / total, np.float32)


# Leaves the face as the model made it; its parameters are (0,).
UNCHANGED: Final = Transfer(_no_parameters, _unchanged)
