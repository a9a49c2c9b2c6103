"""Lays new faces into a frame in steps, between which a merge averages what they measured in time.

The steps are `fit_match`, `warp_face` and `composite_faces`; `composite` takes all of them at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, NamedTuple

import numpy as np

from understudy.core import affine, image
from understudy.core.color import histogram, occlusion
from understudy.core.color.occlusion import TypicalFace
from understudy.core.color.tone import apply_tone
from understudy.core.color.transfer import Transfer
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
from understudy.core.compose.blend import Blend
from understudy.core.compose.options import CompositeOptions
from understudy.types import Array, Doubles, Floats, Layers

Box = tuple[int, int, int, int]

# A matte below this would not move an 8-bit level, so it counts as nothing and the plate stays bit
# for bit.
_LEAST_MATTE: Final = 1e-3
# Pixels of plate kept around the matte, for blends that look at the border.
_MARGIN: Final = 2


@dataclass(frozen=True, slots=True)
class Swap:
    """One face to lay in; all its arrays cover the same face square.

    face_from_frame: (2, 3), into the pixels of dst. dst: (S, S, 3) float32 in 0..1, the face that
    is replaced. face: (K, K, 3) float32 in 0..1, the new face, K a multiple of S. mask: (S, S)
    float32 in 0..1, where it shows. before, after: face_from_frame of the same face in the frames
    around, None where it is not there. transfer, blender: what the options
    name as `color_transfer` and `blender`. usual: how dst's face looks without what passes before
    it, None where nobody knows. tone: of a plate without colour, see `tone.fit_tone`. brows: (S, S)
    float32 in 0..1, which part of the new face, grown as the options say, is to cover dst's brows;
    None = as they come.
    """

    face_from_frame: Doubles
    face: Floats
    dst: Floats
    mask: Floats
    options: CompositeOptions
    transfer: Transfer
    blender: Blend
    before: Doubles | None = None
    after: Doubles | None = None
    usual: TypicalFace | None = None
    tone: Floats | None = None
    brows: Floats | None = None

    @property
    def side(self) -> int:
        """S, the side of the face square in pixels of dst."""
        return int(self.dst.shape[0])


class MatchParams(NamedTuple):
    """What makes a new face like dst's, as numbers; an array of shape (0,) changes nothing.

    color: of the colour transfer. curve: of the histogram match. detail: (1,), see
    `sharpen.missing_detail`.
    """

    color: Floats = np.zeros(0, np.float32)
    curve: Floats = np.zeros(0, np.float32)
    detail: Floats = np.zeros(0, np.float32)


NO_MATCH: Final = MatchParams()


@dataclass(frozen=True, slots=True)
class WarpedFace:
    """A face in its place in the frame, with all that one frame tells of it.

    colored: (K, K, 3), the new face in its final colours. box: x0 y0 x1 y1, the part of the frame
    that the matte fills; (h, w) is its size. matte: (h, w), by which the face is mixed in. mask:
    (h, w), the matte to report, another one where the whole square is shown. face: (h, w, 3),
    `colored` warped there. texture: (h, w, 3), the plate's texture to add, or None. roi_from_face:
    (2, 3), into the box. light: (h, w, 3), what the blend adds, or None. light_grid: the light in
    few numbers, see `temporal_light`. grain: how much of it plate and face have, from
    `measure_grain`, or None. seed: of the frame's grain. after: what makes the blended face like
    dst's, as measured or averaged over frames, where colours are matched after the blend.
    """

    swap: Swap
    colored: Floats
    box: Box
    matte: Floats
    mask: Floats
    face: Floats
    roi_from_face: Doubles
    texture: Floats | None = None
    light: Floats | None = None
    light_grid: Floats | None = None
    grain: Floats | None = None
    seed: int = 0
    after: MatchParams = NO_MATCH


# A warped face with its light grid and its grain, as measured or averaged over frames.
FaceLayer = tuple[WarpedFace, Floats | None, Floats | None]


def composite(plate: Array, swaps: Sequence[Swap]) -> Layers:
    """Lay the faces into the plate, small ones first, so that the nearer face lies on top.

    Works only inside the faces' boxes, in float32; each pixel is resampled once. Pixels whose matte
    is 0 are the plate's, bit for bit, unless the options degrade the frame.

    Args:
        plate: (H, W, 3) uint8, uint16 or float32.
        swaps: the faces; the first one's options hold for the frame itself.

    Returns:
        The finished frame in the plate's dtype, the joint matte and the face layer.

    Raises:
        ValueError: a face or mask holds numbers that are not finite.
    """
    warped = [warp_face(plate, swap, fit_match(swap)) for swap in swaps]
    faces = measure_grain(plate, [face for face in warped if face is not None])
    options = swaps[0].options if swaps else CompositeOptions()
    layers = [(face, face.light_grid, face.grain) for face in faces]
    return composite_faces(plate, layers, options)


def fit_match(swap: Swap) -> MatchParams:
    """Measure what makes the new face like dst's in colour and sharpness, as the options ask.

    Raises:
        ValueError: the face or its mask holds numbers that are not finite.
    """
    if not (np.isfinite(swap.face).all() and np.isfinite(swap.mask).all()):
        raise ValueError(
            "the model predicted numbers that are not finite. Go back to an earlier state of the"
            " model"
        )
    options, size = swap.options, (swap.side, swap.side)
    if options.shows != "result":
        return NO_MATCH
    face = image.resize(_desaturate(swap.face, swap), size)
    like, weight = swap.dst, swap.mask
    if swap.usual is not None:
        like, shown = occlusion.uncover(like, swap.usual, weight)
        weight = weight * shown
    if swap.tone is not None:
        like = histogram.to_grey(like)
    params = NO_MATCH if options.matches_after_blend else _fit_colors(face, like, swap.mask, swap)
    if options.sharpen > 0 and options.sharpen_mode == "match":
        colored = _match_colors(face, swap.mask, swap, params)
        # What was put in the place of a hand is softer than a face.
        params = params._replace(detail=sharpen.missing_detail(colored, like, weight))
    return params


def warp_face(plate: Array, swap: Swap, params: MatchParams) -> WarpedFace | None:
    """Match the new face and warp it into its place in the plate.

    Args:
        plate: (H, W, 3) uint8, uint16 or float32.
        swap: the face.
        params: from `fit_match`, or their average over frames.

    Returns:
        The face with its light and texture; None when nothing of it is in the frame.
    """
    options, side = swap.options, swap.side
    frame_from_face = enlarge(affine.invert(swap.face_from_frame), side, options.face_scale)
    is_square = options.shows in ("square", "predicted")
    placed = _warp_matte(
        np.ones_like(swap.mask) if is_square else _shape_matte(swap),
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
    colored = _match(swap, params)
    face = _expose(colored, swap, shift, size)
    warped = WarpedFace(swap, colored, (x0, y0, x1, y1), soft, mask, face, roi_from_face)
    return _measure_plate(warped, plate) if options.shows == "result" else warped


def measure_grain(plate: Array, faces: Sequence[WarpedFace]) -> list[WarpedFace]:
    """Measure the grain of the plate and of the faces, for which the options ask for some.

    Args:
        plate: (H, W, 3) uint8, uint16 or float32.
        faces: All that are looked at in this frame.

    Returns:
        The faces, with their grain.
    """
    found = []
    for face in faces:
        layer = face.face if face.texture is None else face.face + face.texture
        noise = grain.fit(plate, layer, face.matte, face.box) if _takes_grain(face) else None
        found.append(replace(face, grain=noise))
    return found


def composite_faces(plate: Array, faces: Sequence[FaceLayer], options: CompositeOptions) -> Layers:
    """Lay warped faces into the plate.

    Args:
        plate: (H, W, 3) uint8, uint16 or float32.
        faces: each with its light grid and grain, as measured or averaged over frames.
        options: what holds for the frame itself where there is no face; else the first face's do.

    Returns:
        As `composite`.
    """
    height, width = plate.shape[:2]
    options = faces[0][0].swap.options if faces else options
    layers = Layers(
        _background(plate, options),
        np.zeros((height, width), np.float32),
        np.zeros((height, width, 3), np.float32),
    )
    for face, light_grid, noise in sorted(
        faces, key=lambda each: -affine.scale_of(each[0].swap.face_from_frame)
    ):
        _composite_face(layers, face, light_grid, noise)
    degrades = options.shows == "result" and options.degrade == "frame"
    if options.shows == "mask":
        layers.image[:] = image.as_dtype(np.repeat(layers.matte[..., None], 3, 2), plate.dtype)
    elif degrades and (options.compression_degrade or options.color_degrade):
        degraded = _degrade_colors(image.as_float(layers.image), options)
        layers.image[:] = image.as_dtype(degraded, plate.dtype)
    return layers


def render_layer(
    below: Floats, face: WarpedFace, light_grid: Floats | None, noise: Floats | None
) -> Floats:
    """Render the layer that the matte then mixes in.

    Args:
        below: (h, w, 3) float32 in 0..1, what lies under the face's box.
        face: the face.
        light_grid: its light in few numbers, as measured or averaged over frames.
        noise: its grain, as measured or averaged over frames.

    Returns:
        (h, w, 3) float32.
    """
    options, light, origin = face.swap.options, face.light, face.box[:2]
    if options.shows != "result":
        return face.face
    if light is not None and face.light_grid is not None and light_grid is not None:
        light = temporal_light.correct_light(
            light, face.light_grid, light_grid, face.roi_from_face, face.swap.side
        )
    layer = face.swap.blender.apply(below, face.face, face.matte, light)
    if options.matches_after_blend:
        layer = _match_blended(layer, face)
    if face.texture is not None:
        layer = layer + face.texture
    layer = np.clip(layer, 0, 1)
    if noise is not None:
        layer = grain.apply(layer, noise, options.grain, face.seed, origin, face.matte)
    if face.swap.tone is not None:
        layer = apply_tone(layer, face.swap.tone)
    if options.degrade == "face":
        layer = _degrade_colors(_degrade_detail(layer, options, origin), options, origin)
    return layer


def enlarge(frame_from_face: Doubles, side: int, percent: float) -> Doubles:
    """Return a map from a face square to the frame with the face grown about the square's middle.

    Args:
        frame_from_face: (2, 3).
        side: Of the square in pixels.
        percent: How much larger the face becomes; negative = smaller.

    Returns:
        (2, 3) frame_from_face.
    """
    factor, middle = 1 + percent / 100, side / 2 - 0.5
    grown = np.array([[factor, 0, middle * (1 - factor)], [0, factor, middle * (1 - factor)]])
    return affine.compose(frame_from_face, grown)


def _desaturate(face: Floats, swap: Swap) -> Floats:
    is_grey = swap.options.is_grey or swap.tone is not None
    return histogram.to_grey(face) if is_grey else face


def _match(swap: Swap, params: MatchParams) -> Floats:
    """The new face in its final colours and as sharp as it should be, (K, K, 3)."""
    options = swap.options
    if options.shows != "result":
        return swap.face
    face = _desaturate(swap.face, swap)
    weight = image.resize(swap.mask, (face.shape[1], face.shape[0]))
    face = _match_colors(face, weight, swap, params)
    amount = options.sharpen * float(params.detail[0]) if len(params.detail) else options.sharpen
    return sharpen.sharpen(face, amount, options.sharpen_mode, options.is_dfl)


def _fit_colors(face: Floats, like: Floats, weight: Floats, swap: Swap) -> MatchParams:
    params = MatchParams(swap.transfer.fit(face, like, weight))
    if (histogram_match := swap.options.histogram) is not None:
        colored = swap.transfer.apply(face, params.color, weight)
        params = params._replace(curve=histogram_match.fit(colored, like, weight))
    return params


def _match_colors(face: Floats, weight: Floats, swap: Swap, params: MatchParams) -> Floats:
    """The face in the colours that were measured; as it is where they are matched after."""
    return face if swap.options.matches_after_blend else _apply_colors(face, weight, swap, params)


def _apply_colors(face: Floats, weight: Floats, swap: Swap, params: MatchParams) -> Floats:
    face = swap.transfer.apply(face, params.color, weight)
    match = swap.options.histogram
    return face if match is None else match.apply(face, params.curve, weight)


def _fit_blended(warped: WarpedFace, below: Floats) -> MatchParams:
    """Measure what makes the blended face like dst's, over dst's square as it will look.

    below: (h, w, 3), the plate in the face's box.
    """
    swap, matte = warped.swap, warped.matte
    face_from_roi, size = affine.invert(_roi_from_dst(warped)), (swap.side, swap.side)
    layer = np.clip(swap.blender.apply(below, warped.face, matte, warped.light), 0, 1)
    weight = np.clip(image.warp(matte, face_from_roi, size, filter="linear"), 0, 1)
    shown = np.clip(image.warp(layer, face_from_roi, size, "replicate"), 0, 1)
    seen = swap.dst + (shown - swap.dst) * weight[..., None]
    return _fit_colors(seen, swap.dst, weight, swap)


def _match_blended(layer: Floats, face: WarpedFace) -> Floats:
    """The blended face in dst's colours.

    It is changed as it lies in the plate, so it is not resampled again, counts once where the matte
    is soft, and ends where the matte does, not at dst's square.
    """
    size = (layer.shape[1], layer.shape[0])
    color, curve = (
        # What moves each pixel of the square by itself is carried to where it lies.
        image.warp(each, _roi_from_dst(face), size, "replicate") if each.ndim == 3 else each
        for each in (face.after.color, face.after.curve)
    )
    return _apply_colors(np.clip(layer, 0, 1), face.matte, face.swap, MatchParams(color, curve))


def _roi_from_dst(face: WarpedFace) -> Doubles:
    """(2, 3), from dst's square into the face's box, whatever the face's scale."""
    x0, y0 = face.box[:2]
    shift = np.array([[0, 0, x0], [0, 0, y0]])
    return np.asarray(affine.invert(face.swap.face_from_frame) - shift, np.float64)


