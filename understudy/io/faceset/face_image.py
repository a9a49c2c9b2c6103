"""A face picture: a JPG or PNG that says of itself which face it shows, where, and how it was cut.

The metadata is versioned JSON inside the file (docs/face-pictures.md), so a file manager is a
curation tool: copy, move, delete, resize. Whatever a file claims is checked before it is believed.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

import cv2
import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field, model_validator

from understudy.core import affine
from understudy.core.image import as_float, resize
from understudy.errors import BadData, BadMedia
from understudy.io import atomic, data_files
from understudy.io.faceset import image_metadata, pack, picture_files
from understudy.io.footage import stills
from understudy.types import AlignedFace, Bytes, Doubles, Face, FaceType, Floats, Marking, Polygon

VERSION = 5
SUFFIXES = pack.SUFFIXES
_MAX_VALUES = 250_000

Pixel = Annotated[float, Field(ge=-1e6, le=1e6)]
Angle = Annotated[float, Field(ge=-10, le=10)]
Coefficient = Annotated[float, Field(ge=-1e9, le=1e9)]
Row = tuple[Coefficient, Coefficient, Coefficient]
Point = tuple[Pixel, Pixel]


class PolygonRecord(BaseModel):
    """A polygon as it is written. points: in pixels of the picture at the metadata's `size`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    includes: bool
    points: Annotated[tuple[Point, ...], Field(min_length=3, max_length=1024)]


class FaceMetadata(BaseModel):
    """What a face picture says of itself, in the units and axes of `types.py`.

    size: side of the picture in pixels that the numbers mean.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    version: Literal[1, 2, 3, 4, 5]
    face_type: FaceType
    size: int = Field(ge=1, le=image_metadata.MAX_SIDE)
    face_from_frame: tuple[Row, Row]
    frame: int = Field(ge=0, le=2**48)
    pts: float | None
    source: str = Field(max_length=1024)
    box: tuple[Pixel, Pixel, Pixel, Pixel]
    landmarks: Annotated[tuple[Point, ...], Field(min_length=68, max_length=68)]
    score: float = Field(ge=0, le=1)
    track: int = Field(ge=-1, le=2**48)
    pose: tuple[Angle, Angle, Angle]
    identity: Annotated[tuple[Angle, ...], Field(min_length=1, max_length=4096)] | None
    mask: str | None
    # Since version 2.
    person: int = Field(default=-1, ge=-1, le=2**48)
    filled: bool = False
    raw: Annotated[tuple[Point, ...], Field(min_length=68, max_length=68)] | None = None
    # Since version 3.
    polygons: Annotated[tuple[PolygonRecord, ...], Field(max_length=64)] = ()
    # Since version 4.
    footage: str = Field(default="", max_length=64, pattern=r"^[0-9a-f]*$")
    marked: Literal["points", "refined", "laid in"] | None = None
    # Since version 5.
    gaze: tuple[Point, Point] | None = None
    lids: tuple[Angle, Angle] | None = None

    @model_validator(mode="after")
    def _can_be_inverted(self) -> Self:
        (a, b, _), (c, d, _) = self.face_from_frame
        if abs(a * d - b * c) < 1e-12:
            raise ValueError("face_from_frame cannot be inverted")
        return self

    @property
    def face(self) -> Face:
        """The face in its frame."""
        identity = None if self.identity is None else np.array(self.identity, np.float32)
        box, landmarks, pose = (
            np.array(values, np.float32) for values in (self.box, self.landmarks, self.pose)
        )
        raw = None if self.raw is None else np.array(self.raw, np.float32)
        gaze, lids = (
            None if each is None else np.array(each, np.float32) for each in (self.gaze, self.lids)
        )
        return Face(
            self.frame,
            box,
            landmarks,
            self.score,
            self.track,
            pose,
            identity,
            self.person,
            self.filled,
            raw,
            marked=Marking.of_text(self.marked or ""),
            gaze=gaze,
            lids=lids,
        )

    def face_from_frame_at(self, side: int) -> Doubles:
        """The matrix (2, 3) from frame pixels to those of the picture at that side."""
        return affine.compose(affine.scaling(side / self.size), self.face_from_frame)

    def polygons_in_picture(self, to_picture: ArrayLike) -> tuple[Polygon, ...]:
        """Return the polygons, carried by `to_picture` (2, 3) from pixels at the side `size`."""
        moved = (
            (affine.apply(to_picture, outline.points), outline.includes)
            for outline in self.polygons
        )
        return tuple(Polygon(points.astype(np.float32), includes) for points, includes in moved)


def write(path: Path, face: AlignedFace, quality: int = 95) -> None:
    """Write `face` to `path`, all or nothing: .png without loss, .jpg with full colour.

    quality: of a JPG, 1..100.

    Raises:
        CannotWrite: The disk is full, or the place is read-only.
        ValueError: The suffix or the face does not fit the format, which is our mistake.
    """
    atomic.write_bytes(path, encode(face, path.suffix, quality))


def encode(face: AlignedFace, suffix: str, quality: int = 95) -> bytes:
    """Return the bytes of the file that `write` writes.

    Raises:
        ValueError: The suffix or the face does not fit the format, which is our mistake.
    """
    if face.image.dtype != np.uint8 or face.image.shape != (face.size, face.size, 3):
        raise ValueError(
            f"a face picture is (S, S, 3) uint8, not {face.image.shape} {face.image.dtype}"
        )
    if suffix.lower() not in SUFFIXES:
        raise ValueError(f"a face picture ends in {', '.join(SUFFIXES)}, not '{suffix}'")
    return embed(stills.encode_image(face.image, suffix, quality), face)


def embed(picture: bytes, face: AlignedFace) -> bytes:
    """Return a picture file, fresh from an encoder, that also says what is known of `face`.

    Its pixels are not encoded again; they are not compared with the face's.

    Raises:
        ValueError: The face does not fit the format.
    """
    block = metadata_json(face)
    _check_own(block)
    return image_metadata.insert(picture, block.encode("ascii"))


def read(path: Path) -> AlignedFace:
    """Return the face in the picture at `path`, at the size that the picture has now.

    Raises:
        BadMedia: Unreadable, damaged, not square, not a face picture, or from a newer version.
    """
    return parse(read_bytes(path), path)


def parse(data: bytes, path: Path) -> AlignedFace:
    """Return the face in a picture's bytes, as `read`; `path` is only for messages."""
    container, metadata = _parse(data, path)
    return AlignedFace(
        face=metadata.face,
        image=decode_pixels(data, container.width, str(path)),
        face_from_frame=metadata.face_from_frame_at(container.width),
        face_type=metadata.face_type,
        mask=_mask(metadata, container.width, path),
        source=metadata.source,
        pts=metadata.pts,
        polygons=metadata.polygons_in_picture(affine.scaling(container.width / metadata.size)),
        footage=metadata.footage,
    )


