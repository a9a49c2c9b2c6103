"""Which takes of a person are mirrored against the others, by what makes the face uneven.

No face is the same left and right: a parting, a mole, a crooked nose. What is left of a small
picture when its mirror image is taken away is turned into its opposite by mirroring, and stays
otherwise. Light from one side does the same, so all that changes slowly over the face is taken out
first, and with it what follows from the turn of the head.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from understudy.core.face.likeness import tell_people
from understudy.types import Bytes, Doubles, Faces, Floats

# From here on, either way, it is told. Takes of one person, cut from four real clips, agree by 0.4
# to 0.98; those of two people, of whom nothing can be told, by up to 0.43 either way.
TOLD: Final = 0.5
# Faces that are turned further, in radians, look uneven for that alone.
_FRONTAL: Final = 0.2
# One face alone may look uneven by what it does; of so many that averages out.
_FEWEST: Final = 8
# Standard deviation of the blur that is taken out, in pixels of a small picture.
_RADIUS: Final = 2.0
# The part of a small picture that shows the face: an ellipse, in its sides.
_WIDTH, _HEIGHT, _BELOW = 0.39, 0.45, 0.03
# Without the lines in which the eyes are: that they look aside says nothing.
_EYES: Final = (-0.19, 0.0)
# The noise that is not drawn up to the contrast of the face.
_NOISE: Final = 0.02


def takes_to_compare(faces: Faces) -> NDArray[np.int64]:
    """Return the take of each face, (N,): its track; -1 = on none, or of another person.

    The main person's takes count, and those of faces that do not say whose they are: another
    person's unevenness is another one, which may be opposite by chance.
    """
    takes = faces.footage_tracks
    if faces.identity is None:
        return takes
    others = np.isfinite(faces.identity).all(axis=1) & (tell_people(faces.identity).person != 0)
    return np.where(others, -1, takes)


def compare_evenness(pictures: Bytes, yaw: Floats, take: ArrayLike) -> Doubles:
    """Return how the unevenness of each face's take agrees with that of the other takes.

    Args:
        pictures: (N, S, S) grey, of upright faces. Black ones show nothing.
        yaw: (N,) radians.
        take: (N,) int, equal where faces are of one take, which is mirrored as a whole or not; -1 =
            of none.

    Returns:
        (N,) -1..1, below 0 = mirrored against most of the others; NaN where there are no others, or
        too few faces of the take look ahead.
    """
    takes = np.asarray(take, np.int64)
    result = np.full(len(takes), np.nan)
    shown = pictures.max(axis=(1, 2), initial=0) > 0
    usable = (np.abs(yaw) < _FRONTAL) & shown & (takes >= 0)
    usable &= np.bincount(takes[usable], minlength=takes.max(initial=0) + 1)[takes] >= _FEWEST
    names, group = np.unique(takes[usable], return_inverse=True)
    if len(names) < 2:
        return result
    uneven = _unevenness(pictures[usable])
    count = np.bincount(group).astype(np.float64)
    means = _means(uneven - _turned(uneven, yaw[usable], group), group)
    towards = means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
    # Which of them are alike and which opposite, without asking which way is the right one.
    weighed = towards * count[:, None] ** 0.5
    common = np.linalg.eigh(weighed.T @ weighed)[1][:, -1]
    signs = np.where(towards @ common < 0, -1.0, 1.0)
    own = (signs * count)[:, None] * towards
    others = own.sum(0) - own
    agreement = np.einsum("gi,gi->g", towards, others)
    agreement /= np.maximum(np.linalg.norm(others, axis=1), 1e-9)
    # Most faces are taken to be the right way round.
    if count @ np.sign(agreement) < 0 or (count @ np.sign(agreement) == 0 and agreement[0] < 0):
        agreement = -agreement
    place = np.searchsorted(names, takes).clip(0, len(names) - 1)
    is_known = names[place] == takes
    result[is_known] = agreement[place[is_known]]
    return result


def _unevenness(pictures: Bytes) -> Doubles:
    """(N, S * S) what mirroring turns into its opposite, at the same contrast everywhere."""
    side = pictures.shape[1]
    tones = np.log(pictures.astype(np.float64) + 8)
    away = np.subtract.outer(np.arange(side), np.arange(side))
    blur = np.exp(-(away**2) / (2 * _RADIUS**2))
    blur /= blur.sum(1, keepdims=True)
    fine = tones - blur @ tones @ blur.T
    fine /= np.sqrt(np.maximum(blur @ fine**2 @ blur.T, 0)) + _NOISE
    across, down = (np.mgrid[:side, :side][::-1] + 0.5) / side - 0.5
    within = (across / _WIDTH) ** 2 + ((down - _BELOW) / _HEIGHT) ** 2 < 1
    within &= (down < _EYES[0]) | (down > _EYES[1])
    uneven: Doubles = ((fine - fine[:, :, ::-1]) / 2 * within).reshape(len(pictures), -1)
    return uneven


def _turned(uneven: Doubles, yaw: Floats, group: NDArray[np.int64]) -> Doubles:
    """What of it follows from the turn of the head, alike in all takes."""
    turn = yaw.astype(np.float64)
    turn_within = turn - _means(turn[:, None], group)[group, 0]
    power = float(turn_within @ turn_within)
    slope = turn_within @ (uneven - _means(uneven, group)[group]) / max(power, 1e-9)
    return np.outer(turn, slope)


def _means(rows: Doubles, group: NDArray[np.int64]) -> Doubles:
    """(G, K) the means of the rows of each group."""
    sums = np.zeros((int(group.max()) + 1, rows.shape[1]))
    np.add.at(sums, group, rows)
    return sums / np.bincount(group)[:, None]
