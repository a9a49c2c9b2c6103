"""Face pictures of DeepFaceLab: what is known of a face, as a pickle inside a JPG or an old PNG.

In a JPG it is the one APP15 segment, in a PNG the private chunk `fcWp`. Neither has a mark of its
own: what begins as a pickle does is taken for one, and `safe_pickle` reads it.
"""

from __future__ import annotations

import io
import struct
from typing import Any, Final

import cv2
import numpy as np

from understudy.core import affine
from understudy.core.image import resize
from understudy.errors import BadMedia
from understudy.io.dfl import plain_pickle, safe_pickle
from understudy.io.faceset.foreign_face import MAX_POLYGONS, ForeignFace, ForeignMask, ForeignRecord
from understudy.io.footage import stills
from understudy.io.image_segments import (
    PNG,
    Segment,
    cut_out,
    jpeg_segments,
    png_chunks,
)
from understudy.types import AlignedFace, Bytes, Doubles, FaceType, Floats, Polygon

TOOL: Final = "DeepFaceLab"
FACE_TYPES: Final[dict[str, FaceType]] = {
    "half_face": "half",
    "midfull_face": "mid-full",
    "full_face": "full",
    "full_face_no_align": "no-align",
    "whole_face": "whole",
    "head": "head",
    "head_no_align": "no-align",
    "mark_only": "mark-only",
}
# Of several names for one type the first is its own.
TYPE_NAMES: Final[dict[FaceType, str]] = {
    face_type: name for name, face_type in reversed(FACE_TYPES.items())
}
_APP15, _CHUNK = b"\xef", b"fcWp"
# What every pickle of protocol 2 and later begins with: older ones it never wrote.
_PICKLE: Final = b"\x80"
_APP0: Final = b"\xff\xe0"
# A JFIF segment of version 1.1: no density, no thumbnail.
_JFIF: Final = _APP0 + b"\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_APP0_TO_APP15: Final = range(0xE0, 0xF0)
# A segment holds so much, its length included.
_MOST_BYTES: Final = 65533
# DeepFaceLab keeps masks at 256 pixels, as PNG up to so many bytes, and larger ones as JPG.
_MASK_SIDE, _MOST_PNG = 256, 50_000


def read_face(data: bytes, where: str) -> ForeignFace | None:
    """Return what a picture of DeepFaceLab says of its face; None where it holds nothing of it.

    Nothing in it is run, and no pixel is decoded but the mask's.

    Raises:
        BadMedia: It asks for more than plain values, or they are not those of a face.
        Damaged: It is no whole JPG or PNG.
    """
    blocks = [each.body for each in _segments(data)]
    if not blocks:
        return None
    record = ForeignRecord(safe_pickle.loads(blocks[-1], where), where)
    told = record.text("face_type", "full_face")
    if told not in FACE_TYPES:
        raise record.fault("face_type", f"{told!r:.40} is not known here")
    landmarks = record.numbers("landmarks", (68, 2))
    if landmarks is None:
        raise record.fault("landmarks", "there are none")
    matrix = record.numbers("image_to_face_mat", (2, 3))
    in_frame, matrix = _in_frame(record, landmarks, matrix)
    box = record.numbers("source_rect", (4,))
    return ForeignFace(
        tool=TOOL,
        face_type=FACE_TYPES[told],
        landmarks=in_frame,
        box=affine.bounding_box(in_frame).astype(np.float64) if box is None else box,
        frame_name=record.text("source_filename"),
        face_from_frame=matrix,
        face_landmarks=landmarks,
        mask=_read_mask(record),
        polygons=_read_polygons(record),
    )


def without_face(data: bytes) -> bytes:
    """Return a picture without what DeepFaceLab says in it; all else stays. Raises Damaged."""
    return cut_out(data, _segments(data))


def write_face(picture: bytes, face: AlignedFace, frame_name: str) -> bytes:
    """Return a JPG that also says what DeepFaceLab 2 asks of its face pictures.

    Args:
        picture: A JPG.
        face: What it shows.
        frame_name: File name of the frame that it is of.

    Raises:
        BadMedia: Mask and polygons are more than one segment holds.
    """
    fields = face_fields(face, frame_name)
    mask = None if face.mask is None else encode_mask(face.mask)
    block = _pickled(fields | ({} if mask is None else {"xseg_mask": mask}))
    if len(block) > _MOST_BYTES:
        raise BadMedia(
            f"{len(block)} bytes of mask and polygons, and a JPG of DeepFaceLab holds"
            f" {_MOST_BYTES}. Draw fewer points, and export again"
        )
    if picture[2:4] != _APP0:
        # Without it DeepFaceLab sees no face in a JPG.
        picture = picture[:2] + _JFIF + picture[2:]
    at = 2
    for each in jpeg_segments(picture):
        if each.kind[0] in _APP0_TO_APP15:
            at = each.end
    return picture[:at] + struct.pack(">BsH", 0xFF, _APP15, len(block) + 2) + block + picture[at:]


