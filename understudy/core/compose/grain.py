"""The grain of the footage, measured where the plate is smooth, and given to the new face.

Grain is told apart by octave (the detail between two blurs, each twice as wide as the last), by
luma and by channel. How alike the channels' grains are shows in their mean: what is independent
averages out there. Stubble, pores, hair and cloth are fine, too, but they are not everywhere: so
only the smoothest squares of each luma count.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Iterator
from functools import cache
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.core import image
from understudy.types import Array, Doubles, Floats

Place = tuple[slice, slice]
Box = tuple[int, int, int, int]

# Standard deviations, in pixels, of the blurs between the octaves.
_BLURS: Final = (0.7, 1.4, 2.8)
# Grain is made of noises that were blurred by so much.
_GRAINS: Final = (0.0, 0.7, 1.4)
# An octave holds at most so many times as much of it as the finer one before.
_COARSEST: Final = (3.5, 2.1)
# The lumas at which grain is told; in between it runs evenly.
_LUMAS: Final = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
# Grain is measured in squares of so many pixels, and so many around them are what a blur reaches.
_SQUARE, _RIM = 16, 8
# At most so many squares each way are looked at, and of each luma's smooth ones so many measured:
# more would cost much and tell little.
_ACROSS, _MEASURED = 24, 10
# Around the face the plate counts for so many times its width and height on each side.
_AROUND: Final = 1.0
# So quiet is the quietest share of squares, and what is as many times as restless is smooth still:
# chance alone makes grain differ so much from one square to the next.
_QUIET, _SMOOTH = 0.04, 1.3
# A square with so many times the usual energy in an octave does not count there.
_OUTLIER: Final = 1.8
# Features that are coarser than grain show in the means of blocks of so many pixels.
_BLOCK: Final = 4
# What is crushed to black or burnt to white has no grain to tell of. In 0..1.
_CRUSHED: Final = (0.03, 0.97)
# A luma in which so many squares are smooth speaks for itself as much as all lumas do for it.
_BORROWED: Final = 8.0
# Grain is stronger at one luma than at another, but alike in size and colour: it rises as its least
# risen octave, or colour, does, and by no more than this. Stubble and hair, which may be all that
# a luma has, rise otherwise. So many smooth squares make a luma tell of the rest.
_RISE, _TELLING = 3.0, 12.0
# Lumas with up to so many times the variance of the quietest have the same grain.
_ALIKE: Final = 1.5
_TILE: Final = 512
# From R G B to these and their mean.
_WITH_MEAN: Final = np.vstack([np.eye(3), np.full((1, 3), 1 / 3)]).astype(np.float32)
# Of grain of three quarters of a level of 255, as rounding and codecs make it, half the variance
# counts; of much stronger grain, all.
_FAINT: Final = (0.75 / 255) ** 2
# Of a variance below this a tenth of a level would be given, which nobody sees.
_UNSEEN: Final = (0.4 / 255) ** 2
# Below this the matte hides what it mixes in.
_LEAST_MATTE: Final = 0.02


def fit(plate: Array, layer: Floats, matte: Floats, box: Box | None = None) -> Floats:
    """Measure how much grain the plate has and how much the layer.

    Args:
        plate: (H, W, 3) uint8, uint16 or float32, the whole frame. What is smooth in the face or
            around it tells.
        layer: (h, w, 3) float32 in 0..1, which lies over a part of it.
        matte: (h, w); of the layer only what it shows is looked at.
        box: x0 y0 x1 y1, that part; None = the whole.

    Returns:
        (2, 3, 5, 4) float32 variances: plate and layer, octaves, lumas, R G B and their mean. All 0
        where no square of 16 x 16 can be measured. Averages over frames are variances, too.
    """
    if not (matte > 0.5).any():
        return np.zeros((2, len(_BLURS), len(_LUMAS), 4), np.float32)
    height, width = plate.shape[:2]
    x0, y0, x1, y1 = box or (0, 0, width, height)
    wide, high = (round(_AROUND * side) for side in (x1 - x0, y1 - y0))
    around = plate[
        max(y0 - high, 0) : min(y1 + high, height), max(x0 - wide, 0) : min(x1 + wide, width)
    ]
    return np.stack([_variances(around), _variances(layer, matte)])


def apply(
    layer: Floats,
    params: Floats,
    amount: float,
    seed: int,
    origin: tuple[int, int] = (0, 0),
    matte: Floats | None = None,
) -> Floats:
    """Give the layer grain like the plate's, as far as it lacks any.

    Args:
        layer: (H, W, 3) float32 in 0..1.
        params: From `fit`.
        amount: Percent of what is lacking.
        seed: Which grain, see `frame_seed`.
        origin: (x, y) in the frame where the layer begins. Grain sticks to the frame, so it does
            not wander with the region's border.
        matte: (H, W), by which the layer is mixed into the plate afterwards. Where both show each
            has a part of the grain, and two grains mixed are weaker than either: so the layer gets
            as much more as makes the mixture's as strong as the plate's. None = 1 everywhere.

    Returns:
        (H, W, 3) float32 in 0..1.
    """
    lacking = np.maximum(np.asarray(params[0], np.float64) - params[1], 0)
    at_luma = lacking[..., :3].sum(0).mean(-1)
    if amount == 0 or at_luma.max() < _UNSEEN:
        return layer
    lacking *= (at_luma**2 / (at_luma**2 + _FAINT**2))[:, None]
    mixing, strength = _mixing(lacking)
    levels = np.arange(256) / 255
    table = np.stack([np.interp(levels, _LUMAS, each) for each in strength.T], -1)
    luma = np.asarray(cv2.convertScaleAbs(_luma(layer), alpha=255), np.uint8)
    noise = np.take((table * amount / 100).astype(np.float32), luma, 0)
    shift = np.random.default_rng(seed).integers(0, _TILE, 2)
    for place, part in _repeats(shift + origin[::-1], luma.shape):
        noise[place] *= np.matmul(_tiles()[part], mixing)
    if matte is not None:
        noise *= np.sqrt(2 / np.maximum(matte, np.float32(_LEAST_MATTE)) - 1)[..., None]
    noise += layer
    return np.asarray(np.clip(noise, 0, 1, out=noise), np.float32)


def frame_seed(plate: Array) -> int:
    """Return a number made of the frame's own pixels, so that a still plate has still grain.

    Args:
        plate: (H, W, 3) of any dtype; every eighth row counts.
    """
    return zlib.crc32(np.ascontiguousarray(plate[::8]).tobytes())


def _mixing(variances: Doubles) -> tuple[Floats, Doubles]:
    """How the grain is made: of the tile's noises a mixture, of a strength for each luma.

    variances: (3, 5, 4). The mixture is (12, 3) and of variance 1; the strength a deviation, (5,
    3).
    """
    variances = _soften(variances)
    made = _unmix(variances.sum(1))
    single, mean = np.sqrt(made[:, :3]), made[:, 3]
    squares, crossed = (single**2).sum(-1), single.sum(-1) ** 2
    # Of channels with a correlation r the mean has the variance (squares + r * (crossed - squares))
    # / 9.
    alike = np.clip((9 * mean - squares) / np.maximum(crossed - squares, 1e-12), 0, 1)[:, None]
    share = single / np.maximum(np.sqrt((single**2).sum(0)), 1e-12)
    # Grain is as coarse at one luma as at another.
    strength = np.sqrt(variances[..., :3].sum(0) / np.maximum((_seen() @ share**2).sum(0), 1e-12))
    own, common = share * np.sqrt(1 - alike), share * np.sqrt(alike)
    mixing = np.stack(
        [np.vstack([np.diag(one), other]) for one, other in zip(own, common, strict=True)]
    )
    return mixing.reshape(-1, 3).astype(np.float32), strength


def _variances(picture: Array, matte: Floats | None = None) -> Floats:
    """The variance of the grain at every octave and luma, (3, 5, 4)."""
    result = np.zeros((len(_BLURS), len(_LUMAS), 4))
    squares = _find_squares(picture, matte)
    if not len(squares.restless):
        return result.astype(np.float32)
    near = np.stack([np.interp(squares.luma, _LUMAS, row) for row in np.eye(len(_LUMAS))])
    chosen = [_choose(squares.restless, each) for each in near]
    used = np.unique(np.concatenate([rows for rows, _ in chosen]))
    energies = _energies(_cut_out(picture, squares, used))
    place = {int(row): at for at, row in enumerate(used)}
    for at, (rows, _) in enumerate(chosen):
        if len(rows):
            mine = energies[:, [place[int(row)] for row in rows]]
            result[:, at] = _mean_without_outliers(mine, near[at, rows])
    counts = np.array([count for _, count in chosen])
    return _even_out(result, counts).astype(np.float32)


def _mean_without_outliers(energies: Doubles, weights: Doubles) -> Doubles:
    """The mean over squares, octave by octave, (3, 4). energies: (3, N, 4). weights: (N,).

    A feature beside a smooth square still shows in its coarse octaves, by far.
    """
    usual = np.median(energies[..., 3], axis=1, keepdims=True)
    counted = weights * (energies[..., 3] <= _OUTLIER * usual)
    return np.asarray(
        (energies * counted[..., None]).sum(1) / counted.sum(1, keepdims=True), np.float64
    )


def _even_out(variances: Doubles, counts: Doubles) -> Doubles:
    """What the lumas tell of each other.

    variances: (3, 5, 4). counts: (5,), smooth squares of each luma.
    """
    level, mean = variances[..., :3].mean(-1), variances[..., 3]
    telling = counts >= min(_TELLING, counts.max())
    alike = telling & (level.sum(0) <= _ALIKE * level.sum(0)[telling].min())
    usual = np.average(variances, axis=1, weights=counts * alike)
    signs = np.vstack([level, mean, (level - mean).sum(0)])
    usually = np.average(signs, axis=1, weights=counts * alike)
    told = usually > 0.01 * signs[:3].sum(0).min()
    more = (signs[told] / usually[told, None]).min(0, initial=_RISE)
    own = counts / (counts + _BORROWED)
    return np.asarray(usual[:, None] * (own * more + 1 - own)[:, None], np.float64)


class _Squares(NamedTuple):
    """Squares of a picture that grain could be measured in, (N,) each.

    tops, lefts: where they begin. luma: in 0..1. restless: how much neighbouring pixels differ, and
    how much small blocks differ from an even slope, squared: grain, texture and edges raise that.
    """

    tops: NDArray[np.int64]
    lefts: NDArray[np.int64]
    luma: Floats
    restless: Floats


def _find_squares(picture: Array, matte: Floats | None) -> _Squares:
    """Squares spread evenly over a picture, without those that are crushed or not shown."""
    tops, lefts = (_spread(side) for side in picture.shape[:2])
    if not len(tops) * len(lefts):
        return _Squares(*(np.zeros(0, np.int64),) * 2, *(np.zeros(0, np.float32),) * 2)
    windows = np.lib.stride_tricks.sliding_window_view(picture, (_SQUARE, _SQUARE), axis=(0, 1))
    seen = windows[_slice(tops), _slice(lefts)].transpose(0, 3, 1, 4, 2)
    high, wide = len(tops) * _SQUARE, len(lefts) * _SQUARE
    grey = _luma(image.as_float(np.ascontiguousarray(seen).reshape(high, wide, 3)))
    each = grey.reshape(len(tops), _SQUARE, len(lefts), _SQUARE)
    steps = (each[:, 1:] - each[:, :-1], each[..., 1:] - each[..., :-1])
    fine = sum(np.einsum("abcd,abcd->ac", step, step).ravel() for step in steps)
    side = _SQUARE // _BLOCK
    size = (len(lefts) * side, len(tops) * side)
    means = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.float32)
    cells = means.reshape(len(tops), side, len(lefts), side)
    blocks = cells.transpose(0, 2, 1, 3).reshape(-1, side**2)
    restless = fine / _SQUARE**2 + _BLOCK**2 * ((blocks @ _off_plane()) ** 2).mean(1)
    luma = blocks.mean(1)
    down, across = (axis.ravel() for axis in np.meshgrid(tops, lefts, indexing="ij"))
    counted = (luma > _CRUSHED[0]) & (luma < _CRUSHED[1])
    if matte is not None:
        half = _SQUARE // 2
        counted &= matte[down + half, across + half] > 0.5
    return _Squares(down[counted], across[counted], luma[counted], restless[counted])


@cache
def _off_plane() -> Floats:
    """What takes the plane that fits best out of the blocks of a square, (16, 16)."""
    places = np.linspace(-1, 1, _SQUARE // _BLOCK)
    down, across = (each.ravel() for each in np.meshgrid(places, places))
    plane = np.stack([np.ones_like(down), down, across], 1)
    return np.asarray(np.eye(len(plane)) - plane @ np.linalg.pinv(plane), np.float32)


def _spread(side: int) -> range:
    """Where squares begin along a side, at most `_ACROSS` of them."""
    room = side - 2 * _RIM - _SQUARE
    if room < 0:
        return range(0)
    step = max(_SQUARE // 2, math.ceil((room + 1) / _ACROSS))
    return range(_RIM, _RIM + room + 1, step)


def _slice(each: range) -> slice:
    return slice(each.start, each.stop, each.step)


def _choose(restless: Floats, near: Doubles) -> tuple[NDArray[np.int64], float]:
    """The squares that are measured for a luma, and by how many smooth ones it is told.

    near: (N,), how far each square is of that luma.
    """
    rows = np.flatnonzero(near > 0)
    if not len(rows):
        return rows, 0.0
    order = rows[np.argsort(restless[rows], kind="stable")]
    total = np.cumsum(near[order])
    quiet = restless[order[np.searchsorted(total, _QUIET * total[-1])]]
    smooth = rows[restless[rows] <= _SMOOTH * quiet]
    taken = np.linspace(0, len(smooth) - 1, min(len(smooth), _MEASURED)).astype(np.int64)
    return smooth[taken], float(near[smooth].sum())


def _cut_out(picture: Array, squares: _Squares, rows: NDArray[np.int64]) -> Floats:
    """Squares with their rims, one below the other, R G B and their mean."""
    side = _SQUARE + 2 * _RIM
    corners = zip(squares.tops[rows] - _RIM, squares.lefts[rows] - _RIM, strict=True)
    stack = np.concatenate([picture[y : y + side, x : x + side] for y, x in corners])
    return np.asarray(cv2.transform(image.as_float(stack), _WITH_MEAN), np.float32)


def _energies(stack: Floats) -> Doubles:
    """The mean square of every octave in every square, (3, N, 4). stack: from `_cut_out`."""
    side = _SQUARE + 2 * _RIM
    inner = np.s_[:, _RIM:-_RIM, _RIM:-_RIM]
    return np.stack(
        [
            (each**2).reshape(-1, side, side, 4)[inner].mean((1, 2), dtype=np.float64)
            for each in _octaves(stack)
        ]
    )


def _octaves(picture: Floats) -> list[Floats]:
    blurred = [picture, *(image.blur(picture, sigma) for sigma in _BLURS)]
    return [fine - coarse for fine, coarse in itertools.pairwise(blurred)]


def _luma(picture: Floats) -> Floats:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.float32)


def _repeats(at: Array, shape: tuple[int, ...]) -> Iterator[tuple[Place, Place]]:
    """The parts of a region of the endless plane that the tile repeats in.

    at: (y, x) where the region begins. Each part comes as its place in the region and in the tile.
    """
    for y, row, height in _pieces(int(at[0]), shape[0]):
        for x, column, width in _pieces(int(at[1]), shape[1]):
            yield (
                np.s_[y : y + height, x : x + width],
                np.s_[row : row + height, column : column + width],
            )


def _pieces(start: int, length: int) -> Iterator[tuple[int, int, int]]:
    """A stretch, cut where tiles end: where each piece begins, there and in the tile; length."""
    done = 0
    while done < length:
        inside = (start + done) % _TILE
        piece = min(_TILE - inside, length - done)
        yield done, inside, piece
        done += piece


def _soften(energies: Doubles) -> Doubles:
    """Octaves as grain can have them. energies: (3, ...).

    The coarsest grain is noise that was blurred by some 1.5 pixels; what is coarser is no grain.
    """
    result = energies.copy()
    for octave, most in enumerate(_COARSEST, 1):
        result[octave] = np.minimum(result[octave], most * result[octave - 1])
    return result


def _unmix(energies: Doubles) -> Doubles:
    """How much of each noise makes these octaves, or comes nearest to them, (3, C) and none < 0."""
    best, least = np.zeros_like(energies), (energies**2).sum(0)
    for kinds, inverse in _inverses():
        made = np.zeros_like(energies)
        made[list(kinds)] = inverse @ energies
        error = ((_seen() @ made - energies) ** 2).sum(0)
        better = (made >= 0).all(0) & (error < least)
        best, least = np.where(better, made, best), np.where(better, error, least)
    return best


@cache
def _inverses() -> list[tuple[tuple[int, ...], Doubles]]:
    """Each choice of the noises, with what tells how much of each comes nearest to octaves."""
    kinds = range(len(_GRAINS))
    chosen = itertools.chain.from_iterable(
        itertools.combinations(kinds, count) for count in range(1, len(kinds) + 1)
    )
    return [
        (each, np.asarray(np.linalg.pinv(_seen()[:, list(each)]), np.float64)) for each in chosen
    ]


@cache
def _tiles() -> Floats:
    """Noise without a seam, (512, 512, 12): for each of `_GRAINS` four of variance 1."""
    rng, noise = np.random.default_rng(0), []
    for sigma in _GRAINS:
        white = rng.standard_normal((_TILE, _TILE, 4), np.float32)
        reach = math.ceil(image.GAUSSIAN_REACH * sigma)
        wide = np.pad(white, ((reach, reach), (reach, reach), (0, 0)), "wrap")
        soft = (image.blur(wide, sigma) if sigma else wide)[reach:, reach:][:_TILE, :_TILE]
        noise.append(soft / soft.std())
    return np.ascontiguousarray(np.concatenate(noise, axis=2))


@cache
def _seen() -> Doubles:
    """How much of each of the tiles' noises is seen in each octave, (3, 3)."""
    noises = np.split(_tiles(), len(_GRAINS), axis=2)
    return np.stack([[(each**2).mean() for each in _octaves(noise)] for noise in noises], 1)
