"""How a new face meets the plate around it: functions (plate, face, matte) -> the face layer that the matte then mixes in.

Pictures are (H, W, 3) float32, the matte (H, W) float32 in 0..1. All cover the same region of the frame; the region should
reach past the matte, so that there is plate to take the border from.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.types import Floats

# Where the matte is above this, light and colour are the membrane's; below, the plate has the greater say anyway.
_CORE: Final = 0.1
_LAPLACE: Final = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], np.float32)
# Over-relaxations of two Jacobi sweeps that together damp the fine half of the spectrum best (Chebyshev).
_SWEEPS: Final = (1.39, 0.56)
_EXACT: Final = 1e-3
_MOST_STEPS: Final = 8


def overlay(plate: Floats, face: Floats, matte: Floats) -> Floats:
    """The face as it is."""
    return face


def seamless(plate: Floats, face: Floats, matte: Floats) -> Floats:
    """The face with the plate's light: its detail is kept, its border meets the plate without a step.

    Poisson image editing (Pérez et al. 2003) in float, written as face + membrane: the membrane is harmonic inside the
    matte and equals plate - face on the pixels around it. Where the matte meets the region's edge (a face cut by the frame's
    border) the membrane runs on level. Where no plate is left around the face at all, the face comes out as it is.
    """
    inside = matte > _CORE
    if not inside.any() or inside.all():
        return face
    return np.where(inside[..., None], face + membrane(plate - face, inside), plate)


def membrane(values: Floats, inside: NDArray[np.bool_]) -> Floats:
    """`values` outside, and inside the smooth surface spanned by those around: Laplace's equation, (H, W, C) float32.

    values: (H, W, C), read only where `inside` is False. inside: (H, W). Beyond the picture's edge the surface runs on level.
    A coarse solution first, then conjugate gradients with a multigrid V-cycle as preconditioner (McAdams et al. 2010), until
    the cycle would move no pixel by more than a quarter of an 8-bit level.
    """
    where = inside.astype(np.float32)[..., None]
    surface = _first_guess((values * (1 - where)).astype(np.float32), inside)
    residual = -_laplacian(surface) * where
    step, pushed = np.zeros_like(surface), np.zeros_like(surface)
    for _ in range(_MOST_STEPS):
        wanted = _cycle(residual, inside)
        if float(np.abs(wanted).max()) < _EXACT:
            break
        # The form of the update that forgives a preconditioner that is not quite symmetric.
        keep = float(np.vdot(wanted, pushed)) / (float(np.vdot(step, pushed)) or 1.0)
        step = wanted - np.float32(keep) * step
        pushed = _laplacian(step) * where
        length = np.float32(float(np.vdot(step, residual)) / (float(np.vdot(step, pushed)) or 1.0))
        surface, residual = surface + length * step, residual - length * pushed
    return surface


def _first_guess(known: Floats, inside: NDArray[np.bool_]) -> Floats:
    """The known values, and inside what the solution at half the size says."""
    if not inside.any() or inside.all() or min(inside.shape) <= 2:
        return _levelled(known, inside)
    share = _halved((~inside).astype(np.float32)[..., None])
    coarse_inside = share[..., 0] == 0
    coarse = np.asarray(_halved(known) / np.maximum(share, 1e-6), np.float32)
    coarse[coarse_inside] = 0
    guess = _first_guess(coarse, coarse_inside)
    guess = guess + _cycle(-_laplacian(guess) * coarse_inside[..., None], coarse_inside)
    return np.where(inside[..., None], _doubled(guess, inside.shape), known)


def _cycle(wanted: Floats, inside: NDArray[np.bool_]) -> Floats:
    """One V-cycle: roughly the surface that is 0 outside and whose Laplacian inside is `wanted`."""
    where = inside.astype(np.float32)[..., None]
    surface = _swept(np.zeros_like(wanted), wanted, where)
    if min(inside.shape) > 2 and inside.any():
        # A coarse pixel is free when all its fine ones are; the sum of four residuals is the coarse equation's right side.
        residual = (wanted - _laplacian(surface)) * where
        coarse_inside = _halved(where)[..., 0] == 1
        coarse = 4 * _halved(residual) * coarse_inside[..., None]
        surface = surface + _doubled(_cycle(coarse, coarse_inside), inside.shape) * where
    return _swept(surface, wanted, where)


def _swept(surface: Floats, wanted: Floats, where: Floats) -> Floats:
    for relaxation in _SWEEPS:
        surface = surface + (_laplacian(surface) - wanted) * (where * np.float32(relaxation / 4))
    return surface


def _laplacian(surface: Floats) -> Floats:
    # A replicated border makes the surface run on level beyond the edge.
    return np.asarray(cv2.filter2D(surface, -1, _LAPLACE, borderType=cv2.BORDER_REPLICATE), np.float32).reshape(surface.shape)


def _levelled(known: Floats, inside: NDArray[np.bool_]) -> Floats:
    """The known values, and inside their mean."""
    mean = known[~inside].mean(0) if not inside.all() else np.zeros(known.shape[2], np.float32)
    return np.where(inside[..., None], mean, known).astype(np.float32)


def _halved(picture: Floats) -> Floats:
    """Means of 2 x 2 pixels; an odd edge is doubled first."""
    height, width, channels = picture.shape
    even = cv2.copyMakeBorder(picture, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    size = (even.shape[1] // 2, even.shape[0] // 2)
    return np.asarray(cv2.resize(even, size, interpolation=cv2.INTER_AREA), np.float32).reshape(size[1], size[0], channels)


def _doubled(picture: Floats, shape: tuple[int, ...]) -> Floats:
    """Twice the size, bilinear, cut to `shape`."""
    height, width, channels = picture.shape
    double = cv2.resize(picture, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR).reshape(2 * height, 2 * width, channels)
    return np.asarray(double[: shape[0], : shape[1]], np.float32)
