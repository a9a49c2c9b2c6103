"""One face on its way into a frame, in steps: what is measured on a frame comes out as numbers, to
be averaged in time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Final, NamedTuple

import numpy as np

from understudy.core import affine, image
from understudy.core.color import histogram
from understudy.core.compose import (
    blend,
    degrade,
    grain,
    matte,
    motion_blur,
    sharpen,
    temporal_light,
    texture,
)
from understudy.core.compose.settings import Look, Swap
from understudy.types import Array, Doubles, Floats

Box = tuple[int, int, int, int]

# A matte below this would not move an 8-bit level, so it counts as nothing and the plate stays bit
# for bit.
_NOTHING: Final = 1e-3
# Pixels of plate kept around the matte, for blends that look at the border.
_MARGIN: Final = 2


class Tones(NamedTuple):
    """What makes a new face like dst's, as parameters: of the transfer, of the histogram match, of
    sharpness; (0,) = nothing.
    """

    color: Floats = np.zeros(0, np.float32)
    curve: Floats = np.zeros(0, np.float32)
    detail: Floats = np.zeros(0, np.float32)


NO_TONES: Final = Tones()


@dataclass(frozen=True, slots=True)
class Lit:
    """A face in its place, as far as one frame tells.

    colored: (K, K, 3), the new face in its final colours. box: x0 y0 x1 y1, the part of the frame
    that the matte fills, (h, w). matte: (h, w), where it is laid in. mask: (h, w), the matte to
    tell of, which is another where the whole square is shown. face: (h, w, 3), `colored` there.
    texture: (h, w, 3), what the plate's texture adds to it, or None. roi_from_face: (2, 3). light:
    (h, w, 3), what the blend adds, or None. coarse: the light in few numbers. grain: how much of it
    plate and face have, or None. seed: of the frame's grain.
    """

    swap: Swap
    colored: Floats
    box: Box
    matte: Floats
    mask: Floats
    face: Floats
    texture: Floats | None
    roi_from_face: Doubles
    light: Floats | None
    coarse: Floats | None
    grain: Floats | None
    seed: int = 0


def tones(swap: Swap) -> Tones:
    """What makes the new face like dst's in colour and sharpness, as far as the look asks for it.

    Raises ValueError when the face or its mask hold numbers that are not finite.
    """
    if not (np.isfinite(swap.face).all() and np.isfinite(swap.mask).all()):
        raise ValueError(
            "the model predicted numbers that are not finite. Go back to an earlier state of the"
            " model"
        )
    look, side = swap.look, swap.dst.shape[0]
    if look.shows != "result":
        return NO_TONES
    face = image.resized(_greyed(swap.face, look), (side, side))
    found = Tones(look.transfer.fit(face, swap.dst, swap.mask))
    if look.histogram is not None:
        colored = look.transfer.apply(face, found.color, swap.mask)
        found = found._replace(curve=look.histogram.fit(colored, swap.dst, swap.mask))
    if look.sharpen > 0 and look.sharpen_mode == "match":
        found = found._replace(
            detail=sharpen.lacking(_toned(face, swap.mask, look, found), swap.dst, swap.mask)
        )
    return found


def lit(plate: Array, swap: Swap, found: Tones) -> Lit | None:
    """The face in its place in the plate (H, W, 3), coloured as `found` says; None when nothing of
    it is in the frame.
    """
    look, side = swap.look, swap.dst.shape[0]
    frame_from_face = _enlarged(affine.invert(swap.face_from_frame), side, look.scale)
    is_square = look.shows in ("square", "predicted")
    placed = _placed(
        np.ones_like(swap.mask) if is_square else _shaped(swap.mask, look),
        frame_from_face,
        side,
        plate.shape,
    )
    if placed is None:
        return None
    soft, (x0, y0, x1, y1) = placed
    shift = np.array([[0, 0, x0], [0, 0, y0]])
    roi_from_face, size = frame_from_face - shift, (x1 - x0, y1 - y0)
    mask = (
        np.clip(image.warp(swap.mask, roi_from_face, size, filter="linear"), 0, 1)
        if is_square
        else soft
    )
    colored = _colored(swap, found)
    face = _exposed(colored, swap, shift, size)
    one = Lit(
        swap, colored, (x0, y0, x1, y1), soft, mask, face, None, roi_from_face, None, None, None
    )
    return _measured(one, plate) if look.shows == "result" else one


def _measured(one: Lit, plate: Array) -> Lit:
    """With all that the plate has to say of the face's light and texture."""
    look, side = one.swap.look, one.swap.dst.shape[0]
    x0, y0, x1, y1 = one.box
    below, face, fine = image.as_float(plate[y0:y1, x0:x1]), one.face, None
    light = look.blend.light(below, face, one.matte)
    coarse = (
        None
        if light is None
        else temporal_light.coarse(light, one.roi_from_face, side, one.matte > blend.CORE)
    )
    if look.texture:
        # As it lies in the plate: a face that is laid in larger does not enlarge the pores.
        roi_from_dst = affine.invert(one.swap.face_from_frame) - np.array([[0, 0, x0], [0, 0, y0]])
        seen = image.warp(one.swap.dst, roi_from_dst, (x1 - x0, y1 - y0), "replicate")
        fine = texture.fine(below, seen, look.texture, affine.scale_of(roi_from_dst))
        face = face + fine
    if not look.grain:
        return replace(one, texture=fine, light=light, coarse=coarse)
    noise = grain.fit(below, face, one.matte)
    return replace(
        one, texture=fine, light=light, coarse=coarse, grain=noise, seed=grain.seed_of(plate)
    )


