"""A block of our own inside a JPG or PNG: put in, and taken out of files that anybody may have
touched or forged.

PNG: one text chunk (PNG 1.2, 11.3.4) with the keyword "understudy". JPG: APP4 segments (ITU-T T.81,
B.2.4.6), each `understudy NUL, u16 number from 0, u16 count, part of the block`, big-endian, since
one segment holds at most 65533 bytes.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Literal

from understudy.errors import BadMedia

KEYWORD = b"understudy"
# A block bigger than this is not ours: a mask of noise at 2048 x 2048 takes 6 MB.
MAX_BLOCK = 8 << 20
MAX_SIDE = 8192

_PNG = b"\x89PNG\r\n\x1a\n"
_MAGIC = KEYWORD + b"\0"
_APP4 = 0xE4
_PART = 65533 - len(_MAGIC) - 4
_FRAME_HEADERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True, slots=True)
class ImageContainer:
    """What a picture file says before its pixels are decoded. block: our bytes, or None when there
    are none.
    """

    format: Literal["jpg", "png"]
    width: int
    height: int
    block: bytes | None


def inspect(data: bytes, where: str) -> ImageContainer:
    """The picture's size and our block in it; `where` names the file in errors.

    Raises BadMedia: not a JPG or PNG, cut short, damaged, sides over 8192, or a block that is
    doubled, incomplete or too big.
    """
    if data.startswith(_PNG):
        return _inspect_png(data, where)
    if data.startswith(b"\xff\xd8"):
        return _inspect_jpg(data, where)
    raise BadMedia(
        f"{where}: neither a JPG nor a PNG. Take it out of the folder, or save it as one of them."
    )


def insert(data: bytes, block: bytes) -> bytes:
    """The picture file `data` (fresh from an encoder, without a block) with our block in it, before
    the pixels.
    """
    if len(block) > MAX_BLOCK:
        raise ValueError(f"a block of {len(block)} bytes, at most {MAX_BLOCK} fit")
    if data.startswith(_PNG):
        # The header chunk is always first and 25 bytes long. iTXt: no compression, no language, no
        # translated keyword.
        end = len(_PNG) + 25
        return data[:end] + _chunk(b"iTXt", KEYWORD + b"\0\0\0\0\0" + block) + data[end:]
    end = _after_jfif(data)
    return data[:end] + b"".join(_segments(block)) + data[end:]


def replace(data: bytes, block: bytes, where: str) -> bytes:
    """The picture file `data` with this block of ours in place of the one it has; pixels and all
    else stay, byte for byte.

    Raises BadMedia as `inspect`.
    """
    inspect(data, where)
    if data.startswith(_PNG):
        kept = ((kind, body) for kind, body in _chunks(data, where) if not _is_our_text(kind, body))
        return insert(_PNG + b"".join(_chunk(kind, body) for kind, body in kept), block)
    segments, bare = _jpg_segments(data, where), b"\xff\xd8"
    while True:
        try:
            marker, body = next(segments)
        except StopIteration as end:
            return insert(bare + data[end.value :], block)
        if marker != _APP4 or not body.startswith(_MAGIC):
            bare += struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _inspect_png(data: bytes, where: str) -> ImageContainer:
    blocks: list[bytes] = []
    width = height = 0
    kind = b""
    for number, (kind, body) in enumerate(_chunks(data, where)):
        if (number == 0) != (kind == b"IHDR") or (kind == b"IHDR" and len(body) != 13):
            raise _damaged(where, "its header chunk is not where it must be")
        if kind == b"IHDR":
            width, height = struct.unpack(">II", body[:8])
        elif _is_our_text(kind, body):
            blocks.append(_text(kind, body[len(_MAGIC) :], where))
    if kind != b"IEND":
        raise _damaged(where, "it ends too early")
    if len(blocks) > 1:
        raise _damaged(where, "it holds our data twice")
    _check_sides(width, height, where)
    return ImageContainer("png", width, height, blocks[0] if blocks else None)


def _is_our_text(kind: bytes, body: bytes) -> bool:
    return kind in (b"iTXt", b"tEXt", b"zTXt") and body.startswith(_MAGIC)


def _chunks(data: bytes, where: str) -> Iterator[tuple[bytes, bytes]]:
    """Kind and body of each chunk up to IEND."""
    at = len(_PNG)
    while at < len(data):
        if at + 12 > len(data):
            raise _damaged(where, "it ends too early")
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise _damaged(where, "it ends too early")
        body = data[at + 8 : end - 4]
        if zlib.crc32(kind + body) != struct.unpack_from(">I", data, end - 4)[0]:
            raise _damaged(where, f"the checksum of a {kind.decode('latin-1')} chunk is wrong")
        yield kind, body
        if kind == b"IEND":
            return
        at = end


def _text(kind: bytes, body: bytes, where: str) -> bytes:
    """The text of a chunk's body after its keyword; other tools may have moved ours into any of the
    three kinds.
    """
    if kind == b"tEXt":
        return _bounded(body, where)
    if kind == b"zTXt":
        return _inflated(body[1:], where)
    if len(body) < 2 or body.count(b"\0", 2) < 2:
        raise _damaged(where, "our text chunk is malformed")
    text = body[2:].split(b"\0", 2)[2]
    return _inflated(text, where) if body[0] == 1 else _bounded(text, where)


def _inflated(data: bytes, where: str) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(data, MAX_BLOCK + 1)
    except zlib.error:
        raise _damaged(where, "our text chunk cannot be unpacked") from None
    return _bounded(text, where)


def _inspect_jpg(data: bytes, where: str) -> ImageContainer:
    parts: list[bytes] = []
    width = height = 0
    for marker, body in _jpg_segments(data, where):
        if marker in _FRAME_HEADERS:
            if width or len(body) < 6:
                raise _damaged(where, "its frame header is malformed")
            height, width = struct.unpack_from(">HH", body, 1)
        elif marker == _APP4 and body.startswith(_MAGIC):
            parts.append(body[len(_MAGIC) :])
    _check_sides(width, height, where)
    return ImageContainer("jpg", width, height, _joined(parts, where))


def _jpg_segments(data: bytes, where: str) -> Generator[tuple[int, bytes], None, int]:
    """Marker and body of each segment between the start of the picture and its pixels; returns
    where those begin.
    """
    at = 2
    while True:
        while data[at : at + 2] == b"\xff\xff":  # fill bytes are allowed before a marker
            at += 1
        if at + 4 > len(data):
            raise _damaged(where, "it ends too early")
        prefix, marker, length = struct.unpack_from(">BBH", data, at)
        if prefix != 0xFF or marker in (0x00, 0xD8, 0xD9) or length < 2:
            raise _damaged(where, "a segment is malformed")
        end = at + 2 + length
        if end > len(data):
            raise _damaged(where, "it ends too early")
        if marker == 0xDA:
            # Inside the pixels FF is always followed by 00 or a restart marker, so FF D9 can only
            # be the end.
            if data.find(b"\xff\xd9", end) < 0:
                raise _damaged(where, "it ends too early")
            return at
        yield marker, data[at + 4 : end]
        at = end


def _joined(parts: list[bytes], where: str) -> bytes | None:
    """The block from its numbered parts, which may come in any order."""
    if not parts:
        return None
    by_number: dict[int, bytes] = {}
    for part in parts:
        if len(part) < 4:
            raise _damaged(where, "one of our segments is too short")
        number, count = struct.unpack_from(">HH", part)
        if number in by_number or count != len(parts) or number >= count:
            raise _damaged(where, "our segments are doubled or incomplete")
        by_number[number] = part[4:]
    return _bounded(b"".join(by_number[number] for number in range(len(parts))), where)


def _segments(block: bytes) -> Iterator[bytes]:
    count = max(1, -(-len(block) // _PART))
    for number in range(count):
        body = (
            _MAGIC
            + struct.pack(">HH", number, count)
            + block[number * _PART : (number + 1) * _PART]
        )
        yield struct.pack(">BBH", 0xFF, _APP4, len(body) + 2) + body


def _after_jfif(data: bytes) -> int:
    """Where our segments belong: after the JFIF segment, which must come first, or else right at
    the start.
    """
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


def _bounded(block: bytes, where: str) -> bytes:
    if len(block) > MAX_BLOCK:
        raise _damaged(where, f"our data in it is larger than {MAX_BLOCK >> 20} MB")
    return block


def _damaged(where: str, what: str) -> BadMedia:
    return BadMedia(f"{where}: a damaged picture: {what}. Delete it, or extract the frame again.")
