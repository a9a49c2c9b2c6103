"""Colour transfers by the formulas of DeepFaceLab, so that its numbers keep their meaning.

They measure over the whole square, in which pixels outside of the face count as black, and stretch
without limit; random directions are the same for every frame. Where the formula divides by a spread
of nothing, nothing is stretched. Weight above 0 is the area of the face.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import cv2
import numpy as np

from understudy.core.color.lab import lab_from_rgb, rgb_from_lab, weighted_mean_std
from understudy.core.color.maps import LinearMap, linear_about_mean, matrix_power
from understudy.core.color.reinhard import shift_lab
from understudy.core.color.transfer import Transfer, apply_map, pixelwise_transfer
from understudy.types import Bytes, Doubles, Floats

Moved = Callable[[Floats, Floats], Floats]

# Spread and variance below these are those of a flat colour.
_FLAT: Final = 1e-5
_FLAT_VARIANCE: Final = 1e-10
# What lct adds to every variance.
_REGULAR: Final = 1e-5
_STEPS: Final = 20
_BINS: Final = 256
# The filter that smooths what sot changes: spread in colour and in pixels.
_BILATERAL: Final = (5.0, 16.0)
# The lightness at which mix moves colours.
_MIDDLE: Final = 100


def rct() -> Transfer:
    """Mean and spread of CIE LAB's channels: parameters (2, 3), gain and shift.

    What weighs less than one half counts as 0.
    """
    return Transfer(_reinhard, _moved_in_lab)


def lct() -> Transfer:
    """Mean and covariance by their roots, of the whole square: parameters (3, 4)."""
    return Transfer(_roots, partial(apply_map, kind=LinearMap))


def mkl(*, masked: bool) -> Transfer:
    """Mean and covariance by the map of Monge and Kantorovich: parameters (3, 4)."""
    return Transfer(partial(_monge, masked=masked), partial(apply_map, kind=LinearMap))


def idt(*, masked: bool) -> Transfer:
    """Twenty matches of histograms along axes that are turned at random: parameters (S, S, 3)."""
    return pixelwise_transfer(partial(_changes, moved=_iterated, masked=masked))


def sot(*, masked: bool) -> Transfer:
    """Ten steps, each the mean of what thirty directions ask for: parameters (S, S, 3)."""
    return pixelwise_transfer(partial(_changes, moved=partial(_sliced, batch=30), masked=masked))


def mix(*, masked: bool) -> Transfer:
    """Lightness by mean and spread, chroma as `sot` with five directions: parameters (S, S, 3).

    In 8 bits.
    """
    return pixelwise_transfer(partial(_changes, moved=_mixed, masked=masked))


def _reinhard(face: Floats, like: Floats, weight: Floats) -> Floats:
    inside = (weight >= 0.5)[..., None]
    (mean, spread), (goal, wanted) = (
        weighted_mean_std(np.where(inside, lab_from_rgb(each), 0), np.ones_like(weight))
        for each in (face, like)
    )
    gain = np.where(spread > _FLAT, wanted / np.maximum(spread, _FLAT), 1)
    return np.stack([gain, goal - mean * gain]).astype(np.float32)


def _moved_in_lab(face: Floats, parameters: Floats, weight: Floats) -> Floats:
    return rgb_from_lab(shift_lab(lab_from_rgb(face), parameters))


def _roots(face: Floats, like: Floats, weight: Floats) -> Floats:
    (mean, spread), (goal, wanted) = (_covariance(each, 0) for each in (face, like))
    regular = _REGULAR * np.eye(3)
    return linear_about_mean(
        mean, matrix_power(wanted + regular, 0.5) @ matrix_power(spread + regular, -0.5), goal
    ).parameters


def _monge(face: Floats, like: Floats, weight: Floats, masked: bool) -> Floats:
    (mean, spread), (goal, wanted) = (
        _covariance(_seen(each, weight, masked), 1) for each in (face, like)
    )
    root, back = (matrix_power(spread, exponent, _FLAT_VARIANCE) for exponent in (0.5, -0.5))
    middle = matrix_power(root @ wanted @ root, 0.5, float(np.finfo(np.float64).eps))
    return linear_about_mean(mean, back @ middle @ back, goal).parameters


def _covariance(picture: Floats, less: int) -> tuple[Doubles, Doubles]:
    """Mean (3,) and covariance (3, 3), divided by the count less so many."""
    colors = picture.reshape(-1, 3).astype(np.float64)
    return colors.mean(0), np.asarray(np.cov(colors.T, ddof=less), np.float64)


def _seen(picture: Floats, weight: Floats, masked: bool) -> Floats:
    return np.where((weight > 0)[..., None], picture, np.float32(0)) if masked else picture


def _changes(face: Floats, like: Floats, weight: Floats, moved: Moved, masked: bool) -> Floats:
    ours, theirs = (_seen(each, weight, masked) for each in (face, like))
    return np.asarray(moved(ours, theirs) - ours, np.float32)


def _iterated(face: Floats, like: Floats) -> Floats:
    random = np.random.default_rng(0)
    ours, theirs = (each.reshape(-1, 3).astype(np.float64) for each in (face, like))
    for _ in range(_STEPS):
        axes = np.linalg.qr(random.standard_normal((3, 3)))[0]
        turned = ours @ axes
        matched = [_matched(*pair) for pair in zip(turned.T, (theirs @ axes).T, strict=True)]
        ours = ours + (np.stack(matched, -1) - turned) @ axes.T / _STEPS
    return np.clip(ours, 0, 1).reshape(face.shape).astype(np.float32)


def _matched(values: Doubles, wanted: Doubles) -> Doubles:
    """Values (N,) with the histogram of the wanted ones, in 256 bins."""
    ends = (min(values.min(), wanted.min()), max(values.max(), wanted.max()))
    if ends[1] - ends[0] < _FLAT:
        return values
    edges = np.histogram_bin_edges(values, _BINS, ends)[1:]
    ours, theirs = (
        np.cumsum(np.histogram(each, _BINS, ends)[0]) / len(each) for each in (values, wanted)
    )
    # As there: what lies in the lowest bin goes to 0.
    return np.asarray(np.interp(values, edges, np.interp(ours, theirs, edges), left=0), np.float64)


def _sliced(face: Floats, like: Floats, batch: int) -> Floats:
    random = np.random.default_rng(0)
    start = face.reshape(-1, 3)
    ours, theirs = start.copy(), like.reshape(-1, 3)
    moves = np.empty((batch, len(ours)), np.float32)
    for _ in range(10):
        directions = random.standard_normal((batch, 3)).astype(np.float32)
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        for along, move in zip(directions, moves, strict=True):
            shadow = ours @ along
            order = np.argsort(shadow)
            move[order] = np.sort(theirs @ along) - shadow[order]
        ours += moves.T @ directions / np.float32(batch)
    smooth = cv2.bilateralFilter((ours - start).reshape(face.shape), 0, *_BILATERAL)
    return face + np.asarray(smooth, np.float32)


def _mixed(face: Floats, like: Floats) -> Floats:
    ours, theirs = (cv2.cvtColor(_bytes(each * 255), cv2.COLOR_RGB2Lab) for each in (face, like))
    light = _lightness(ours[..., 0] / 255, theirs[..., 0] / 255)
    for each in (ours, theirs):
        each[..., 0] = _MIDDLE
    even, wanted = (
        cv2.cvtColor(each, cv2.COLOR_Lab2RGB).astype(np.float32) for each in (ours, theirs)
    )
    lab = cv2.cvtColor(_bytes(_sliced(even, wanted, batch=5)), cv2.COLOR_RGB2Lab)
    lab[..., 0] = np.rint(light * 255)
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_Lab2RGB), np.float32) / np.float32(255)


def _bytes(picture: Floats) -> Bytes:
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def _lightness(ours: Doubles, theirs: Doubles) -> Doubles:
    """lct of one channel, held within 0..1."""
    gain = np.sqrt((theirs.var() + _REGULAR) / (ours.var() + _REGULAR))
    return np.asarray(np.clip((ours - ours.mean()) * gain + theirs.mean(), 0, 1), np.float64)
