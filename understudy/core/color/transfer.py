"""How a new face takes the colours of the one it replaces: measured on one frame, averaged over
several, then applied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

import cv2
import numpy as np

from understudy.core.color.maps import ColorMap, Fit, InLab, Linear, Pixels, Table
from understudy.types import Floats

# Samples of a colour map along each axis of the colour cube: more follow noise, fewer lose the
# map's bends.
_TABLE: Final = 17

_Kind = TypeVar("_Kind", InLab, Linear, Table)


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
    """The weighted mean; where all are alike, exactly the first. weights: one each, their sum above
    0.
    """
    own, share = parameters[0], np.asarray(weights, np.float64) / np.sum(weights)
    mean = own.copy()
    for each, much in zip(parameters, share, strict=True):
        mean += np.float32(much) * (each - own)
    return mean


def in_lab(fit: Callable[[Pixels, Pixels], InLab]) -> Transfer:
    """Gain and shift of the channels of CIE LAB: parameters (2, 3)."""
    return Transfer(partial(fitted, fit=fit, none=InLab.none()), partial(applied, kind=InLab))


def linear(fit: Callable[[Pixels, Pixels], Linear], *, everywhere: bool = False) -> Transfer:
    """A linear map and a shift of RGB: parameters (3, 4). everywhere: all pixels count alike, not
    as the weight says.
    """
    return Transfer(
        partial(fitted, fit=fit, none=Linear.none(), everywhere=everywhere),
        partial(applied, kind=Linear),
    )


def tabled(fit: Fit, *, everywhere: bool = False, smooth: float = 0) -> Transfer:
    """Any map, as a table of how far colours move: parameters (17, 17, 17, 3).

    smooth: how far the change is blurred, as a share of S, so that detail stays the face's own.
    """
    return Transfer(
        partial(
            fitted, fit=partial(_tabled, fit=fit), none=Table.none(_TABLE), everywhere=everywhere
        ),
        partial(applied, kind=Table, everywhere=everywhere, smooth=smooth),
    )


def pixelwise(changes: Callable[[Floats, Floats, Floats], Floats]) -> Transfer:
    """A transfer that tells of every pixel how far it moves: parameters (S, S, 3), of which no
    average over frames makes sense.

    changes: (face, like, weight) -> parameters.
    """
    return Transfer(changes, _changed, averages=False)


def fitted(
    face: Floats,
    like: Floats,
    weight: Floats,
    *,
    fit: Callable[[Pixels, Pixels], _Kind],
    none: _Kind,
    everywhere: bool = False,
) -> Floats:
    """The parameters of the map from the face to `like`, or those of `none` where too little
    counts.
    """
    counts = np.ones_like(weight) if everywhere else weight
    ours, theirs = Pixels.of(face, counts), Pixels.of(like, counts)
    return (fit(ours, theirs) if ours.are_enough else none).parameters


def applied(
    face: Floats,
    parameters: Floats,
    weight: Floats,
    *,
    kind: type[_Kind],
    everywhere: bool = False,
    smooth: float = 0,
) -> Floats:
    """The face through the map of a kind that has these parameters."""
    mapped: ColorMap = kind(parameters)
    moved = mapped(face)
    if smooth:
        counts = np.ones_like(weight) if everywhere else weight
        moved = face + _blurred(moved - face, counts, smooth * face.shape[0])
    return np.clip(moved, 0, 1)


def _nothing(face: Floats, like: Floats, weight: Floats) -> Floats:
    return np.zeros(0, np.float32)


def _as_it_was(face: Floats, parameters: Floats, weight: Floats) -> Floats:
    return face


def _changed(face: Floats, parameters: Floats, weight: Floats) -> Floats:
    if parameters.shape != face.shape:
        parameters = np.asarray(cv2.resize(parameters, (face.shape[1], face.shape[0])), np.float32)
    return np.asarray(np.clip(face + parameters, 0, 1), np.float32)


def _tabled(face: Pixels, like: Pixels, fit: Fit) -> Table:
    return Table.of(fit(face, like), _TABLE)


def _blurred(change: Floats, weight: Floats, sigma: float) -> Floats:
    """The change, averaged with what counts around it."""
    # Far from all that counts, everything counts a little.
    counts = (weight + np.float32(1e-3))[..., None]
    total = cv2.GaussianBlur(counts, (0, 0), sigma)[..., None]
    return np.asarray(cv2.GaussianBlur(change * counts, (0, 0), sigma) / total, np.float32)


# Leaves the face as the model made it; its parameters are (0,).
UNCHANGED: Final = Transfer(_nothing, _as_it_was)
