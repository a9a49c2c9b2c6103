"""The same face cut out anew: as another type, at another size, of its frame or its picture."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Literal

import numpy as np

from understudy.core import affine
from understudy.core.image import as_float, resize, warp
from understudy.types import AlignedFace, Bytes, Doubles, FaceType


def recrop(
    face: AlignedFace,
    face_from_frame: Doubles,
    face_type: FaceType,
    size: int,
    frame: Bytes | None = None,
) -> AlignedFace:
    """Cut a face out anew; mask and polygons are carried along.

    What the old picture does not show is outside the mask. Beyond the edge of what is cut from, its
    pixels are repeated.

    Args:
        face: The face as it is.
        face_from_frame: (2, 3) to the new picture.
        face_type: Of the new picture.
        size: Its side in pixels.
        frame: (H, W, 3) the frame to cut from. None = the old picture serves.
    """
    sides = (size, size)
    new_from_old = affine.compose(face_from_frame, affine.invert(face.face_from_frame))
    if frame is None:
        image = warp(face.image, new_from_old, sides, "replicate")
    else:
        image = warp(frame, face_from_frame, sides, "replicate")
    mask = face.mask
    if mask is not None:
        mask = np.clip(warp(mask, new_from_old, sides), 0, 1)
    polygons = tuple(
        replace(each, points=affine.apply(new_from_old, each.points).astype(np.float32))
        for each in face.polygons
    )
    return replace(
        face,
        image=image,
        face_from_frame=face_from_frame,
        face_type=face_type,
        mask=mask,
        polygons=polygons,
    )


def lies_within(new_from_old: Doubles, old: int, new: int) -> bool:
    """Whether a picture shows all that another one of the same face would.

    Args:
        new_from_old: (2, 3) between their pixels.
        old: Side of the picture that is there.
        new: Side of the one that is wanted.
    """
    corners = affine.apply(affine.invert(new_from_old), affine.corners((new, new)))
    # Types that lie within one another touch, and their matrices are rounded.
    room = _TOUCH * old
    return bool((corners > -0.5 - room).all() and (corners < old - 0.5 + room).all())


def compare_with_cut(picture: Bytes, cut: Bytes) -> Literal["same", "changed", "other"]:
    """Whether a picture shows what was cut out of a frame: the same but for its coding.

    "changed" where it was graded, painted or retouched since; light sharpening or denoising is not
    seen. "other" where the frame shows something else altogether.

    Args:
        picture: (S, S, 3).
        cut: (S, S, 3).
    """
    difference = as_float(picture) - as_float(cut)
    blocks = max(1, len(difference) // _BLOCK)
    means = resize(difference, (blocks, blocks))
    if np.abs(means).max() < _MOST_IN_BLOCK and np.sqrt(np.mean(difference**2)) < _MOST_OF_ALL:
        return "same"
    small = [resize(as_float(each).mean(2), (_SMALL, _SMALL)).ravel() for each in (picture, cut)]
    one, other = (each - each.mean() for each in small)
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return "changed" if one @ other > _ALIKE * lengths else "other"


# In sides of the picture.
_TOUCH: Final = 0.01
# On four real clips, JPG of quality 50 changed the means of blocks by up to 0.014, and all pixels
# by 0.010; a grade that makes a picture 3 % brighter changes the means by 0.020.
_BLOCK: Final = 16
_MOST_IN_BLOCK: Final = 0.017
_MOST_OF_ALL: Final = 0.016
# Side of the pictures whose correlation tells whether they show the same, and from where on.
_SMALL: Final = 32
_ALIKE: Final = 0.6
