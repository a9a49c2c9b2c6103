"""What hides parts of a face for a while: found, and replaced by how the face usually looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from understudy.core import affine, image
from understudy.types import Doubles, Floats

# Faces are compared on a grid of so many cells a side: on a finer one, features that move with the
# expression would speak.
_CELLS: Final = 32
# Fewer cells than this say nothing about what is usual.
_LEAST_CELLS: Final = 24
# Expression, turns of the head and noise move a cell by this much anyway, in 0..1.
_USUAL: Final = 0.05
# A cell that is as many times as far off as the usual one is no face; a little less counts in part.
_FAR: Final = 5.5
_STEPS: Final = 4
# What is usual is read off the nearest share of the face: the rest may be covered.
_SHARE: Final = 0.35
# A cell is the face when it looks so in this share of its pictures: what is in them now and then is
# no part of it.
_LIKE: Final = 0.3
# A change of exposure and contrast is believed within these gains, and they are pulled to 1.
_GAINS: Final = (0.5, 2.0)
_PULL: Final = 2e-3


@dataclass(frozen=True, slots=True)
class TypicalFace:
    """How a face usually looks.

    picture: (S, S, 3) float32 in 0..1, the median of pictures of it. cells: (K, C, C, 3), each of
    them on a coarse grid.
    """

    picture: Floats
    cells: Floats

    @classmethod
    def of(cls, faces: Sequence[Floats]) -> TypicalFace:
        """From at least one picture, (S, S, 3) float32 in 0..1, all aligned alike."""
        cells = min(_CELLS, faces[0].shape[0])
        return cls(
            np.asarray(np.median(np.stack(faces), axis=0), np.float32),
            np.stack([_shrink(each, cells) for each in faces]),
        )

    def moved(self, matrix: Doubles) -> TypicalFace:
        """Return the same face elsewhere in its square. matrix: (2, 3), moved_from_face."""
        size, cells = self.picture.shape[0], self.cells.shape[1]
        coarse = affine.compose(
            affine.scaling(cells / size), affine.compose(matrix, affine.scaling(size / cells))
        )
        return TypicalFace(
            image.warp(self.picture, matrix, (size, size), "replicate"),
            np.stack(
                [image.warp(each, coarse, (cells, cells), "replicate") for each in self.cells]
            ),
        )


def uncover(face: Floats, usual: TypicalFace, weight: Floats) -> tuple[Floats, Floats]:
    """Return the face as if nothing stood before it, and how far each pixel is the face's own.

    What differs from nearly all pictures of it by far more than the rest of the face does is taken
    for a hand, a microphone, a strand of hair, and gives way to what is usual there in the frame's
    light: a gain and a shift of each channel, fitted to what is left (Tukey's biweight).

    Args:
        face: (S, S, 3) float32 in 0..1.
        usual: How this face looks, in pictures of the same size.
        weight: (S, S) in 0..1, where to look.

    Returns:
        (S, S, 3) and (S, S), both float32 in 0..1; `face` itself and ones where nothing is before
        it.
    """
    shown = np.ones(weight.shape, np.float32)
    cells = usual.cells.shape[1]
    counts = _shrink(weight, cells)
    known = counts > 0.5
    if np.count_nonzero(known) < _LEAST_CELLS:
        return face, shown
    trust, gain, shift = _trust(
        usual.cells[:, known].astype(np.float64),
        _shrink(face, cells)[known].astype(np.float64),
        counts[known].astype(np.float64),
    )
    if (trust >= 1).all():
        return face, shown
    grid = np.ones((cells, cells), np.float32)
    grid[known] = trust
    # The rim of what passes lies in the cells beside it.
    soft = cv2.blur(cv2.erode(grid, np.ones((3, 3), np.uint8)), (3, 3))
    size = (weight.shape[1], weight.shape[0])
    shown = np.clip(np.asarray(cv2.resize(soft, size), np.float32), 0, 1)
    relit = np.clip(usual.picture * gain.astype(np.float32) + shift.astype(np.float32), 0, 1)
    return relit + (face - relit) * shown[..., None], shown


def _trust(ours: Doubles, theirs: Doubles, counts: Doubles) -> tuple[Doubles, Doubles, Doubles]:
    """How far each cell is the face, (N,) in 0..1, and the gain and shift of the channels.

    ours: (K, N, 3), theirs: (N, 3). Two guesses of the light are tried, that it is as usual and
    that most of the face tells it. The one by which more of the face is itself holds.
    """
    middle = np.median(ours, axis=0)
    place = int(_LIKE * len(ours))
    best, most = (np.ones(len(theirs)), np.ones(3), np.zeros(3)), -1.0

    def distance(gain: Doubles, shift: Doubles) -> tuple[Doubles, float]:
        each = np.linalg.norm(theirs - gain * ours - shift, axis=2)
        far = np.partition(each, place, axis=0)[place]
        return far, max(_quantile(far, counts), _USUAL)

    starts = np.zeros(3), np.array([_quantile(each, counts, 0.5) for each in (theirs - middle).T])
    for shift in starts:
        gain = np.ones(3)
        for _ in range(_STEPS):
            far, usual = distance(gain, shift)
            agreed = counts * np.clip(1 - (far / (_FAR * usual)) ** 2, 0, 1) ** 2
            gain, shift = _line(middle, theirs, agreed)
        far, usual = distance(gain, shift)
        alike = float((counts * np.exp(-((far / _USUAL) ** 2))).sum())
        if alike > most:
            most, best = alike, (np.clip(2 - far / (_FAR / 2 * usual), 0, 1), gain, shift)
        if usual <= _USUAL and (best[0] >= 1).all():
            # Nothing is before the face: no other light can say more.
            break
    return best


def _line(ours: Doubles, theirs: Doubles, counts: Doubles) -> tuple[Doubles, Doubles]:
    """The gain and shift of each channel that carry ours nearest to theirs."""
    total = max(float(counts.sum()), 1e-9)
    mean, wanted = (counts @ each / total for each in (ours, theirs))
    aside = ours - mean
    slope = (counts @ (aside * (theirs - wanted)) / total + _PULL) / (
        counts @ aside**2 / total + _PULL
    )
    gain = np.clip(slope, *_GAINS)
    return gain, wanted - gain * mean


def _quantile(values: Doubles, counts: Doubles, share: float = _SHARE) -> float:
    order = np.argsort(values, kind="stable")
    total = np.cumsum(counts[order])
    return float(values[order][np.searchsorted(total, total[-1] * share)])


def _shrink(picture: Floats, cells: int) -> Floats:
    return np.asarray(cv2.resize(picture, (cells, cells), interpolation=cv2.INTER_AREA), np.float32)
