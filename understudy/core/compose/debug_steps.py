"""The steps of one face on its way into a frame, as pictures and numbers to look at."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from understudy.core import image
from understudy.core.compose.composite import MatchParams, WarpedFace, render_layer
from understudy.types import Array, Floats

# Longer arrays are told by their shape, range and mean.
_MAX_LISTED: Final = 64


def step_images(
    plate: Array, face: WarpedFace, light_grid: Floats | None, noise: Floats | None
) -> list[tuple[str, Array]]:
    """Return every step of a face as a picture.

    First those over the face square, then those in the plate, cut to the face's box. Light, which
    may take away, is shown around a middle grey, at half its strength.

    Args:
        plate: (H, W, 3) uint8, uint16 or float32.
        face: The face in its place.
        light_grid: As in `composite.render_layer`.
        noise: As in `composite.render_layer`.

    Returns:
        Name and picture in order, (h, w) or (h, w, 3) float32 to be shown from 0 to 1.
    """
    swap, (x0, y0, x1, y1) = face.swap, face.box
    below = image.as_float(plate[y0:y1, x0:x1])
    layer = render_layer(below, face, light_grid, noise)
    lights = [] if face.light is None else [("light", 0.5 + face.light / 2)]
    found: list[tuple[str, Array]] = [
        ("dst", swap.dst),
        ("predicted", swap.face),
        ("mask", swap.mask),
        ("coloured", face.colored),
        ("plate", below),
        ("placed", face.face),
        ("matte", face.matte),
        *lights,
        ("layer", layer),
        ("result", below + (layer - below) * face.matte[..., None]),
    ]
    return found


def step_numbers(
    face: WarpedFace, params: MatchParams, light_grid: Floats | None, noise: Floats | None
) -> dict[str, Any]:
    """Return what was measured for those steps, as plain values.

    Args:
        face: The face in its place, as this frame alone tells.
        params: What it was matched by.
        light_grid: Averaged in time where that was asked for.
        noise: Averaged in time where that was asked for.
    """
    light = (
        {}
        if light_grid is None or face.light_grid is None
        else {
            "light": summarize_array(face.light_grid),
            "light averaged": summarize_array(light_grid),
        }
    )
    grain = {
        name: summarize_array(each)
        for name, each in (("grain", face.grain), ("grain averaged", noise))
        if each is not None
    }
    return {
        "box": list(face.box),
        "face_from_frame": summarize_array(face.swap.face_from_frame),
        "side": face.swap.side,
        "tones": [summarize_array(each) for each in params],
        **light,
        **grain,
    }


def summarize_array(values: Array) -> Any:
    """Return an array as plain lists; a long one as shape, lowest, highest and mean value."""
    exact = np.asarray(values, np.float64)
    if exact.size <= _MAX_LISTED:
        return exact.round(6).tolist()
    facts = {"low": exact.min(), "high": exact.max(), "mean": exact.mean()}
    return {
        "shape": list(exact.shape),
        **{name: round(float(value), 6) for name, value in facts.items()},
    }