def decode_pixels(data: bytes, side: int, where: str) -> Bytes:
    """Return the pixels of a face picture, (side, side, 3) RGB.

    Args:
        data: Its file.
        side: What its header says.
        where: Named in errors.

    Raises:
        BadMedia: They cannot be decoded, or are of another size.
    """
    image = _decode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION, where)
    if image.shape != (side, side, 3):
        raise BadMedia(
            f"{where}: a damaged picture: its pixels do not fit its header. Delete it, or extract"
            " the frame again."
        )
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def read_metadata(path: Path) -> tuple[FaceMetadata, int]:
    """Return what a picture says of itself, and its side in pixels as it is now.

    Pixels stay undecoded. Raises as `read`.
    """
    container, metadata = _parse(read_bytes(path), path)
    return metadata, container.width


def write_polygons(path: Path, polygons: Sequence[Polygon]) -> None:
    """Give the face picture at `path` these polygons and no others; no pixel is encoded again.

    polygons: in pixels of the picture as it is now.

    Raises:
        BadMedia: As `read`.
        CannotWrite: The disk is full, or the place is read-only.
        ValueError: A polygon does not fit the format.
    """
    data = picture_files.read_bytes(path)
    container, metadata = _parse(data, path)
    to_written = affine.scaling(metadata.size / container.width)
    outlines = [
        {
            "includes": bool(each.includes),
            "points": np.round(affine.apply(to_written, each.points), 4).tolist(),
        }
        for each in polygons
    ]
    fields = metadata.model_dump(mode="json") | {
        "version": VERSION,
        "polygons": outlines,
    }
    block = json.dumps(fields, allow_nan=False, separators=(",", ":"))
    _check_own(block)
    atomic.write_bytes(path, image_metadata.replace(data, block.encode("ascii"), str(path)))


