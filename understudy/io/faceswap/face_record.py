"""A face as faceswap tells of it, in its alignments and inside its face pictures alike."""

from __future__ import annotations

import zlib
from typing import Any, Final

import numpy as np

from understudy.core import affine
from understudy.core.face.landmarks import points_68_of_98
from understudy.core.image import resize
from understudy.errors import BadMedia
from understudy.io.faceset.foreign_face import ForeignFace, ForeignMask, ForeignRecord
from understudy.types import AlignedFace, Doubles

TOOL: Final = "faceswap"
# Masks that it draws from the landmarks: ours come from there, too.
_OF_LANDMARKS: Final = ("components", "extended")
_MASK_SIDE: Final = 128
_MOST_SIDE: Final = 4096
# The code of cubic interpolation in OpenCV.
_CUBIC: Final = 2


def read_record(held: object, frame_name: str, where: str) -> ForeignFace:
    """Return a face from the named values that faceswap keeps of one.

    Values that are not known here are passed over, as it does.

    Raises:
        BadMedia: They are not those of a face with 68 or 98 landmarks.
    """
    record = ForeignRecord(held, where)
    landmarks = _landmarks(record)
    sides = [record.held.get(name) for name in "xywh"]
    box = None if any(each is None for each in sides) else record.numbers("box", (4,), sides)
    return ForeignFace(
        tool=TOOL,
        # Of a picture that is to be cut yet; none is told.
        face_type="head",
        landmarks=landmarks,
        box=(
            affine.bounding_box(landmarks).astype(np.float64)
            if box is None
            else np.concatenate([box[:2], box[:2] + box[2:]])
        ),
        frame_name=frame_name,
        mask=_read_mask(record),
    )


def write_record(face: AlignedFace) -> dict[str, Any]:
    """What faceswap keeps of a face, as plain values: box, points, identity, mask."""
    left, top, right, bottom = (round(float(each)) for each in face.face.box)
    record: dict[str, Any] = {
        "x": left,
        "y": top,
        "w": right - left,
        "h": bottom - top,
        "landmarks_xy": face.face.landmarks.astype(np.float32),
        "mask": {},
        "identity": {},
        "thumb": None,
    }
    if face.mask is not None:
        levels = np.rint(resize(face.mask, (_MASK_SIDE, _MASK_SIDE)) * 255).clip(0, 255)
        record["mask"]["custom"] = {
            "mask": zlib.compress(levels.astype(np.uint8).tobytes()),
            "affine_matrix": affine.compose(
                affine.scaling(_MASK_SIDE / face.size), face.face_from_frame
            ),
            "interpolator": _CUBIC,
            "stored_size": _MASK_SIDE,
            "stored_centering": "face",
        }
    return record


def _landmarks(record: ForeignRecord) -> Doubles:
    for name in ("landmarks_xy", "landmarksXY"):
        points = record.numbers(name, (-1, 2))
        if points is None:
            continue
        if len(points) == 98:
            return points_68_of_98(points)
        if len(points) != 68:
            raise record.fault(name, f"{len(points)} points, and 68 or 98 are read")
        return points
    raise record.fault("landmarks_xy", "there are none")


def _read_mask(record: ForeignRecord) -> ForeignMask | None:
    """The mask that somebody painted, else the first that a network made."""
    masks = record.held.get("mask")
    if not isinstance(masks, dict):
        return None
    names = [name for name in masks if isinstance(name, str) and name not in _OF_LANDMARKS]
    names.sort(key=lambda name: not name.startswith("custom"))
    for name in names:
        inner = ForeignRecord(masks[name], f"{record.where}, mask {name[:40]}")
        matrix = inner.held.get("affine_matrix")
        to_mask = inner.numbers("affine_matrix", (-1, 3), matrix)
        side, data = inner.held.get("stored_size", _MASK_SIDE), inner.held.get("mask")
        if to_mask is None or len(to_mask) not in (2, 3) or not isinstance(data, bytes):
            raise inner.fault("affine_matrix", "no mask with a matrix of two or three rows")
        if not isinstance(side, int | np.integer) or not 1 <= side <= _MOST_SIDE:
            raise inner.fault("stored_size", "no side of a mask")
        levels = np.frombuffer(inflate(data, int(side) ** 2, inner.where), np.uint8)
        if len(levels) != int(side) ** 2:
            raise inner.fault("mask", f"{len(levels)} bytes, and not {side} x {side}")
        if abs(float(np.linalg.det(to_mask[:2, :2]))) < 1e-9:
            raise inner.fault("affine_matrix", "a matrix that squeezes the frame flat")
        return ForeignMask(levels.reshape(int(side), int(side)), to_mask[:2])
    return None


def head_square(held: object, where: str) -> Doubles | None:
    """The map (2, 3) from frame pixels to the "head" square of side 1, where a mask was kept in it.

    Of this square a face picture is, too. Raises BadMedia.
    """
    masks = ForeignRecord(held, where).held.get("mask")
    for each in masks.values() if isinstance(masks, dict) else ():
        if not isinstance(each, dict) or each.get("stored_centering") != "head":
            continue
        inner = ForeignRecord(each, f"{where}, mask")
        to_mask, side = inner.numbers("affine_matrix", (-1, 3)), each.get("stored_size")
        if to_mask is not None and len(to_mask) in (2, 3) and isinstance(side, int) and side > 0:
            return to_mask[:2] / side
    return None


def inflate(data: bytes, most: int, where: str) -> bytes:
    """Unpack zlib data of at most so many bytes. Raises BadMedia."""
    unpacker = zlib.decompressobj()
    try:
        found = unpacker.decompress(data, most + 1)
    except zlib.error:
        raise BadMedia(f"{where}: damaged: it cannot be unpacked. Copy the file again.") from None
    if len(found) > most:
        raise BadMedia(f"{where}: unpacks to more than {most} bytes. Leave it out.")
    if not unpacker.eof:
        raise BadMedia(f"{where}: cut short. Copy the file again.")
    return found