def face_fields(face: AlignedFace, frame_name: str) -> dict[str, Any]:
    """What DeepFaceLab 2 keeps of a face, but its mask, as plain values."""
    points = face.landmarks.astype(np.float64)
    fields: dict[str, Any] = {
        "face_type": TYPE_NAMES[face.face_type],
        "landmarks": points.tolist(),
        "source_filename": frame_name,
        "source_rect": np.rint(face.face.box).astype(np.int32),
        "source_landmarks": face.face.landmarks.astype(np.float64).tolist(),
        "image_to_face_mat": face.face_from_frame,
    }
    if face.polygons:
        polygons: list[dict[str, Any]] = [
            {"type": int(each.includes), "pts": each.points.astype(np.float32)}
            for each in face.polygons
        ]
        fields["seg_ie_polys"] = {"polys": polygons}
    return fields


def encode_mask(mask: Floats) -> Bytes:
    """Return a mask (S, S) in 0..1 as DeepFaceLab keeps one: the bytes of a small picture."""
    side = min(_MASK_SIDE, mask.shape[0])
    levels = np.rint(np.clip(resize(mask, (side, side)), 0, 1) * 255).astype(np.uint8)
    data = stills.encode_image(levels, ".png")
    for quality in (100, 95, 90, 80, 60, 40):
        if len(data) <= _MOST_PNG:
            break
        data = stills.encode_image(levels, ".jpg", quality)
    return np.frombuffer(data, np.uint8)


def _segments(data: bytes) -> list[Segment]:
    """Where it says something of a face."""
    if data.startswith(PNG):
        return [each for each in png_chunks(data) if each.kind == _CHUNK]
    return [
        each
        for each in jpeg_segments(data)
        if each.kind == _APP15 and each.body.startswith(_PICKLE)
    ]


def _in_frame(
    record: ForeignRecord, landmarks: Doubles, matrix: Doubles | None
) -> tuple[Doubles, Doubles]:
    """The points in the frame, and the map from there, of which a file may tell one or neither.

    Where it tells neither, the picture itself is the frame.
    """
    in_frame = record.numbers("source_landmarks", (68, 2))
    if matrix is not None and abs(float(np.linalg.det(matrix[:, :2]))) < 1e-9:
        raise record.fault("image_to_face_mat", "a matrix that squeezes the frame flat")
    if in_frame is None:
        matrix = affine.scaling(1) if matrix is None else matrix
        in_frame = affine.apply(affine.invert(matrix), landmarks)
        if not (np.abs(in_frame) <= 1e6).all():
            raise record.fault("image_to_face_mat", "a matrix beyond all bounds")
    return in_frame, affine.fit_similarity(in_frame, landmarks) if matrix is None else matrix


def _read_mask(record: ForeignRecord) -> ForeignMask | None:
    """The mask that a segmenter made, of either version."""
    for name in ("xseg_mask", "fanseg_mask"):
        held = record.held.get(name)
        if held is None:
            continue
        if not isinstance(held, np.ndarray) or held.dtype != np.uint8:
            raise record.fault(name, "no picture")
        where = f"{record.where}, {name}"
        checked = stills.check_image(held.tobytes(), where)
        try:
            levels = cv2.imdecode(np.frombuffer(checked, np.uint8), cv2.IMREAD_GRAYSCALE)
        except cv2.error:
            levels = None
        if levels is None:
            raise record.fault(name, "a picture that cannot be decoded")
        return ForeignMask(np.asarray(levels, np.uint8))
    return None


def _read_polygons(record: ForeignRecord) -> tuple[Polygon, ...]:
    """What somebody drew, in all three layouts that there were."""
    found: list[Polygon] = []
    for name in ("seg_ie_polys", "ie_polys"):
        held = record.held.get(name)
        listed = held.get("polys") if isinstance(held, dict) else held
        if listed is None:
            continue
        if not isinstance(listed, list | tuple):
            raise record.fault(name, "no list of outlines")
        for each in listed:
            if isinstance(each, dict):
                each = (each.get("type"), each.get("pts"))
            if not isinstance(each, list | tuple) or len(each) != 2:
                raise record.fault(name, "no list of outlines")
            polygon = record.polygon(name, *each)
            found += [] if polygon is None else [polygon]
    if len(found) > MAX_POLYGONS:
        raise record.fault("polygons", f"more than {MAX_POLYGONS} outlines")
    return tuple(found)


def _pickled(fields: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    plain_pickle.dump(fields, file)
    return file.getvalue()