def _shape_matte(swap: Swap) -> Floats:
    """The matte over the face square, at least as fine as the mask."""
    mask, options = swap.mask, swap.options
    if options.is_dfl:
        return matte.shape_matte_dfl(mask, options.erode, options.blur)
    widths = (options.erode, options.blur, options.feather, options.edge_fade)
    soft = matte.shape_matte(mask, *widths)
    return soft if swap.brows is None else matte.cover_brows(soft, mask, swap.brows, *widths)


def _warp_matte(
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
    warped[warped < _LEAST_MATTE] = 0
    columns, rows = np.flatnonzero(warped.any(0)), np.flatnonzero(warped.any(1))
    if not len(columns):
        return None
    # The square's corners are mostly empty: go on with the box that the matte really fills.
    left, right = max(columns[0] - _MARGIN, 0), min(columns[-1] + 1 + _MARGIN, warped.shape[1])
    top, bottom = max(rows[0] - _MARGIN, 0), min(rows[-1] + 1 + _MARGIN, warped.shape[0])
    box = (int(x0 + left), int(y0 + top), int(x0 + right), int(y0 + bottom))
    return np.clip(warped[top:bottom, left:right], 0, 1), box


def _expose(face: Floats, swap: Swap, shift: Doubles, size: tuple[int, int]) -> Floats:
    """The face in the box, resampled once; or as it moves while the shutter is open."""
    options, side = swap.options, swap.side
    before, after = (
        None if each is None else affine.invert(each) for each in (swap.before, swap.after)
    )
    exposures = (
        motion_blur.exposure_matrices_dfl if options.is_dfl else motion_blur.exposure_matrices
    )
    shutter = options.motion_blur if options.shows == "result" else 0.0
    moving = exposures(before, affine.invert(swap.face_from_frame), after, shutter, side)
    larger = affine.scaling(side / face.shape[0])
    paths = [
        affine.compose(enlarge(each, side, options.face_scale) - shift, larger) for each in moving
    ]
    return np.clip(
        motion_blur.average_exposures(face, paths, size, partial(image.warp, border="replicate")),
        0,
        1,
    )


def _measure_plate(warped: WarpedFace, plate: Array) -> WarpedFace:
    """The face with the light and texture that the plate around it has."""
    options, side = warped.swap.options, warped.swap.side
    x0, y0, x1, y1 = warped.box
    below, face, fine = image.as_float(plate[y0:y1, x0:x1]), warped.face, None
    light = warped.swap.blender.light(below, face, warped.matte)
    light_grid = (
        None
        if light is None
        else temporal_light.sample_light(
            light, warped.roi_from_face, side, warped.matte > blend.CORE
        )
    )
    if options.texture:
        # As it lies in the plate: a face that is laid in larger does not enlarge the pores.
        roi_from_dst = _roi_from_dst(warped)
        seen = image.warp(warped.swap.dst, roi_from_dst, (x1 - x0, y1 - y0), "replicate")
        fine = texture.extract_texture(below, seen, options.texture, affine.scale_of(roi_from_dst))
    seed = grain.frame_seed(plate) if options.grain else 0
    measured = replace(warped, texture=fine, light=light, light_grid=light_grid, seed=seed)
    if not options.matches_after_blend:
        return measured
    return replace(measured, after=_fit_blended(measured, below))


def _takes_grain(face: WarpedFace) -> bool:
    return face.swap.options.shows == "result" and face.swap.options.grain > 0


def _background(plate: Array, options: CompositeOptions) -> Array:
    """What the faces are laid on."""
    if options.shows in ("predicted", "mask"):
        return np.zeros_like(plate)
    degrades = options.shows == "result" and options.degrade == "frame"
    if degrades and (options.denoise or options.bicubic_degrade):
        return image.as_dtype(_degrade_detail(image.as_float(plate), options), plate.dtype)
    return plate.copy()


def _degrade_detail(
    picture: Floats, options: CompositeOptions, origin: tuple[int, int] = (0, 0)
) -> Floats:
    """The picture denoised and with less detail. origin: (x, y) in the frame where it begins."""
    picture = degrade.denoise(picture, options.denoise)
    return degrade.resample_bicubic(picture, options.bicubic_degrade, origin)


def _degrade_colors(
    picture: Floats, options: CompositeOptions, origin: tuple[int, int] = (0, 0)
) -> Floats:
    """The picture compressed and with fewer colours. origin: as in `_degrade_detail`."""
    picture = degrade.compress_jpeg(picture, options.compression_degrade, origin)
    return degrade.quantize_palette(picture, options.color_degrade)


def _composite_face(
    layers: Layers, face: WarpedFace, light_grid: Floats | None, noise: Floats | None
) -> None:
    """Lay one face over the layers, in place."""
    x0, y0, x1, y1 = face.box
    region = np.s_[y0:y1, x0:x1]
    below = image.as_float(layers.image[region])
    layer = render_layer(below, face, light_grid, noise)
    if face.swap.options.shows != "plate":
        mixed = below + (layer - below) * face.matte[..., None]
        touched = face.matte[..., None] > 0
        np.copyto(layers.image[region], image.as_dtype(mixed, layers.image.dtype), where=touched)
    _over(layers, region, layer, face.mask)


def _over(layers: Layers, region: tuple[slice, slice], layer: Floats, soft: Floats) -> None:
    """Put the face layer over the faces laid before: straight colour, joint matte."""
    before = layers.matte[region] * (1 - soft)
    joint = before + soft
    share = np.divide(soft, joint, out=np.zeros_like(soft), where=joint > 0)[..., None]
    layers.face[region] += (layer - layers.face[region]) * share
    layers.matte[region] = joint