def layer(below: Floats, face: Lit, coarse: Floats | None, noise: Floats | None) -> Floats:
    """The face layer that the matte then mixes in, (h, w, 3). below: (h, w, 3), what lies under it.

    coarse, noise: the light and the grain of the face, or their average in time.
    """
    look, light, origin = face.swap.look, face.light, face.box[:2]
    if look.shows != "result":
        return face.face
    if light is not None and face.coarse is not None and coarse is not None:
        light = temporal_light.corrected(
            light, face.coarse, coarse, face.roi_from_face, face.swap.dst.shape[0]
        )
    made = look.blend.lay(below, face.face, face.matte, light)
    if face.texture is not None:
        made = made + face.texture
    made = np.clip(made, 0, 1)
    if noise is not None:
        made = grain.apply(made, noise, look.grain, face.seed, origin)
    return bared(worn(made, look, origin), look, origin) if look.degrade == "face" else made


def worn(picture: Floats, look: Look, origin: tuple[int, int] = (0, 0)) -> Floats:
    """The picture after denoising and loss of detail. origin: (x, y) in the frame where it
    begins.
    """
    return degrade.bicubic(degrade.denoised(picture, look.denoise), look.bicubic, origin)


def bared(picture: Floats, look: Look, origin: tuple[int, int] = (0, 0)) -> Floats:
    """The picture after compression and loss of colours. origin: (x, y) in the frame where it
    begins.
    """
    return degrade.paletted(degrade.compressed(picture, look.compression, origin), look.palette)


def _greyed(face: Floats, look: Look) -> Floats:
    return histogram.grey(face) if look.is_grey else face


def _colored(swap: Swap, found: Tones) -> Floats:
    """The new face in its final colours and as sharp as it should be."""
    look = swap.look
    if look.shows != "result":
        return swap.face
    face = _greyed(swap.face, look)
    face = _toned(face, image.resized(swap.mask, (face.shape[1], face.shape[0])), look, found)
    amount = look.sharpen * float(found.detail[0]) if len(found.detail) else look.sharpen
    return sharpen.sharpened(face, amount, look.sharpen_mode, look.dfl)


def _toned(face: Floats, weight: Floats, look: Look, found: Tones) -> Floats:
    """The face in the colours found for it."""
    face = look.transfer.apply(face, found.color, weight)
    return face if look.histogram is None else look.histogram.apply(face, found.curve, weight)


def _shaped(mask: Floats, look: Look) -> Floats:
    """The matte over the face square, at least as fine as the mask."""
    if look.dfl:
        return matte.shaped_dfl(mask, look.erode, look.blur)
    return matte.shaped(mask, look.erode, look.blur, look.feather, look.edge_fade)


def _placed(
    soft: Floats, frame_from_face: Doubles, side: int, shape: tuple[int, ...]
) -> tuple[Floats, Box] | None:
    """The matte in the frame and the box it fills, or None when nothing of it is in the frame."""
    frame_from_matte = affine.compose(frame_from_face, affine.scaling(side / soft.shape[0]))
    corners = affine.apply(frame_from_face, affine.corners((side, side)))
    x0, y0 = np.maximum(np.floor(corners.min(0)) - _MARGIN, 0).astype(int)
    x1, y1 = np.minimum(np.ceil(corners.max(0)) + 1 + _MARGIN, (shape[1], shape[0])).astype(int)
    if x0 >= x1 or y0 >= y1:
        return None
    roi_from_matte = frame_from_matte - np.array([[0, 0, x0], [0, 0, y0]])
    warped = image.warp(soft, roi_from_matte, (int(x1 - x0), int(y1 - y0)), filter="linear")
    warped[warped < _NOTHING] = 0
    columns, rows = np.flatnonzero(warped.any(0)), np.flatnonzero(warped.any(1))
    if not len(columns):
        return None
    # The square's corners are mostly empty: go on with the box that the matte really fills.
    left, right = max(columns[0] - _MARGIN, 0), min(columns[-1] + 1 + _MARGIN, warped.shape[1])
    top, bottom = max(rows[0] - _MARGIN, 0), min(rows[-1] + 1 + _MARGIN, warped.shape[0])
    box = (int(x0 + left), int(y0 + top), int(x0 + right), int(y0 + bottom))
    return np.clip(warped[top:bottom, left:right], 0, 1), box


def _exposed(face: Floats, swap: Swap, shift: Doubles, size: tuple[int, int]) -> Floats:
    """The face in the region, resampled once; or as it moves while the shutter is open."""
    look, side = swap.look, swap.dst.shape[0]
    places = [None if each is None else affine.invert(each) for each in (swap.before, swap.after)]
    blurred = motion_blur.dfl_exposures if look.dfl else motion_blur.exposures
    shutter = look.motion_blur if look.shows == "result" else 0.0
    moving = blurred(places[0], affine.invert(swap.face_from_frame), places[1], shutter, side)
    larger = affine.scaling(side / face.shape[0])
    paths = [affine.compose(_enlarged(each, side, look.scale) - shift, larger) for each in moving]
    return np.clip(
        motion_blur.exposed(face, paths, size, partial(image.warp, border="replicate")), 0, 1
    )


def _enlarged(frame_from_face: Doubles, side: int, percent: float) -> Doubles:
    """The map with the face grown by `percent` about the middle of its square."""
    factor, middle = 1 + percent / 100, side / 2 - 0.5
    grown = np.array([[factor, 0, middle * (1 - factor)], [0, factor, middle * (1 - factor)]])
    return affine.compose(frame_from_face, grown)
