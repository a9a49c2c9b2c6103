"""Reads and writes single pictures: PNG, JPG and their kin, checked before they are decoded."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Final, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.errors import BadMedia, CannotWrite
from understudy.io import atomic, image_headers, image_segments
from understudy.io.avif import is_avif, read_avif
from understudy.io.footage.base import explain_unreadable
from understudy.io.limits import MAX_PICTURE_FILE
from understudy.types import Array, Bytes

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp"})

IntImage = NDArray[np.uint8] | NDArray[np.uint16]

# What its decoders print of a damaged file comes out as an error here, in words.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
# Grey becomes RGB, alpha goes, 16 bits stay, a camera's orientation mark is obeyed.
_READ = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
_UNDECODED: Final = (
    "this picture cannot be decoded, it is damaged or of a rare kind. Replace it, or take it out."
)


def read_image(path: Path) -> Array:
    """Return the picture in a file, upright.

    Returns:
        (H, W, 3) RGB, uint8, or uint16 when the file has 16 bits.

    Raises:
        BadMedia: Missing, no picture, cut off, damaged (PNG checksums) or too large.
    """
    return decode_image(read_bytes(path), path)


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a picture's file. Raises BadMedia: missing, no file, too large."""
    with explain_unreadable(path):
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BadMedia(f"{path}: a folder, a device or a pipe, not a picture. Take it out.")
        if status.st_size > MAX_PICTURE_FILE:
            raise BadMedia(
                f"{path}: larger than {MAX_PICTURE_FILE >> 20} MB, so it is not read as a picture."
                " Make it smaller, or take it out."
            )
        return path.read_bytes()


def decode_image(data: bytes, path: Path) -> Array:
    """Return the picture in a file's bytes, as `read_image`; `path` is only for messages."""
    checked = check_image(data, f"{path}")
    try:
        image = cv2.imdecode(np.frombuffer(checked, np.uint8), _READ)
    except cv2.error as error:
        raise BadMedia(f"{path}: {_UNDECODED}") from error
    if image is None:
        raise BadMedia(f"{path}: {_UNDECODED}")
    if image.dtype not in (np.uint8, np.uint16):
        raise BadMedia(
            f"{path}: holds {image.dtype} values; only 8 and 16 bits are read. Convert it to 16-bit"
            " PNG."
        )
    rgb = cast(Array, cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
    return _as_avif_means(rgb, data) if is_avif(data[:64]) else rgb


def _as_avif_means(image: Array, data: bytes) -> Array:
    """An AVIF as it is decoded, upright, and its 10 or 12 bits as 16."""
    header = read_avif(data)
    if image.dtype == np.uint16:
        full = (1 << header.bits) - 1
        image = (image.astype(np.uint32).clip(0, full) * 65535 // full).astype(np.uint16)
    image = np.rot90(image, header.turns)
    if header.mirror is not None:
        image = np.flip(image, header.mirror)
    return np.ascontiguousarray(image)


def check_image(data: bytes, where: str) -> bytes:
    """Return a picture's bytes as a decoder may have them, without what does not make its pixels.

    Raises:
        BadMedia: Of no kind that is read, cut off, damaged, or too large; `where` names it.
    """
    try:
        problem = image_headers.read_header(data).problem
        if not problem:
            return image_headers.without_extras(data)
    except image_segments.Truncated:
        # OpenCV returns a half-grey picture for a JPG that was cut off and says nothing.
        problem = "the file is cut off" if data else "the file is empty"
    except image_headers.UnknownKind as error:
        raise BadMedia(
            f"{where}: not a picture that can be read: {error}. Replace it, or take it out."
        ) from None
    except image_segments.Damaged as error:
        problem = f"its data is damaged ({error})"
    raise BadMedia(f"{where}: this picture cannot be used: {problem}. Replace it, or take it out.")


def write_image(path: Path, image: Array, quality: int = 95) -> None:
    """Write a picture, all or nothing; the suffix of `path` chooses the kind, one of `SUFFIXES`.

    Args:
        path: Replaced when it exists.
        image: (H, W, 3) RGB, or (H, W) grey; uint8 or uint16. JPG holds 8 bits only.
        quality: Of JPG, 1..100, colour at full resolution.

    Raises:
        CannotWrite: The disk is full, the place is read-only, or the suffix unknown.
    """
    atomic.write_bytes(path, encode_image(image, path.suffix, quality))


def encode_image(image: Array, suffix: str, quality: int = 95) -> bytes:
    """Return a picture as the bytes of a file of that suffix (".png", ".jpg", …).

    Args:
        image: (H, W, 3) RGB, (H, W, 4) with alpha, or (H, W) grey; uint8 or uint16. JPG holds 8
            bits only, and no alpha.
        suffix: One of `SUFFIXES`.
        quality: Of JPG, 1..100.
    """
    assert image.dtype in (np.uint8, np.uint16), image.dtype
    is_jpeg = suffix.lower() in (".jpg", ".jpeg")
    pixels = to_8_bits(image) if is_jpeg else cast(IntImage, image)
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    swap = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}.get(channels)
    ordered = pixels if swap is None else cv2.cvtColor(pixels, swap)
    settings: list[int] = []
    if is_jpeg:
        # 4:4:4, or red lips against skin would bleed by a pixel.
        settings = [
            cv2.IMWRITE_JPEG_QUALITY,
            quality,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
        ]
    elif suffix.lower() == ".png":
        settings = [cv2.IMWRITE_PNG_COMPRESSION, 1]
    try:
        done, data = cv2.imencode(suffix, ordered, settings)
    except cv2.error as error:
        raise CannotWrite(
            f"a picture cannot be written as '{suffix}': {error.err}. Choose .png or .jpg."
        ) from None
    if not done:
        raise CannotWrite(f"a picture cannot be written as '{suffix}'. Choose .png or .jpg.")
    return data.tobytes()


def to_8_bits(image: Array) -> Bytes:
    """Return the picture as uint8; uint16 (full scale 65535) is rounded."""
    if image.dtype == np.uint8:
        return cast(Bytes, image)
    return ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
