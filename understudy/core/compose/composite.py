"""Lays new faces into a frame: pure functions on one picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from understudy.core import affine, image
from understudy.core.compose import layers as compose_layers
from understudy.core.compose.layers import Lit
from understudy.core.compose.settings import Look, Swap
from understudy.types import Array, Floats, Layers


def composite(plate: Array, swaps: Sequence[Swap]) -> Layers:
    """The plate with the faces laid in, small ones first, so that the nearer face lies on top.

    plate: (H, W, 3) uint8, uint16 or float32. Works only inside the faces' boxes, in float32; each
    pixel is resampled once. Pixels whose matte is 0 are the plate's, bit for bit, unless the look
    degrades the frame. Raises ValueError when a face or mask holds numbers that are not finite.
    """
    faces = [compose_layers.lit(plate, swap, compose_layers.tones(swap)) for swap in swaps]
    look = swaps[0].look if swaps else Look()
    return laid(
        plate, [(face, face.coarse, face.grain) for face in faces if face is not None], look
    )


def laid(
    plate: Array, faces: Sequence[tuple[Lit, Floats | None, Floats | None]], look: Look
) -> Layers:
    """The plate with faces that are lit laid in, each with its light in few numbers and its grain;
    see `laying.layer`.

    look: what holds for the frame itself where there is no face; else the first face's does.
    """
    height, width = plate.shape[:2]
    look = faces[0][0].swap.look if faces else look
    layers = Layers(
        _ground(plate, look),
        np.zeros((height, width), np.float32),
        np.zeros((height, width, 3), np.float32),
    )
    for face, coarse, noise in sorted(
        faces, key=lambda each: -affine.scale_of(each[0].swap.face_from_frame)
    ):
        _lay(layers, face, coarse, noise)
    if look.shows == "mask":
        layers.image[:] = stored(np.repeat(layers.matte[..., None], 3, 2), plate.dtype)
    elif look.shows == "result" and look.degrade == "frame" and (look.compression or look.palette):
        layers.image[:] = stored(
            compose_layers.bared(image.as_float(layers.image), look), plate.dtype
        )
    return layers


def stored(pixels: Floats, dtype: np.dtype[np.generic]) -> Array:
    """float32 pixels in the plate's own numbers, rounded to the nearest."""
    if dtype.kind == "f":
        return pixels
    full = {1: 255, 2: 65535}[dtype.itemsize]
    return np.asarray(np.clip(np.rint(pixels * np.float32(full)), 0, full), dtype)


def _ground(plate: Array, look: Look) -> Array:
    """What the faces are laid on."""
    if look.shows == "predicted" or look.shows == "mask":
        return np.zeros_like(plate)
    if look.shows == "result" and look.degrade == "frame" and (look.denoise or look.bicubic):
        return stored(compose_layers.worn(image.as_float(plate), look), plate.dtype)
    return plate.copy()


def _lay(layers: Layers, face: Lit, coarse: Floats | None, noise: Floats | None) -> None:
    """Lay one face over the layers, in place."""
    x0, y0, x1, y1 = face.box
    region = np.s_[y0:y1, x0:x1]
    below = image.as_float(layers.image[region])
    layer = compose_layers.layer(below, face, coarse, noise)
    if face.swap.look.shows != "plate":
        touched = face.matte > 0
        mixed = below[touched] + (layer[touched] - below[touched]) * face.matte[touched][:, None]
        layers.image[region][touched] = stored(mixed, layers.image.dtype)
    _over(layers, region, layer, face.mask)


def _over(layers: Layers, region: tuple[slice, slice], layer: Floats, soft: Floats) -> None:
    """Put the face layer over the faces laid before: straight colour, joint matte."""
    before = layers.matte[region] * (1 - soft)
    joint = before + soft
    share = np.divide(soft, joint, out=np.zeros_like(soft), where=joint > 0)[..., None]
    layers.face[region] += (layer - layers.face[region]) * share
    layers.matte[region] = joint
