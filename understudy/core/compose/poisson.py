"""The plate's light for a face: Poisson image editing in float, fast at any size."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.types import Doubles, Floats

# The face's gradients count where the matte is above this, softly, so that an outline that trembles
# makes no step,
CORE: Final = 0.1
_SOFT: Final = 0.05
# and so many pixels inside of that, as in OpenCV's seamlessClone.
_RIM: Final = 3
# The longer side of the grid on which the light is solved: it is smooth, so more would cost and
# show nothing.
_GRID: Final = 160


def solve_light(plate: Floats, face: Floats, matte: Floats) -> Floats:
    """Solve for what to add to the face so that it keeps its gradients and meets the plate.

    After Pérez, Gangnet and Blake, Poisson Image Editing (2003).

    With u zero on the edge of the matte's box: laplacian(u) = div(core * grad(face - plate)), and
    plate + u is the new layer; this is what OpenCV's seamlessClone solves. Here u is solved on a
    coarse grid. What the grid cannot hold of face - plate is taken as it is, within the core.
    Far outside the matte the light turns the face into the plate. Where a face is cut by the
    region's edge, it runs on level.

    Args:
        plate: (H, W, 3) float32.
        face: (H, W, 3) float32.
        matte: (H, W) float32 in 0..1.

    Returns:
        (H, W, 3) float32; all 0 where no matte is above 0.1, or no plate is left around the face.
    """
    inside = matte > CORE
    if not inside.any():
        return np.zeros_like(face)
    (x0, x1), across = _span(np.flatnonzero(inside.any(0)), matte.shape[1])
    (y0, y1), down = _span(np.flatnonzero(inside.any(1)), matte.shape[0])
    core = _core(matte)[y0:y1, x0:x1]
    if not core.size or (core.all() and not any(across + down)):
        return np.zeros_like(face)
    lit = plate - face
    apart = -lit[y0:y1, x0:x1]
    lit[y0:y1, x0:x1] += _solve_region(apart, core, across, down)
    return lit


def _solve_region(
    apart: Floats, core: Floats, across: tuple[bool, bool], down: tuple[bool, bool]
) -> Floats:
    """What to add to the plate: u, and the detail in the core.

    across, down: as `_solve_poisson`.
    """
    height, width = core.shape
    step = max(1.0, max(width, height) / _GRID)
    grid = (max(1, round(width / step)), max(1, round(height / step)))
    cells = (width / grid[0], height / grid[1])
    coarse, within = _resize(apart, grid), _resize(core, grid)
    surface = _solve_poisson(_divergence(coarse, within, cells), across, down, cells)
    if not any(across + down):
        # Nothing holds it at the edges, so what is left of the plate within them has to.
        outside = (1 - within)[..., None]
        surface = surface - (surface * outside).sum((0, 1)) / max(float(outside.sum()), 1e-6)
    size = (width, height)
    return _resize(surface, size) + core[..., None] * (apart - _resize(coarse, size))


def _span(within: NDArray[np.int64], count: int) -> tuple[tuple[int, int], tuple[bool, bool]]:
    """The range of pixels that may change along an axis, and whether there is plate on either side.

    count: pixels along the axis. within: (N,), ascending, where the matte counts; the outermost of
    these are the plate's, where there is plate.
    """
    first, last = int(within[0]), int(within[-1])
    sides = (first > 0, last < count - 1)
    return (first + sides[0], last + 1 - sides[1]), sides


def _core(matte: Floats) -> Floats:
    """Where the face's own gradients are kept, (H, W) in 0..1.

    What lies beyond the region counts as inside.
    """
    soft = np.clip((matte - np.float32(CORE - _SOFT)) * np.float32(0.5 / _SOFT), 0, 1)
    square = np.ones((2 * _RIM + 1, 2 * _RIM + 1), np.uint8)
    return np.asarray(cv2.erode(soft, square, borderType=cv2.BORDER_REPLICATE), np.float32)


def _divergence(apart: Floats, core: Floats, cells: tuple[float, float]) -> Floats:
    """div(core * grad(apart)), (h, w, 3).

    What flows through the edge between two cells is weighted by their cores.
    """
    right = (
        np.diff(apart, axis=1)
        * (core[:, 1:] + core[:, :-1])[..., None]
        * np.float32(0.5 / cells[0] ** 2)
    )
    below = (
        np.diff(apart, axis=0) * (core[1:] + core[:-1])[..., None] * np.float32(0.5 / cells[1] ** 2)
    )
    sources = np.zeros_like(apart)
    sources[:, :-1] += right
    sources[:, 1:] -= right
    sources[:-1] += below
    sources[1:] -= below
    return sources


def _solve_poisson(
    sources: Floats, across: tuple[bool, bool], down: tuple[bool, bool], cells: tuple[float, float]
) -> Floats:
    """The surface with this Laplacian, (h, w, 3), by its eigenvectors, which are sines and cosines.

    across, down: whether it is 0 at the left and right, and at the top and bottom edge; else it
    runs on level there.
    """
    (waves_x, bend_x), (waves_y, bend_y) = (
        _waves(sources.shape[1], *across),
        _waves(sources.shape[0], *down),
    )
    bend = (bend_y[:, None] / cells[1] ** 2 + bend_x / cells[0] ** 2).astype(np.float32)
    # Where it is held nowhere its mean is free, and comes out as 0.
    bend[bend == 0] = 1
    strength = (waves_y.T @ np.moveaxis(sources, 2, 0) @ waves_x) / bend
    surface = np.asarray(waves_y @ strength @ waves_x.T, np.float32)
    return np.moveaxis(surface, 0, 2)


def _waves(count: int, first: bool, last: bool) -> tuple[Floats, Doubles]:
    """Eigenvectors of the second difference, (count, count) in columns, and values (count,).

    first, last: whether the value is 0 half a cell before the first and after the last cell; else
    it runs on level.
    """
    angles = np.pi / count * (np.arange(count) + (first + last) / 2)
    phases = np.outer(np.arange(count) + 0.5, angles)
    waves = np.sin(phases) if first else np.cos(phases)
    return (waves / np.linalg.norm(waves, axis=0)).astype(np.float32), 2 * np.cos(angles) - 2


def _resize(picture: Floats, size: tuple[int, int]) -> Floats:
    smaller = size[0] < picture.shape[1] or size[1] < picture.shape[0]
    filter = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    picture = np.ascontiguousarray(picture)
    return np.asarray(cv2.resize(picture, size, interpolation=filter), np.float32).reshape(
        size[1], size[0], *picture.shape[2:]
    )
