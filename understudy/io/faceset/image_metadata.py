"""A block of our own inside a JPG or PNG, which anybody may have touched or forged.

PNG: one text chunk (PNG 1.2, 11.3.4) with the keyword "understudy". JPG: APP4 segments (ITU-T T.81,
B.2.4.6), each `understudy NUL, u16 number from 0, u16 count, part of the block`, big-endian, since
one segment holds at most 65533 bytes.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from understudy.errors import BadMedia
from understudy.io.image_segments import (
    JPEG,
    PNG,
    Damaged,
    Segment,
    cut_out,
    frame_size,
    is_frame_header,
    jpeg_segments,
    png_chunks,
)

KEYWORD = b"understudy"
# A block bigger than this is not ours: a mask of noise at 2048 x 2048 takes 6 MB.
MAX_BLOCK = 8 << 20
MAX_SIDE = 8192

_MAGIC = KEYWORD + b"\0"
_APP4 = b"\xe4"
_PART = 65533 - len(_MAGIC) - 4


@dataclass(frozen=True, slots=True)
class ImageContainer:
    """What a picture file says before its pixels are decoded. block: our bytes, None without."""

    format: Literal["jpg", "png"]
    width: int
    height: int
    block: bytes | None


def inspect(data: bytes, where: str) -> ImageContainer:
    """Return the picture's size and our block in it; `where` names the file in errors.

    Raises:
        BadMedia: Not a JPG or PNG, cut short, damaged, sides over 8192, or a block that is doubled,
            incomplete or too big.
    """
    try:
        if data.startswith(PNG):
            return _inspect_png(data, where)
        if data.startswith(JPEG):
            return _inspect_jpg(data, where)
    except Damaged as error:
        raise BadMedia(
            f"{where}: a damaged picture: {error}. Delete it, or extract the frame again."
        ) from None
    raise BadMedia(
        f"{where}: neither a JPG nor a PNG. Take it out of the folder, or save it as one of them."
    )


def insert(data: bytes, block: bytes) -> bytes:
    """Return the picture file `data`, fresh from an encoder, with our block before its pixels."""
    if len(block) > MAX_BLOCK:
        raise ValueError(f"a block of {len(block)} bytes, at most {MAX_BLOCK} fit")
    if data.startswith(PNG):
        # The header chunk is always first and 25 bytes long. iTXt: no compression, no language, no
        # translated keyword.
        end = len(PNG) + 25
        return data[:end] + _chunk(b"iTXt", KEYWORD + b"\0\0\0\0\0" + block) + data[end:]
    end = _after_jfif(data)
    return data[:end] + b"".join(_segments(block)) + data[end:]


def replace(data: bytes, block: bytes, where: str) -> bytes:
    """Return the picture file `data` with this block in place of ours; all else stays.

    Raises:
        BadMedia: As `inspect`.
    """
    return insert(remove(data, where), block)


def remove(data: bytes, where: str) -> bytes:
    """Return the picture file `data` without our block; all else stays. Raises as `inspect`."""
    inspect(data, where)
    if data.startswith(PNG):
        return cut_out(data, filter(_is_our_text, png_chunks(data)))
    return cut_out(data, filter(_is_our_part, jpeg_segments(data)))


def _inspect_png(data: bytes, where: str) -> ImageContainer:
    block: bytes | None = None
    width = height = 0
    for number, chunk in enumerate(png_chunks(data)):
        is_header = chunk.kind == b"IHDR"
        if (number == 0) != is_header or (is_header and len(chunk.body) != 13):
            raise Damaged("its header chunk is not where it must be")
        if is_header:
            width, height = struct.unpack_from(">II", chunk.body)
        elif _is_our_text(chunk):
            if block is not None:
                raise Damaged("it holds our data twice")
            block = _text(chunk.kind, chunk.body[len(_MAGIC) :])
    _check_sides(width, height, where)
    return ImageContainer("png", width, height, block)


def _is_our_text(chunk: Segment) -> bool:
    return chunk.kind in (b"iTXt", b"tEXt", b"zTXt") and chunk.body.startswith(_MAGIC)


def _is_our_part(segment: Segment) -> bool:
    return segment.kind == _APP4 and segment.body.startswith(_MAGIC)


def _text(kind: bytes, body: bytes) -> bytes:
    """The text after the keyword; other tools may have moved ours into any of the three kinds."""
    if kind == b"tEXt":
        return _check_length(body)
    if kind == b"zTXt":
        return _inflate(body[1:])
    if len(body) < 2 or body.count(b"\0", 2) < 2:
        raise Damaged("our text chunk is malformed")
    text = body[2:].split(b"\0", 2)[2]
    return _inflate(text) if body[0] == 1 else _check_length(text)


def _inflate(data: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(data, MAX_BLOCK + 1)
    except zlib.error:
        raise Damaged("our text chunk cannot be unpacked") from None
    return _check_length(text)


def _inspect_jpg(data: bytes, where: str) -> ImageContainer:
    parts: list[bytes] = []
    width = height = 0
    for segment in jpeg_segments(data):
        if is_frame_header(segment):
            if width:
                raise Damaged("its frame header is malformed")
            width, height = frame_size(segment)
        elif _is_our_part(segment):
            parts.append(segment.body[len(_MAGIC) :])
    _check_sides(width, height, where)
    return ImageContainer("jpg", width, height, _join_parts(parts))


def _join_parts(parts: list[bytes]) -> bytes | None:
    """The block from its numbered parts, which may come in any order."""
    if not parts:
        return None
    by_number: dict[int, bytes] = {}
    for part in parts:
        if len(part) < 4:
            raise Damaged("one of our segments is too short")
        number, count = struct.unpack_from(">HH", part)
        if number in by_number or count != len(parts) or number >= count:
            raise Damaged("our segments are doubled or incomplete")
        by_number[number] = part[4:]
    return _check_length(b"".join(by_number[number] for number in range(len(parts))))


def _segments(block: bytes) -> Iterator[bytes]:
    count = max(1, -(-len(block) // _PART))
    for number in range(count):
        body = (
            _MAGIC
            + struct.pack(">HH", number, count)
            + block[number * _PART : (number + 1) * _PART]
        )
        yield struct.pack(">BsH", 0xFF, _APP4, len(body) + 2) + body


def _after_jfif(data: bytes) -> int:
    """Where our segments belong: after the JFIF segment, which must come first, or at the start."""
    if data[2:4] == b"\xff\xe0":
        return 4 + int(struct.unpack_from(">H", data, 4)[0])
    return 2


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _check_sides(width: int, height: int, where: str) -> None:
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise BadMedia(
            f"{where}: {width}x{height} pixels, a face picture has 1 to {MAX_SIDE} a side. Take it"
            " out of the folder."
        )


def _check_length(block: bytes) -> bytes:
    if len(block) > MAX_BLOCK:
        raise Damaged(f"our data in it is larger than {MAX_BLOCK >> 20} MB")
    return block
