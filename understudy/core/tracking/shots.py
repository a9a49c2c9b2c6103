"""Where the footage cuts from one shot to the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.core.row_blocks import iter_row_blocks
from understudy.types import Bytes, FloatRows, Floats

if TYPE_CHECKING:
    from cv2.typing import MatLike

# A frame as blocks, across and down; a pan may move the picture by so many of them from one frame
# to the next.
_BLOCKS: Final = (16, 9)
_PAN: Final = (6, 2)
# A frame whose blocks differ by less than this, of 255, is black, white or a flash: it shows
# nothing that could be compared.
_EMPTY: Final = 4.0
# Two frames differ by 0 (the same picture, brighter or darker) to 1 (nothing in common). At a cut
# they differ by at least this, and so many times more than frames do before and after it.
_DIFFERENT: Final = 0.05
_SUDDEN: Final = 4.0
_AROUND: Final = 4
# Half of a film's frames differ from the one before by much less than this.
_STEP: Final = 0.01
# What comes back within so many frames was a flash, or something that passed the lens.
_FLASH: Final = 4


def frame_signature(image: Bytes) -> Floats:
    """Describe a frame by the brightness of its 16 x 9 blocks.

    Args:
        image: (H, W, 3) uint8.

    Returns:
        (144,) float32 in 0..255.
    """
    step = max(1, min(image.shape[:2]) // 120)
    grey = cv2.cvtColor(
        cast("MatLike", np.ascontiguousarray(image[::step, ::step])), cv2.COLOR_RGB2GRAY
    )
    return np.asarray(cv2.resize(grey, _BLOCKS, interpolation=cv2.INTER_AREA), np.float32).ravel()


def any_shows_nothing(images: Sequence[Bytes]) -> bool:
    """Whether any of these frames is of one colour throughout; the first and the last show a face.

    Those of a dark clip all have little contrast: one is empty that has not half of theirs.
    """
    contrast = [float(frame_signature(image).std()) for image in images]
    return min(contrast) <= min(_EMPTY, contrast[0] / 2, contrast[-1] / 2)


def detect_shots(signatures: FloatRows) -> NDArray[np.int64]:
    """Tell the shot that each frame belongs to.

    A hard cut starts a new shot. Flashes, pans, shakes and changes of light do not; neither does a
    picture that is gone for at most 4 frames. A dissolve is one shot from end to end. After a fade
    through black a new shot starts if the picture is new.

    Args:
        signatures: (T, 144) of frames in order.

    Returns:
        (T,) int64 numbers from 0.
    """
    result = np.zeros(len(signatures), np.int64)
    contrast = [
        _pictures(signatures, rows).std(axis=(1, 2)) for rows in iter_row_blocks(len(signatures))
    ]
    shown = np.flatnonzero(np.concatenate([np.zeros(0), *contrast]) > _EMPTY)
    if len(shown) < 2:
        return result
    steps = iter_row_blocks(len(shown) - 1)
    change = np.concatenate(
        [
            _differences(*(_pictures(signatures, shown[at + ahead]) for ahead in (0, 1)))
            for at in steps
        ]
    )
    sudden = [
        at
        for at in np.flatnonzero(change > _DIFFERENT).tolist()
        if change[at] > _DIFFERENT / 2 + _SUDDEN * _usual_change(change, at)
    ]
    cuts = [at for at in sudden if not _comes_back(signatures, shown, at, float(change[at]))]
    result[shown[np.array(cuts, np.int64) + 1]] = 1
    return np.cumsum(result)


def looks_other(signature: Floats, before: Floats) -> bool:
    """Whether a picture differs from the one before as frames of a film hardly do; each (144,)."""
    one, other = (each.reshape(1, _BLOCKS[1], _BLOCKS[0]) for each in (signature, before))
    return bool(_differences(one, other)[0] > _STEP)


def part_photographs(signatures: FloatRows) -> NDArray[np.int64] | None:
    """Tell the shots of photographs: each is one, but for those that look like the one before.

    Args:
        signatures: (T, 144) of pictures in order.

    Returns:
        (T,) int64 numbers from 0; None for frames of a film, most of which look alike.
    """
    if len(signatures) < 2:
        return None
    change = np.concatenate(
        [
            _differences(*(_pictures(signatures, at + ahead) for ahead in (0, 1)))
            for at in iter_row_blocks(len(signatures) - 1)
        ]
    )
    return np.r_[0, np.cumsum(change > _STEP)] if np.median(change) > _STEP else None


def _usual_change(change: Floats, at: int) -> float:
    """How much frames differ before or after a change, whichever is more: the median of a few."""
    sides = change[max(at - _AROUND, 0) : at], change[at + 1 : at + 1 + _AROUND]
    return max((float(np.median(side)) for side in sides if len(side)), default=0.0)


def _comes_back(signatures: FloatRows, shown: NDArray[np.int64], at: int, change: float) -> bool:
    """Whether the picture from before the change is seen again soon after it."""
    around = range(_FLASH + 1)
    pairs = [
        (at - ago, at + 1 + later) for ago in around for later in around if ago + later <= _FLASH
    ]
    pairs = [(before, after) for before, after in pairs if before >= 0 and after < len(shown)]
    ones, others = (_pictures(signatures, shown[list(side)]) for side in zip(*pairs, strict=True))
    return bool(_differences(ones, others).min() < max(change / 3, _DIFFERENT))


def _pictures(signatures: FloatRows, rows: NDArray[np.int64]) -> Floats:
    """Those signatures as pictures, (N, 9, 16)."""
    return signatures[rows].reshape(len(rows), _BLOCKS[1], _BLOCKS[0])


def _differences(ones: Floats, others: Floats) -> Floats:
    """How much pictures (N, 9, 16) differ pair by pair, (N,) in 0..1, after the best pan."""
    least = _correlation_distance(ones, others)
    rows = np.flatnonzero(least > _DIFFERENT)
    for down in range(-_PAN[1], _PAN[1] + 1):
        for right in range(-_PAN[0], _PAN[0] + 1):
            one, other = (
                _crop_common(ones[rows], right, down),
                _crop_common(others[rows], -right, -down),
            )
            least[rows] = np.minimum(least[rows], _correlation_distance(one, other))
    return least


def _crop_common(pictures: Floats, right: int, down: int) -> Floats:
    height, width = pictures.shape[1:]
    return pictures[:, max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)]


def _correlation_distance(ones: Floats, others: Floats) -> Floats:
    """1 - the normalized cross correlation, (N,) in 0..1, whatever brightness and contrast."""
    a, b = (each - each.mean(axis=(1, 2), keepdims=True) for each in (ones, others))
    shared, power = (a * b).sum(axis=(1, 2)), (a * a).sum(axis=(1, 2)) * (b * b).sum(axis=(1, 2))
    return np.asarray(1 - np.clip(shared / np.sqrt(np.maximum(power, 1e-6)), 0, 1), np.float32)