def metadata_json(face: AlignedFace) -> str:
    """Return the metadata of a face as it is written: ASCII JSON.

    Pixels are rounded to 1e-4, all else but the matrix to 1e-6.
    """
    identity, mask = face.face.identity, face.mask
    fields = {
        "version": VERSION,
        "face_type": face.face_type,
        "size": face.size,
        "face_from_frame": face.face_from_frame.tolist(),
        "frame": int(face.face.frame),
        "pts": None if face.pts is None else round(float(face.pts), 6),
        # File names may hold bytes that are no text.
        "source": face.source.encode("utf-8", "replace").decode("utf-8"),
        "box": _round(face.face.box, 4),
        "landmarks": _round(face.face.landmarks, 4),
        "score": round(float(face.face.score), 6),
        "track": int(face.face.track),
        "pose": _round(face.face.pose, 6),
        "identity": None if identity is None else _round(identity, 6),
        "mask": None if mask is None else _mask_text(mask, face.size),
        "person": int(face.face.person),
        "filled": bool(face.face.filled),
        "raw": None if face.face.raw is None else _round(face.face.raw, 4),
        "polygons": [
            {"includes": bool(each.includes), "points": _round(each.points, 4)}
            for each in face.polygons
        ],
        "footage": face.footage,
        "marked": face.face.marked.text or None,
        "gaze": None if face.face.gaze is None else _round(face.face.gaze, 6),
        "lids": None if face.face.lids is None else _round(face.face.lids, 6),
    }
    return json.dumps(fields, allow_nan=False, separators=(",", ":"))


def _parse(data: bytes, path: Path) -> tuple[image_metadata.ImageContainer, FaceMetadata]:
    container = image_metadata.inspect(data, str(path))
    if container.block is None:
        raise BadMedia(
            f"{path}: not a face picture of ours: it holds no understudy metadata. Take it out of"
            " the folder; if another tool dropped that, faces restore-metadata puts back what was"
            " saved before; else extract that frame again."
        )
    if container.width != container.height:
        raise BadMedia(
            f"{path}: {container.width}x{container.height} pixels, a face picture is square. Undo"
            " the crop or delete it."
        )
    return container, _metadata(container.block, path)


def _metadata(block: bytes, path: Path) -> FaceMetadata:
    try:
        return data_files.parse_json_as(block, str(path), FaceMetadata, _MAX_VALUES)
    except BadData as error:
        if (version := _newer_version(block)) is not None:
            raise BadMedia(
                f"{path}: made by a newer Understudy (layout {version}, this one reads {VERSION})."
                " Update Understudy."
            ) from None
        raise BadMedia(
            f"{path}: bad metadata: {error.reason}. Delete the picture, or extract the frame again."
        ) from None


def _newer_version(block: bytes) -> int | None:
    """The version of a block that is newer than ours; None where it is not."""
    try:
        version = data_files.parse_json_as(block, "metadata", _Versioned, _MAX_VALUES).version
    except BadData:
        return None
    return version if version > VERSION else None


def _check_own(block: str) -> None:
    """Raise ValueError where what we are about to write could not be read again."""
    try:
        data_files.parse_json_as(block, "metadata", FaceMetadata, _MAX_VALUES)
    except BadData as error:
        raise ValueError(error.reason) from None


class _Versioned(BaseModel):
    model_config = ConfigDict(strict=True)

    version: int


def _mask(metadata: FaceMetadata, size: int, path: Path) -> Floats | None:
    if metadata.mask is None:
        return None
    where = f"{path}, mask"
    try:
        data = base64.b64decode(metadata.mask, validate=True)
    except (binascii.Error, ValueError):
        raise BadMedia(
            f"{where}: not base64. Delete the picture, or extract the frame again."
        ) from None
    container = image_metadata.inspect(data, where)
    if container.format != "png" or (container.width, container.height) != (
        metadata.size,
        metadata.size,
    ):
        raise BadMedia(
            f"{where}: not a PNG of {metadata.size}x{metadata.size}. Delete the picture, or extract"
            " the frame again."
        )
    mask = _decode(data, cv2.IMREAD_GRAYSCALE, where)
    return as_float(resize(mask, (size, size)))


def _mask_text(mask: Floats, size: int) -> str:
    if mask.shape != (size, size):
        raise ValueError(f"a mask of {mask.shape} on a face of {size}")
    levels = np.rint(np.clip(mask, 0, 1) * 255).astype(np.uint8)
    return base64.b64encode(stills.encode_image(levels, ".png")).decode("ascii")


def _decode(data: bytes, flags: int, where: str) -> Bytes:
    try:
        image = cv2.imdecode(np.frombuffer(stills.check_image(data, where), np.uint8), flags)
    except cv2.error:
        image = None
    if image is None:
        raise BadMedia(
            f"{where}: the pixels cannot be decoded. Delete the picture, or extract the frame"
            " again."
        )
    return np.asarray(image, np.uint8)


def read_bytes(path: Path) -> bytes:
    """Return the file of a face picture, from its folder or the pack beside it.

    Raises:
        BadMedia: It is missing, or cannot be one.
        CannotRead: It is there, but not for this user, or the disk fails.
    """
    return picture_files.read_bytes(path)


def _round(values: Floats, digits: int) -> list[object]:
    rounded: list[object] = np.asarray(values, np.float64).round(digits).tolist()
    return rounded
